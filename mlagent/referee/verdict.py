"""The verdict in plain words, made in code from measured numbers. No language model writes here.

Guarantees: "better" and "worse" stand only where the paired interval says so, otherwise "not
distinguishable"; every weakness that is known (few rows, openings, tries, tier, suspects, no vault)
has its sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlagent.contracts.evaluation import Difference, Score
from mlagent.contracts.metrics import METRICS

SMALL_ROWS = 500
FEW_CLUSTERS = 10
"""Groups below which an interval that draws whole groups is known to be too narrow."""
FEW_OF_A_CLASS = 20
"""Judged rows of a class below which draws from them repeat the same few too often."""
MANY_TRIES = 20
CONTAINER_TIER = "T3"
PERFECT = {"maximize": 1.0, "minimize": 0.0}
NEARLY = 0.001
"""Nearly perfect: so small a share of the way from the dummy to perfect is left."""
WHY_SUSPECT = {
    False: "It predicts the target almost alone",
    True: "They predict the target almost alone, each or together (the findings say how)",
}

CANNOT_SEE: tuple[str, ...] = (
    "Leakage inside features: a column that is known only after the outcome looks like a good "
    "column.",
    "Near-duplicates: rows that differ in a digit may lie on both sides of the split.",
    "Transduction: a candidate may use the whole batch that it is asked to predict.",
    "Selection over many tries: whoever looks at many scores keeps a lucky one; the number of "
    "tries stands beside the score.",
    "Public data that a model has memorised.",
    "Small vaults: what few judged rows cannot show; the interval says how much.",
)


@dataclass(frozen=True)
class VerdictFacts:
    """What the verdict is made from.

    Attributes:
        chosen_over: a sentence when linear ships instead of the chosen option
            (`leaderboard.choose`).
        notes: further sentences: rows shared across the split, a model trained on a sample, a
            refit.
        rarest: the class with the fewest judged rows, and how many; None for a regression.
        clusters: groups or blocks of time that the judged rows form; None for independent rows.
    """

    metric: str
    judged_on: Literal["vault", "out-of-fold", "test file"]
    model_name: str
    model: Score
    dummy: Score
    linear: Score
    to_dummy: Difference
    to_linear: Difference
    opening: int
    tries: int
    tier: str
    suspects: tuple[str, ...] = ()
    chosen_over: str = ""
    notes: tuple[str, ...] = ()
    rarest: tuple[str, int] | None = None
    clusters: int | None = None


def number(value: float) -> str:
    """A score for people: four digits after the point below 10, fewer above."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"


def signed(value: float) -> str:
    """A difference for people: as `number`, with its sign; three significant digits when it is
    tiny."""
    if 0 < abs(value) < 0.001:
        return f"{value:+.3g}"
    return f"{'-' if value < 0 else '+'}{number(abs(value))}"


def compose_verdict(facts: VerdictFacts) -> str:
    """The verdict: one paragraph of sentences."""
    said = [_score(facts)]
    if facts.chosen_over:
        said.append(facts.chosen_over)
    said.append(_beside("the dummy, which ignores every feature", facts.dummy, facts.to_dummy))
    if facts.model_name != "linear":
        said.append(_beside("the linear baseline", facts.linear, facts.to_linear))
    said.extend(_weaknesses(facts))
    said.extend(facts.notes)
    return " ".join(said)


def _score(facts: VerdictFacts) -> str:
    info = METRICS[facts.metric]
    way = "higher" if info.direction == "maximize" else "lower"
    where = {
        "vault": f"{facts.model.n:,} vault rows that it has never seen",
        "test file": f"the {facts.model.n:,} rows of the test file",
        "out-of-fold": f"{facts.model.n:,} rows, out-of-fold",
    }[facts.judged_on]
    return (
        f"{facts.model_name}: {info.title} {number(facts.model.value)} (95 % interval "
        f"{number(facts.model.low)} to {number(facts.model.high)}, {way} is better) on {where}."
    )


def _beside(name: str, baseline: Score, gap: Difference) -> str:
    words = {
        "better": f"It is better than {name}",
        "worse": f"It is worse than {name}",
        "not distinguishable": f"It is not distinguishable from {name}",
    }[gap.verdict]
    return (
        f"{words} ({number(baseline.value)}; paired difference {signed(gap.value)}, "
        f"95 % interval {signed(gap.low)} to {signed(gap.high)}, positive is better)."
    )


def _weaknesses(facts: VerdictFacts) -> list[str]:
    said: list[str] = []
    if facts.judged_on == "out-of-fold":
        said.append(
            "There is no vault: this is an out-of-fold score of the recipe. The model that "
            "ships was fitted on all rows and is itself unscored."
        )
    if facts.to_dummy.verdict != "better":
        said.append("It has not been shown to have learned anything: do not use it.")
    if _nearly_perfect(facts):
        said.append(
            "So nearly perfect a score is more often a leak than a success: look at the features."
        )
    if facts.model.n < SMALL_ROWS:
        said.append(
            f"Only {facts.model.n:,} rows were judged: differences smaller than the intervals "
            "cannot be seen."
        )
    if facts.clusters is not None and facts.clusters < FEW_CLUSTERS:
        said.append(
            f"The judged rows are of only {facts.clusters} groups (or blocks of time): every "
            "interval here is too narrow, and better or worse may be the luck of those few."
        )
    if facts.rarest is not None and facts.rarest[1] < FEW_OF_A_CLASS:
        name, count = facts.rarest
        verb = "is" if count == 1 else "are"
        said.append(
            f"Only {count} of the judged rows {verb} of class {name!r}: every interval here is too "
            "narrow, and what it calls better or worse may be the luck of those few."
            if count
            else f"None of the judged rows is of class {name!r}: nothing here says how well it is "
            "found."
        )
    if facts.suspects:
        names = ", ".join(repr(name) for name in facts.suspects)
        said.append(
            f"Suspect, kept: {names}. {WHY_SUSPECT[len(facts.suspects) > 1]}; what is known only "
            "after the outcome should be excluded, and the run repeated."
        )
    if facts.judged_on != "out-of-fold" and facts.opening > 1:
        said.append(
            f"This is opening {facts.opening} of the same vault: each look wears it out, later "
            "scores flatter."
        )
    if facts.tries > MANY_TRIES:
        said.append(
            f"{facts.tries} candidates have been scored on these dev rows: the best of many is "
            "partly luck."
        )
    if facts.tier != CONTAINER_TIER:
        said.append(
            f"The code ran at tier {facts.tier}, without a container: that labels stayed out of "
            "its reach was not enforced."
        )
    return said


def _nearly_perfect(facts: VerdictFacts) -> bool:
    best = PERFECT[METRICS[facts.metric].direction]
    return abs(best - facts.model.value) <= NEARLY * abs(best - facts.dummy.value)
