"""The guide's YAML is made by the tool, and every agent_plan in it loads."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from mlagent.contracts.plan import AgentPlanDocument, Plan, Review, Routing
from mlagent.documents import load_yaml, read_record, validate_record

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "HYBRID_PLANNING_GUIDE.md"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("guide", ROOT / "tools" / "guide.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_worked_examples_are_what_the_tool_makes_today(tmp_path: Path) -> None:
    guide = tool()
    assert guide.main(["--check"]) == 0
    copy = tmp_path / "guide.md"
    copy.write_text(
        GUIDE.read_text("utf-8").replace("selected: option_", "selected: opt_"), "utf-8"
    )
    assert guide.main(["--check"], copy) == 1
    assert guide.main([], copy) == 0
    assert copy.read_text("utf-8").count("selected: opt_") == 1  # the format itself is by hand


def test_every_yaml_block_of_the_guide_loads() -> None:
    found = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert len(found) == 7
    for text in found:
        document = load_yaml(text, "guide")
        if "agent_plan" in document:
            read_record(AgentPlanDocument, text, "guide")
        elif "routing" in document:
            validate_record(Routing, document["routing"], "guide")
        elif "review" in document:
            validate_record(Review, document["review"], "guide")
        else:
            assert set(document) <= set(Plan.model_fields)
