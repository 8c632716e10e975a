"""Rendering: what the environment refuses, what a candidate folder holds."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from jinja2 import TemplateNotFound
from jinja2.exceptions import SecurityError, UndefinedError

from mlagent.content import Content
from mlagent.contracts.candidate import CandidateSpec
from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.templates.candidates import default_members, render_candidate, required_packages
from mlagent.templates.environment import environment, literal, render

NAMES = ("linear", "option_a", "option_b", "option_c")
SPEC = CandidateSpec.model_validate(
    {
        "task": "binary", "target": "y", "classes": ("no", "yes"), "metric": "roc_auc",
        "direction": "maximize",
        "columns": {'"); import os #': {"role": "number", "dtype": "float64"}},
        "split": {"kind": "stratified"}, "budget_s": 5.0,
    }
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_rendered_folder_has_code_spec_and_a_short_readme(
    name: str, folders: dict[str, Path]
) -> None:
    folder = folders[name]
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "README.md",
        "solution.py",
        "spec.json",
    ]
    CandidateSpec.model_validate_json((folder / "spec.json").read_text())
    assert 5 <= len((folder / "README.md").read_text().splitlines()) <= 12


@pytest.mark.parametrize("name", NAMES)
def test_a_rendered_solution_passes_the_linter(name: str, folders: dict[str, Path]) -> None:
    try:
        importlib.metadata.version("ruff")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("ruff is not installed")
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--no-cache",
        str(folders[name]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_imports_what_it_requires_and_nothing_of_mlagent(
    name: str, folders: dict[str, Path]
) -> None:
    tree = ast.parse((folders[name] / "solution.py").read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    found = {"scikit-learn" if x == "sklearn" else x for x in found - set(sys.stdlib_module_names)}
    members = json.loads((folders[name] / "spec.json").read_text())["members"]
    assert sorted(found) == list(required_packages(name, members))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_no_value_of_the_spec_is_in_the_code(
    name: str, tmp_path: Path, folders: dict[str, Path]
) -> None:
    members = json.loads((folders[name] / "spec.json").read_text())["members"]
    spec = SPEC.model_copy(update={"members": tuple(members)})
    render_candidate(Content(), name, spec, tmp_path)  # type: ignore[arg-type]
    code = (tmp_path / "solution.py").read_bytes()
    assert code == (folders[name] / "solution.py").read_bytes()
    assert '"); import os #' in json.loads((tmp_path / "spec.json").read_text())["columns"]


def test_an_ensemble_imports_only_the_packages_of_its_members(tmp_path: Path) -> None:
    members = ({"kind": "lightgbm"}, {"kind": "linear"})
    spec = SPEC.model_copy(update={"members": members})
    render_candidate(Content(), "option_c", spec, tmp_path)
    assert "catboost" not in required_packages("option_c", members)
    assert "import catboost" not in (tmp_path / "solution.py").read_text()


def test_an_unknown_member_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"members": ({"kind": "oracle"},)})
    with pytest.raises(BadInput, match=r"'oracle'.*lightgbm"):
        render_candidate(Content(), "option_c", spec, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_template_that_renders_no_python_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "content" / "templates" / "candidates"
    folder.mkdir(parents=True)
    (folder / "linear.py.j2").write_text("def fit(:\n")
    with pytest.raises(MlagentError, match="not Python"):
        render_candidate(Content(tmp_path / "content"), "linear", SPEC, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_default_members_depend_on_the_task() -> None:
    kinds = {m["kind"] for m in default_members("binary", 1000, 10, 30.0)}
    assert {"lightgbm", "catboost", "linear", "extra_trees"} <= kinds
    assert any(m["params"].get("log") for m in default_members("regression", 1000, 10, 30.0))
    assert not any(m["params"].get("log") for m in default_members("multiclass", 1000, 10, 30.0))


@pytest.mark.parametrize(
    "value", [None, True, 3, -2.5, "\"); import os #\n'''\u202e", [1, ["a"]], {"a": (1, 2)}]
)
def test_a_literal_reads_back_as_the_same_data(value: object) -> None:
    back = ast.literal_eval(literal(value))
    assert json.dumps(back) == json.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), pd.Timestamp(0), b"x"])
def test_what_is_not_plain_data_has_no_literal(value: object) -> None:
    with pytest.raises(MlagentError, match="literal"):
        literal(value)


def test_templates_outside_the_content_are_not_found() -> None:
    shop = environment(Content(), "candidates")
    for name in ("../../pyproject.toml", "/etc/passwd", "parts/../../x", "a\\b", ""):
        with pytest.raises(TemplateNotFound):
            shop.get_template(name)


def test_undefined_names_and_attribute_tricks_are_errors() -> None:
    shop = environment(Content())
    with pytest.raises(UndefinedError):
        shop.from_string("{{ nothing }}").render()
    with pytest.raises(SecurityError):
        shop.from_string("{{ ().__class__.__mro__ }}").render()


def test_html_templates_are_escaped_and_others_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "page.html.j2").write_text("{{ x }}")
    (folder / "page.md.j2").write_text("{{ x }}")
    content = Content(tmp_path)
    assert render(content, "page.html.j2", x="<script>") == "&lt;script&gt;"
    assert render(content, "page.md.j2", x="<b>") == "<b>"


def test_a_missing_template_is_a_sentence() -> None:
    with pytest.raises(MlagentError, match="missing"):
        render(Content(), "no/such.j2")
