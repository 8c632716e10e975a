"""Which column does the sentence mean? Words against names, values and shapes.

Guarantees: pure; scores come from general knowledge of words (`words`) and from the profile; two
close columns are never decided (the caller asks). Does not: read the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlagent.contracts.errors import BadInput
from mlagent.contracts.profile import ColumnProfile, Profile

from .words import (
    BINARY_WORDS,
    CHANCES,
    CLASS_WORDS,
    CONVENTIONAL,
    INPUT_MARKERS,
    NUMBER_WORDS,
    OUTCOMES,
    SHORT,
    SIDE_MARKERS,
    STOP,
    concepts_of,
    name_tokens,
    similarity,
    stem,
)

ENOUGH = 0.70
MARGIN = 0.18
LARGEST = 1e100
"""Of a regression's target: sums of squares stay finite with room for cubes and weights."""
_TOKEN = re.compile(r"[A-Za-z]+|[<>]=?|\d[\d,.]*[kKmM]?")
_SUBJECT = re.compile(
    r"\b(?:(?:what|how much|how long|whether|if)\s+(?:(?:does|do|did|will|would)\s+)?"
    r"(?:an?|the|each|this|our|my|every)|which)\s+([a-z]+)",
    re.IGNORECASE,
)
"""'what a passenger pays': the passenger is who it is about, not what is predicted."""
CALENDAR = frozenset(
    {
        "year",
        "month",
        "week",
        "day",
        "weekday",
        "hour",
        "minute",
        "date",
        "time",
        "season",
        "quarter",
    }
)
EMPTY_NAME_WORDS = frozenset(
    {"is", "has", "the", "of", "flag", "ind", "indicator", "total", "next"}
)


@dataclass(frozen=True)
class Weighed:
    """A candidate for the target. `how` names the words that matched."""

    name: str
    score: float
    how: str
    verbatim: bool = False


def rank_targets(sentence: str, profile: Profile) -> list[Weighed]:
    """All eligible columns, best first."""
    words = _weigh(sentence)
    families = _families(profile)
    last = profile.columns[-1].name
    found = []
    for column in profile.columns:
        if column.role in ("id", "constant", "excluded") or column.role in ("text", "datetime"):
            continue
        if column.dtype == "str" and column.distinct > 100:
            continue
        found.append(_score(column, sentence, words, families, last))
    return sorted(found, key=lambda one: -one.score)


def unfit_target(sentence: str, profile: Profile, ranked: list[Weighed]) -> str | None:
    """A constant or a date that the sentence clearly means, more than any of `ranked`; else None.

    It cannot be learned: to say so helps more than to ask about the other columns.
    """
    best = decide(ranked)
    if best is not None and best.verbatim:
        return None
    words, last = _weigh(sentence), profile.columns[-1].name
    unfit = [
        _score(column, sentence, words, set(), last)
        for column in profile.columns
        if column.role in ("constant", "datetime")
    ]
    meant = decide(sorted([*unfit, *ranked], key=lambda one: -one.score))
    return meant.name if meant is not None and meant in unfit and meant.verbatim else None


def named_unfit(sentence: str, profile: Profile) -> ColumnProfile | None:
    """The column that the sentence names although `rank_targets` leaves it out: an id, free text,
    or one of too many texts."""
    ranked = {one.name for one in rank_targets(sentence, profile)}
    for column in profile.columns:
        tokens = name_tokens(column.name)
        if column.name not in ranked and _verbatim(column.name, tokens, sentence):
            return column
    return None


def check_size(name: str, largest: float) -> None:
    """Raises BadInput for a target whose errors are too large to be squared."""
    if largest > LARGEST:
        raise BadInput(
            f"The target {name!r} has values as large as {largest:.3g}: above {LARGEST:g} their "
            "squares are too large to be computed.",
            remedy="Rescale it (divide it by a constant, or take its logarithm), or choose another "
            "column with --target.",
        )


def check_defined(name: str, metric: str | None, zeros: int, negatives: int) -> None:
    """Raises BadInput for a metric that has no value on this target: MAPE with zeros, RMSLE with
    numbers below 0."""
    for asked, count, what, other in (
        ("mape", zeros, "0", "mae or rmsle"),
        ("rmsle", negatives, "below 0", "rmse or mae"),
    ):
        if metric == asked and count:
            values = "value is" if count == 1 else "values are"
            raise BadInput(
                f"{asked.upper()} has no value here: {count:,} {values} {what} in the target "
                f"{name!r}.",
                remedy=f"Choose another metric: --metric {other}.",
            )


def decide(ranked: list[Weighed]) -> Weighed | None:
    """The best one if it is good enough and clearly ahead, else None."""
    if not ranked or ranked[0].score < ENOUGH:
        return None
    if len(ranked) > 1 and ranked[0].score - ranked[1].score < MARGIN:
        return None
    return ranked[0]


def _weigh(sentence: str) -> list[tuple[str, float]]:
    """Content words with their weight: less after "of", "in", "their"; none after "from",
    "using"."""
    subjects = {match.group(1).lower() for match in _SUBJECT.finditer(sentence)}
    weight, words, before = 1.0, [], ""
    for match in _TOKEN.finditer(_spread(sentence)):
        word = match.group().lower()
        if word in INPUT_MARKERS:
            weight = 0.0
        elif word in SIDE_MARKERS and weight and before not in CHANCES:
            weight = 0.55
        elif word == "will" or (word in CHANCES and weight):
            weight = 1.0
        before = word
        if word in STOP or word in SIDE_MARKERS or word in INPUT_MARKERS:
            continue
        if word.isalpha() and len(word) > 1:
            words.append((word, weight * (0.55 if word in subjects else 1.0)))
    return words


def _spread(sentence: str) -> str:
    """camelCase and snake_case in a sentence are read as words."""
    return " ".join(
        " ".join(name_tokens(word)) if re.search(r"[a-z][A-Z]|_", word) else word
        for word in sentence.split()
    )


def _families(profile: Profile) -> set[str]:
    """Columns such as PAY_1, PAY_2, PAY_3: one of a numbered family is rarely the target."""
    bases: dict[str, list[str]] = {}
    for column in profile.columns:
        base = re.sub(r"[\s_.-]*\d+$", "", column.name).lower()
        if base != column.name.lower():
            bases.setdefault(base, []).append(column.name)
    return {name for names in bases.values() if len(names) >= 2 for name in names}


def _score(
    column: ColumnProfile,
    sentence: str,
    words: list[tuple[str, float]],
    families: set[str],
    last: str,
) -> Weighed:
    tokens = name_tokens(column.name)
    core = [token for token in tokens if token not in EMPTY_NAME_WORDS] or tokens
    best: dict[str, tuple[float, str]] = {}
    outcome = False
    for token in core:
        for word, weight in words:
            alike = similarity(word, token) * weight
            if alike > best.get(token, (0.0, ""))[0]:
                best[token] = (alike, word)
        if token in best and best[token][0] >= 0.4:
            outcome |= bool(
                concepts_of(best[token][1]) & concepts_of(SHORT.get(token, token)) & OUTCOMES
            )
    verbatim = _verbatim(column.name, tokens, sentence)
    plain = column.name.strip().lower()
    if verbatim and not best and plain not in STOP | SIDE_MARKERS | INPUT_MARKERS:
        best[core[0]] = (1.0, column.name)  # 'z' or 'y1': too short to be read as a word
    strength = max((one for one, _ in best.values()), default=0.0)
    coverage = sum(one for one, _ in best.values()) / max(len(core), 1)
    score = strength * (0.35 + 0.65 * coverage)
    reasons = [f"{word!r}" for _, word in best.values() if word]
    if best and coverage < 0.6 and not outcome and core[-1] not in best:
        score -= 0.3  # 'house' of 'House Style': the noun at the end of the name is what it is
    if verbatim:
        score += 0.12
    if outcome:
        score += 0.2
    value = _value_match(column, words, sentence)
    if value:
        score = max(score, 0.72) + 0.1
        reasons.append(f"{value!r} (one of its values)")
    if plain in CONVENTIONAL:
        score += 0.72
        reasons.append("the conventional name")
    if column.name == last:
        score += 0.12
        if reasons:
            reasons.append("the last column")
    score -= _mismatch(column, sentence)
    if not verbatim and {SHORT.get(token, token) for token in core} <= CALENDAR:
        score -= 0.3
    if column.name in families:
        score -= 0.3
    return Weighed(column.name, round(score, 4), ", ".join(dict.fromkeys(reasons)), verbatim)


def _verbatim(name: str, tokens: list[str], sentence: str) -> bool:
    """The column's whole name stands in the part of the sentence that names the target."""
    if not tokens:
        return False
    head = re.split(r"\b(?:from|using|based on|given|with|by|via|knowing)\b", sentence, flags=re.I)[
        0
    ]
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", head):
        return True
    return f" {' '.join(tokens)} " in f" {' '.join(name_tokens(_spread(head)))} "


def _value_match(
    column: ColumnProfile, words: list[tuple[str, float]], sentence: str
) -> str | None:
    """A value that the sentence names: 'spam' of ham/spam, '>50K' of "more than 50,000"."""
    values = [value for value, _ in column.top]
    if column.dtype == "bool" or not 2 <= column.distinct <= 12 or not values:
        return None
    amounts = {_amount(text) for text in re.findall(r"\d[\d,.]*\s?[kKmM]?\b", sentence)} - {None}
    for value in values:
        sign = re.fullmatch(r"\s*[<>]=?\s*\$?(\d[\d,.]*\s?[kKmM]?)\s*", value)
        if sign and amounts and _amount(sign.group(1)) in amounts:
            return value
        plain = value.strip().lower()
        if (
            not plain.isalpha()
            or len(plain) < 3
            or plain in ("yes", "not", "true", "false", "other")
        ):
            continue
        for word, weight in words:
            if weight < 1.0:
                continue
            same = word == plain or (len(plain) > 3 and stem(word) == stem(plain))
            shared = concepts_of(word) & concepts_of(plain) & OUTCOMES
            if same or (shared and column.distinct == 2):
                return value
    return None


def _amount(text: str) -> float | None:
    """'50,000' and '50K' are the same amount."""
    cleaned = text.strip().replace(",", "").rstrip(".").lower()
    factor = {"k": 1e3, "m": 1e6}.get(cleaned[-1:], 1.0)
    try:
        return float(cleaned.rstrip("km ")) * factor
    except ValueError:
        return None


def _mismatch(column: ColumnProfile, sentence: str) -> float:
    """How badly the column's shape contradicts what the sentence asks for."""
    yes_no = BINARY_WORDS.search(sentence) is not None
    amount = NUMBER_WORDS.search(sentence) is not None
    classes = CLASS_WORDS.search(sentence) is not None
    penalty = 0.0
    if yes_no and not amount and not classes and column.distinct != 2:
        penalty += 0.4 if column.role == "number" and column.distinct > 20 else 0.3
    if amount and not classes and not yes_no:
        if column.role != "number":
            penalty += 0.5
        elif column.distinct <= 2:
            penalty += 0.4
    if classes and not amount and column.role == "number" and column.distinct > 30:
        penalty += 0.2
    return penalty
