"""The shipped contracts: complete, consistent, enforced or labelled; each clause counts."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from mlagent.agents.registry import capped, explain, load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES, Record
from mlagent.contracts.contract import ENFORCEMENT, Contract, clauses
from mlagent.contracts.errors import BadInput
from mlagent.contracts.policy import ExecutionPolicy, ReviewPolicy, RoutingPolicy
from mlagent.contracts.ports import Limits
from mlagent.documents import load_yaml, validate_record

CONTENT = Content()
RAW = {role: load_yaml(CONTENT.text(f"contracts/{role}.yaml"), role) for role in ROLES}
POLICIES: dict[str, type[Record]] = {
    "routing": RoutingPolicy,
    "review": ReviewPolicy,
    "execution": ExecutionPolicy,
}


def leaves(kind: Any, path: str = "") -> Iterator[str]:
    """Paths of the leaf fields of a record, `[]` for items, `{}` for values."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            key = field.alias or name
            yield from leaves(field.annotation, f"{path}.{key}" if path else key)
    elif get_origin(kind) is tuple:
        yield from leaves(get_args(kind)[0], f"{path}[]")
    elif get_origin(kind) is dict:
        yield from leaves(get_args(kind)[1], f"{path}{{}}")
    elif hasattr(kind, "__metadata__"):
        yield from leaves(get_args(kind)[0], path)
    else:
        yield path


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and list item of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from spots(inner, (*path, key))


def without(document: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(document)
    at = changed
    for part in path[:-1]:
        at = at[part]
    del at[path[-1]]
    return changed


def test_every_leaf_field_has_an_enforcement_point_and_no_other_has() -> None:
    assert set(leaves(Contract)) == set(ENFORCEMENT)


def test_the_three_contracts_load_and_fit_together() -> None:
    contracts = load_contracts(CONTENT)
    assert tuple(contracts) == ROLES
    for contract in contracts.values():
        assert contract.resources.network == "none"
        assert 2 <= contract.planning.min_options <= contract.planning.max_options <= 3


@pytest.mark.parametrize("role", ROLES)
def test_leaving_out_any_key_is_an_error_and_any_item_changes_the_clauses(role: str) -> None:
    whole = validate_record(Contract, RAW[role], role)
    said = list(clauses(whole))
    for path in spots(RAW[role]):
        changed = without(RAW[role], path)
        try:
            smaller = validate_record(Contract, changed, role)
        except BadInput:
            continue
        assert path[-1] == "threshold" or isinstance(path[-1], int) or path[-2] == "options", path
        assert list(clauses(smaller)) != said, path


@pytest.mark.parametrize("name", POLICIES)
def test_leaving_out_any_key_of_a_policy_is_an_error(name: str) -> None:
    raw = load_yaml(CONTENT.text(f"orchestrator/{name}.yaml"), name)
    validate_record(POLICIES[name], raw, name)
    free = {"topics", "refusals"}  # maps of rules: `check_routing` compares them with the contracts
    for path in spots(raw):
        if isinstance(path[-1], int) or (len(path) == 2 and path[0] in free):
            continue
        with pytest.raises(BadInput):
            validate_record(POLICIES[name], without(raw, path), name)


@pytest.mark.parametrize("role", ROLES)
def test_explain_shows_each_clause_once_with_its_point(role: str) -> None:
    rows = explain(load_contracts(CONTENT)[role])
    paths = [path for path, _, _ in rows]
    assert len(paths) == len(set(paths))
    for section in Contract.model_fields:
        name = "schema" if section == "schema_" else section
        assert any(path.startswith(name) for path in paths), name
    assert {point for _, _, point in rows} >= {"router", "sandbox policy", "gate", "advisory"}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("resources", "network"), "allow-list", "allowed values: none"),
        (("guardrails", "privacy"), "trust-me", "aggregates-only"),
        (("tools", 0), "bash", "allowed values: fit, predict, folds"),
        (("writes", 0), "/etc/passwd", "match pattern"),
        (("resources", "memory_mb"), 0, "greater than or equal to 256"),
        (("name",), "ml-enginer", "did you mean 'ml-engineer'?"),
        (("planning", "min_options"), 1, "greater than or equal to 2"),
    ],
)
def test_what_no_tier_can_enforce_is_refused(path: Any, value: Any, said: str) -> None:
    changed = copy.deepcopy(RAW["ml-engineer"])
    at = changed
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    with pytest.raises(BadInput) as caught:
        validate_record(Contract, changed, "ml-engineer.yaml")
    assert said in str(caught.value)


def test_an_unknown_clause_is_refused() -> None:
    with pytest.raises(BadInput, match="the key 'mood' is not known"):
        validate_record(Contract, {**RAW["ml-engineer"], "mood": "good"}, "x")


@pytest.mark.parametrize(
    ("part", "wrong", "said"),
    [
        ("handoffs", [{"to": "user", "artifact": "nothing"}], "the handoff of 'nothing'"),
        (
            "success_criteria",
            [{"criterion": "x", "check": "gate: unknown-gate"}],
            "names no gate 'unknown-gate'",
        ),
        (
            "quality_gates",
            [{"name": "g", "metric": "primary", "comparison": "at_least", "required": True}],
            "needs a threshold",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(part: str, wrong: Any, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        validate_record(Contract, {**RAW["ml-engineer"], part: wrong}, "x")
    assert said in str(caught.value)


def overridden(tmp_path: Path, old: str, new: str, role: str) -> Content:
    (tmp_path / "contracts").mkdir()
    for name in ROLES:
        shutil.copy(CONTENT.path(f"contracts/{name}.yaml"), tmp_path / "contracts")
    file = tmp_path / "contracts" / f"{role}.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    return Content(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("from: data-explorer", "from: statistical-analyst", "is no output of"),
        ("name: ml-engineer", "name: data-explorer", "is the contract of 'ml-engineer'"),
        ("persona.md.j2", "gone.md.j2", "gone.md.j2"),
        ("artifact: schedule", "artifact: exploration", "also an output of"),
    ],
)
def test_contracts_that_do_not_fit_each_other_are_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(BadInput) as caught:
        load_contracts(overridden(tmp_path, old, new, "ml-engineer"))
    assert said in str(caught.value)


def test_globs_match_segments_never_names_alone() -> None:
    contract = load_contracts(CONTENT)["ml-engineer"]
    assert contract.may_read("/in/train.parquet")
    assert contract.may_read("/in/model/model.pkl")
    assert contract.may_write("/out/oof_3.npy")
    assert not contract.may_read("/in/deeper/train.parquet")
    assert not contract.may_read("/in/model/../../etc/passwd")
    assert not contract.may_read("in/train.parquet")
    assert not contract.may_write("/tmp/model.pkl")
    assert not contract.may_write("/out/sub/model.pkl")


def test_limits_are_capped_by_the_contract_and_never_raised() -> None:
    contract = load_contracts(CONTENT)["data-explorer"]
    small = Limits(wall_s=5, memory_mb=300, cpus=0.5, pids=9, output_mb=1)
    assert capped(small, contract) == small
    large = capped(
        Limits(wall_s=1e9, memory_mb=10**9, cpus=999, pids=9999, output_mb=9999), contract
    )
    assert large.wall_s == contract.resources.wall_s
    assert large.memory_mb == contract.resources.memory_mb
    assert large.output_mb == contract.resources.disk_mb


def test_the_schemas_on_disk_are_those_of_the_records(tmp_path: Path) -> None:
    import importlib.util

    path = Path(__file__).parents[2] / "tools" / "schemas.py"
    spec = importlib.util.spec_from_file_location("schemas", path)
    assert spec is not None
    assert spec.loader is not None
    schemas = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(schemas)
    assert schemas.main(["--check"]) == 0
    assert schemas.main(["--check"], tmp_path) == 1
    assert schemas.main([], tmp_path) == 0
    assert schemas.main(["--check"], tmp_path) == 0
