"""Parts of a candidate that can be taken out, so that the host can measure what each is worth.

Two kinds are found in the code: a function that prepares something (every call of it gives way to
its first argument), and a named entry of a list of estimators (a Pipeline's step but the last, an
entry of a ColumnTransformer, FeatureUnion, voting or stacking). Guarantees: what is left parses and
still defines fit and predict; nothing is run here. Does not guarantee that it works without the
part: a part that the code cannot do without shows as a failure, which is an answer too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from mlagent.sandbox.sanitize import clean_line

from .code_edits import checked

NEVER = ("fit", "predict")
LONGEST = 80
"""Characters of a name."""
LISTS = {
    "Pipeline": ("steps", 1),
    "ColumnTransformer": ("transformers", 0),
    "FeatureUnion": ("transformer_list", 0),
    "VotingClassifier": ("estimators", 0),
    "VotingRegressor": ("estimators", 0),
    "StackingClassifier": ("estimators", 0),
    "StackingRegressor": ("estimators", 0),
}
"""Class -> the name of its list, and how many entries at its end stay (a Pipeline's estimator)."""


class Block(NamedTuple):
    """A part, and the candidate's code without it."""

    name: str
    code: str


def blocks_of(code: str, most: int = 20) -> list[Block]:
    """Parts that can be taken out of this code; none of code that is nested too deeply.

    Args:
        most: after so many, and after twice as many tries, it is enough: each reads the whole code
            again.
    """
    try:
        return _blocks(code, most)
    except RecursionError:
        return []


def _blocks(code: str, most: int) -> list[Block]:
    tree = ast.parse(code)
    found: list[Block] = []
    tries: Iterable[tuple[str, Callable[[ast.Module], ast.AST]]] = chain(
        ((f"function {name[:LONGEST]}", _Bypass(name).visit) for name in _functions(tree)),
        (
            (f"entry {_name_of(entry)} of {kind}", partial(_dropped, number=number))
            for number, (kind, entry) in enumerate(_entries(tree))
        ),
    )
    for name, without in islice(tries, 2 * most):
        _keep(found, name, without(ast.parse(code)))
        if len(found) == most:
            break
    return found


def _keep(found: list[Block], name: str, tree: ast.AST) -> None:
    """Add it, when it is a candidate in form and its name is new."""
    try:
        without = checked(ast.unparse(ast.fix_missing_locations(tree)))
    except ValueError:
        return
    if all(block.name != name for block in found):
        found.append(Block(name, without))


def _functions(tree: ast.Module) -> list[str]:
    """Functions of the module that are called with an argument, fit and predict apart."""
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and _has_first(node)
    }
    return [name for name in defined if name in called and name not in NEVER]


def _has_first(call: ast.Call) -> bool:
    return bool(call.args) and not isinstance(call.args[0], ast.Starred)


class _Bypass(ast.NodeTransformer):
    """Every call of one function gives way to its first argument; its definition stays."""

    def __init__(self, name: str) -> None:
        self.name = name

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        own = isinstance(node.func, ast.Name) and node.func.id == self.name
        return node.args[0] if own and _has_first(node) else node


def _entries(tree: ast.AST) -> list[tuple[str, ast.Tuple]]:
    """(class, entry) of all entries that may go, in the order in which they stand."""
    found = [one for node in ast.walk(tree) for one in _droppable(node)]
    return sorted(found, key=lambda one: (one[1].lineno, one[1].col_offset))


def _droppable(node: ast.AST) -> list[tuple[str, ast.Tuple]]:
    """Entries of this call's list that may go; one at least always stays."""
    if not isinstance(node, ast.Call):
        return []
    kind = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if kind not in LISTS:
        return []
    name, last = LISTS[kind]
    given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == name)]
    if not given or not isinstance(given[0], ast.List):
        return []
    entries = given[0].elts
    named = [one for one in entries if isinstance(one, ast.Tuple) and _name_of(one)]
    if len(entries) < 2 or len(named) < len(entries):
        return []
    return [(kind, one) for one in named[: len(named) - last]]


def _name_of(entry: ast.Tuple) -> str:
    """Of `("scale", Scaler())`, fit for a terminal; '' where the first is no text."""
    match entry.elts:
        case [ast.Constant(value=str(name)), *_]:
            return clean_line(name, LONGEST)
    return ""


def _dropped(tree: ast.Module, number: int) -> ast.Module:
    """The tree without its n-th entry that may go."""
    _, gone = _entries(tree)[number]
    for node in ast.walk(tree):
        if isinstance(node, ast.List) and gone in node.elts:
            node.elts.remove(gone)
    return tree
