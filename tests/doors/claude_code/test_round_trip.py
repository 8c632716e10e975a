"""A contract that went out to Claude Code comes back as it was."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.contract import Contract
from mlagent.documents import dump_yaml, read_record
from mlagent.doors.claude_code.agent_text import agent_markdown
from mlagent.doors.claude_code.checking import check_folder
from mlagent.doors.claude_code.exporting import export_agents
from mlagent.doors.claude_code.files import SCOPES, Scope, export_files
from mlagent.doors.claude_code.importing import Importer
from mlagent.doors.claude_code.loading import load
from mlagent.doors.claude_code.policy import load_work
from mlagent.doors.claude_code.sources import Source
from mlagent.doors.claude_code.strict import broken_rules

CONTENT = Content()
BASES = load_contracts(CONTENT)
IMPORTER = Importer(CONTENT)
TRAPS = st.sampled_from(
    ["a\n```\nb", "````", "key: value # x", "---", "| x |", 'it\'s "so"', "yes", "1e5", "0x1F"]
    + ["*a", "&b", "{{ x }}", "{% raw %}", "<example>", "# Title", "## Boundaries", "- item", "~"]
    + ["<!-- x -->", "schema: mlagent/contract/v1", "null", "\\n", "a: b: c", "\u00e9\U0001f680"]
)
LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff")
TEXT = TRAPS | st.text(LETTERS, min_size=1, max_size=40).filter(str.strip)
SLUG = st.from_regex(r"[a-z][a-z0-9]{0,7}(-[a-z0-9]{1,4})?", fullmatch=True)
ARTIFACT = st.from_regex(r"[a-z][a-z_]{0,9}", fullmatch=True)
NUMBER = st.floats(0.001, 1e6)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """A contract of any kind that validates."""
    role = draw(st.sampled_from(ROLES))
    data: dict[str, Any] = BASES[role].model_dump(mode="json", by_alias=True)
    few = st.lists(TEXT, min_size=1, max_size=3)
    data["version"] = draw(st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True))
    data["role"] = draw(TEXT)
    data["model_tier"] = draw(st.sampled_from(("none", "fast", "balanced", "deep")))
    topics = draw(st.lists(SLUG, min_size=1, max_size=3, unique=True))
    data["routing"]["handles"] = [{"topic": topic, "examples": draw(few)} for topic in topics]
    data["boundaries"] = [
        {"topic": topic, "delegate_to": draw(st.none() | TEXT)}
        for topic in draw(st.lists(SLUG, max_size=4))
    ]
    names = draw(st.lists(ARTIFACT, min_size=1, max_size=3, unique=True))
    data["outputs"] = [
        {"artifact": name, "schema": draw(TEXT), "to": draw(few), "required": draw(st.booleans())}
        for name in names
    ]
    data["inputs"] = [
        {
            "artifact": name,
            "schema": draw(TEXT),
            "from": draw(SLUG),
            "required": draw(st.booleans()),
        }
        for name in draw(st.lists(ARTIFACT, max_size=2))
    ]
    data["handoffs"] = [{"to": o["to"][0], "artifact": o["artifact"]} for o in data["outputs"]]
    gates = draw(st.lists(SLUG, max_size=3, unique=True))
    data["quality_gates"] = [
        {"name": name, "metric": "primary", "comparison": "at_least", "threshold": draw(NUMBER)}
        | {"required": draw(st.booleans())}
        for name in gates
    ]
    checks = ["advisory", "within budget", *(f"gate: {name}" for name in gates)]
    data["success_criteria"] = [
        {"criterion": said, "check": draw(st.sampled_from(checks))}
        for said in draw(st.lists(TEXT, max_size=3))
    ]
    data["guardrails"]["max_usd"] = draw(NUMBER)
    data["resources"]["wall_s"] = draw(NUMBER)
    for option in data["planning"]["options"]:
        data["planning"]["options"][option] = draw(TEXT)
    return Contract.model_validate(data)


def fenced(text: str) -> str:
    """`text` as a fenced block that no line of it can close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}yaml\n{text}{fence}\n"


@settings(max_examples=150, deadline=None)
@given(contracts())
def test_a_contract_inside_a_document_comes_back_word_for_word(contract: Contract) -> None:
    text = dump_yaml(contract)
    assert read_record(Contract, text, "contract") == contract
    page = f"---\nname: {contract.name}\ndescription: d\n---\n# A\n\n## Contract\n\n{fenced(text)}"
    report, draft = IMPORTER.convert(Source("a.md", page.encode()))
    assert draft == text
    assert report.valid
    assert report.agent_why.startswith("the document holds its whole contract")
    assert [section.part for section in report.sections] == ["role", "role", "contract"]


def exported(contract: Contract) -> str:
    """The subagent file of a contract, as `export` writes it."""
    return agent_markdown(
        CONTENT,
        contract,
        load_work(CONTENT)[contract.name],
        contract_place="contracts/copy.yaml",
        contract_sha256=hashlib.sha256(dump_yaml(contract).encode()).hexdigest(),
    )


@settings(max_examples=100, deadline=None)
@given(contracts())
def test_export_import_export_is_stable(contract: Contract) -> None:
    first = exported(contract)
    imported = IMPORTER.convert(Source("a.md", first.encode()))
    assert imported.draft == dump_yaml(contract)
    assert exported(read_record(Contract, imported.draft, "draft")) == first


@settings(max_examples=100, deadline=None)
@given(contracts())
def test_every_export_loads_and_keeps_every_documented_rule(contract: Contract) -> None:
    data = exported(contract).encode()
    loaded = load(data, "a.md")
    assert (loaded.verdict.name, loaded.verdict.notes) == (contract.name, ())
    assert list(broken_rules(data, loaded, plugin=True)) == []


@pytest.mark.parametrize("scope", SCOPES)
def test_the_shipped_team_goes_out_and_comes_back(scope: Scope, tmp_path: Path) -> None:
    def back(files: dict[str, str], name: str) -> Content:
        folder = tmp_path / name / "contracts"
        folder.mkdir(parents=True)
        for role in ROLES:
            (page,) = [text for path, text in files.items() if path.endswith(f"agents/{role}.md")]
            draft = IMPORTER.convert(Source(f"{role}.md", page.encode())).draft
            (folder / f"{role}.yaml").write_text(draft, encoding="utf-8")
        return Content(folder.parent)

    first = export_files(CONTENT, scope)
    second = export_files(back(first, "first"), scope)
    assert export_files(back(second, "second"), scope) == second
    assert load_contracts(Content(tmp_path / "second")) == BASES
    for path, text in first.items():
        if "contracts/" not in path:  # the copies lose the comments of the shipped files
            assert masked(second[path]) == masked(text), path


def masked(text: str) -> str:
    """`text` without checksums: a contract's is that of its file, comments included."""
    return re.sub(r"[0-9a-f]{64}", "SHA256", text)


@pytest.mark.parametrize("scope", SCOPES)
def test_the_shipped_team_passes_the_strict_check(scope: Scope, tmp_path: Path) -> None:
    export_agents(CONTENT, scope, tmp_path, force=False)
    plugin, user = tmp_path / "plugins" / "mlagent", tmp_path / "agents"
    folder = plugin if scope == "plugin" else user if scope == "user" else tmp_path
    found = check_folder(folder, strict=True)
    assert found.ok, [(file.file, file.rules) for file in found.files]
    assert found.place == ("plugin" if scope == "plugin" else "agents")
    assert sorted(str(file.verdict.name) for file in found.files) == sorted(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_a_loosened_copy_says_which_clauses_are_not_the_teams(role: Role) -> None:
    text = export_files(CONTENT, "project")[f".claude/agents/{role}.md"]
    same = IMPORTER.convert(Source(f"{role}.md", text.encode())).report
    assert same.statements == ()
    loose = text.replace("pids: 512", "pids: 4096").replace("required: true", "required: false")
    assert loose != text
    report = IMPORTER.convert(Source(f"{role}.md", loose.encode())).report
    assert "differs from the team's own in" in report.agent_why
    said = [row.text for row in report.statements]
    assert any("required" in line or "pids" in line or "optional" in line for line in said), said
