"""The template author's candidates: folders with solution.py, spec.json and README.md.

Guarantees: a rendered solution.py compiles and holds no value from the table (column names, labels
and settings travel in spec.json). It runs nothing and does not know how well a candidate scores.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from mlagent.content import Content
from mlagent.contracts.candidate import CandidateSpec
from mlagent.contracts.errors import BadInput, MlagentError

from .environment import environment
from .portfolio import MEMBER_KINDS, MONOTONE_KINDS, default_members

CandidateName = Literal["linear", "option_a", "option_b", "option_c"]

_BASE = ("numpy", "pandas", "scikit-learn", "scipy")
_KIND_PACKAGES = {"lightgbm": ("lightgbm",), "catboost": ("catboost",)}

__all__ = ["CandidateName", "default_members", "render_candidate", "required_packages"]


def required_packages(
    name: CandidateName, members: Iterable[Mapping[str, Any]] = ()
) -> tuple[str, ...]:
    """Names on PyPI that the candidate imports, sorted."""
    packages = set(_BASE)
    if name != "linear":
        packages.add("threadpoolctl")
    if name in ("option_b", "option_c"):
        packages.add("lightgbm")
    if name == "option_b":
        packages.add("optuna")
    if name == "option_c":
        for member in members:
            packages.update(_KIND_PACKAGES.get(str(member.get("kind")), ()))
    return tuple(sorted(packages))


def _learner_kinds(members: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    kinds = []
    for member in members:
        kind = member.get("kind")
        if kind not in MEMBER_KINDS:
            raise BadInput(
                f"The ensemble member {dict(member)!r} has the unknown kind {kind!r}.",
                remedy=f"Use one of {', '.join(MEMBER_KINDS)}.",
            )
        kinds.append("forest" if kind in ("extra_trees", "random_forest") else str(kind))
    return tuple(sorted(set(kinds)))


def _with_members(name: CandidateName, spec: CandidateSpec) -> CandidateSpec:
    if name != "option_c":
        return spec
    monotone = bool(spec.monotone)
    members = spec.members
    if monotone:
        members = tuple(m for m in members if m.get("kind") in MONOTONE_KINDS)
    if not members:
        columns = len(spec.columns)
        members = default_members(spec.task, 10_000, columns, spec.budget_s, monotone)
    return spec.model_copy(update={"members": members})


def _check_monotone(name: CandidateName, spec: CandidateSpec) -> None:
    if not spec.monotone or name == "linear":  # the baseline is the same for every task
        return
    asked = ", ".join(repr(column) for column in spec.monotone)
    if spec.task == "multiclass":
        raise BadInput(
            f"monotone needs binary or regression; {spec.target!r} is multiclass, so that a "
            f"prediction cannot be monotone in {asked}.",
            remedy="Leave the monotone constraint out.",
        )
    if name == "option_a":
        raise BadInput(
            f"option_a cannot keep its predictions monotone in {asked}.",
            remedy="Choose option_b (or option_c), or leave the monotone constraint out.",
        )
    for column in spec.monotone:
        facts = spec.columns.get(column)
        numeric = facts is not None and facts.dtype in ("float64", "int64", "bool")
        if facts is None or facts.role in ("text", "datetime") or not numeric:
            found = "not a feature" if facts is None else f"a {facts.role} of {facts.dtype}"
            raise BadInput(
                f"monotone needs a column of numbers; {column!r} is {found}.",
                remedy="Name a column of numbers, or leave the monotone constraint out.",
            )


def render_candidate(
    content: Content, name: CandidateName, spec: CandidateSpec, into: Path
) -> None:
    """Write solution.py, spec.json and README.md into the folder `into` (made if absent).

    An option_c without members gets the default list. With `spec.monotone`, option_b and option_c
    keep to it (members that cannot are left out); `linear`, the baseline, does not know of it.

    Raises:
        BadInput: an entry of `spec.members` has an unknown kind; or `spec.monotone` asks for what
            the candidate, the task or the column cannot do.
        MlagentError: the template does not render, or renders something that is not Python.
    """
    _check_monotone(name, spec)
    _learner_kinds(spec.members)
    spec = _with_members(name, spec)
    values = {"kinds": _learner_kinds(spec.members) if name == "option_c" else ()}
    shop = environment(content, "candidates")
    try:
        code = shop.get_template(f"{name}.py.j2").render(**values).rstrip() + "\n"
        words = shop.get_template(f"{name}.md.j2").render(**values)
    except Exception as problem:
        raise MlagentError(
            f"The candidate template {name!r} does not render: {problem}.",
            remedy="Correct it below the --content folder, or leave --content out.",
        ) from problem
    try:
        compile(code, f"{name}/solution.py", "exec")
    except (SyntaxError, ValueError) as problem:
        raise MlagentError(
            f"The candidate template {name!r} renders to something that is not Python: {problem}.",
            remedy="Correct it below the --content folder, or leave --content out.",
        ) from problem
    into.mkdir(parents=True, exist_ok=True)
    (into / "solution.py").write_text(code, encoding="utf-8")
    text = json.dumps(spec.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
    (into / "spec.json").write_text(text + "\n", encoding="utf-8")
    (into / "README.md").write_text(words, encoding="utf-8")
