"""Which of the three agents an imported document is nearest to.

Guarantees: the same document gives the same answer, with the words that decided. Says None rather
than guessing when no agent, or more than one, fits: then a person says `--as`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mlagent.contracts.base import ROLES, Role

from .document import Document

_WORDS: dict[Role, str] = {
    "ml-engineer": r"machine[- ]learning|\bml\b|\bai/ml\b|mlops|predictive model|model training",
    "data-explorer": r"data explor|exploratory|\beda\b|data (profil|quality)|profil(e|ing) data",
    "statistical-analyst": r"statistic|hypothesis test|power analysis|experiment design|a/b test",
}


class Base(NamedTuple):
    """The agent, or None, and why."""

    agent: Role | None
    why: str


def choose_base(document: Document, chosen: Role | None) -> Base:
    """`chosen` when given; else by name; else by the words of title, name, description and role."""
    if chosen is not None:
        return Base(chosen, f"--as {chosen}")
    for said in (document.text("name"), document.title):
        name = re.sub(r"[^a-z0-9]+", "-", said.lower()).strip("-").removesuffix("-agent")
        for role in ROLES:
            if name == role:
                return Base(role, f"it is named {said!r}"[:120])
    about = " ".join(
        (
            document.text("name"),
            document.title,
            document.text("description"),
            document.first_words("role"),
        )
    ).lower()[:4000]
    found = {role: m.group() for role, words in _WORDS.items() if (m := re.search(words, about))}
    if len(found) == 1:
        role, word = next(iter(found.items()))
        return Base(role, f"it speaks of {word!r}")
    if found:
        several = ", ".join(f"{role} ({word!r})" for role, word in found.items())
        return Base(None, f"it could be any of {several}")
    return Base(None, f"nothing in it names the work of {', '.join(ROLES)}")
