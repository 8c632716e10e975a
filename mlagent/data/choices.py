"""The positive class and the metric: from flags, then from words, then from the data.

Guarantees: each choice comes with an Inference that says how it was made; a flag that does not fit
is an error with the allowed values. Does not: choose the target or the kind of task (`infer`).
"""

from __future__ import annotations

import re

from mlagent.contracts.base import TaskKind
from mlagent.contracts.errors import BadInput
from mlagent.contracts.metrics import DEFAULT_METRIC, METRICS
from mlagent.contracts.task import Inference

from .words import concepts_of

YES = ("yes", "true", "1", "y", "t", "positive", "pos", "+", "1.0")
NO = ("no", "false", "0", "n", "f", "negative", "neg", "-", "0.0", "none", "normal", "ok")
_QUANTILE = re.compile(
    r"\b(?P<before>\d{1,2}(?:\.\d+)?)(?:st|nd|rd|th|\s?%|\spercent)?[-\s](?:percentile|quantile)\b"
    r"|\b(?:percentile|quantile)(?: of)? (?P<after>\d{1,2}(?:\.\d+)?)\b",
    re.IGNORECASE,
)


def given(field: str, value: str, flag: str) -> Inference:
    return Inference(field=field, value=value, how=f"given by {flag}", confidence="given")


def is_whole(text: str) -> bool:
    try:
        return float(text).is_integer()
    except ValueError:
        return False


def choose_positive(
    sentence: str, target: str, counts: dict[str, int], flag: str | None
) -> tuple[str, Inference]:
    if flag is not None:
        if flag in counts:
            return flag, given("positive", flag, "--positive")
        folded = {name.strip().lower(): name for name in counts}
        if flag.strip().lower() in folded:
            name = folded[flag.strip().lower()]
            how = f"--positive {flag!r}, as the file writes it"
            return name, Inference(field="positive", value=name, how=how, confidence="given")
        raise BadInput(
            f"--positive {flag!r} is not a class of {target!r}.",
            remedy=f"Its classes are: {', '.join(map(repr, counts))}.",
        )

    def said(name: str, how: str, sure: str) -> tuple[str, Inference]:
        confidence = "certain" if sure == "certain" else "likely" if sure == "likely" else "guess"
        return name, Inference(field="positive", value=name, how=how, confidence=confidence)

    first, second = counts
    lowered = {name: name.strip().lower() for name in counts}
    yes = [name for name in counts if lowered[name] in YES]
    no = [name for name in counts if lowered[name] in NO]
    if len(yes) == 1 and len(no) == 1:
        return said(yes[0], f"{yes[0]!r} says yes, {no[0]!r} says no", "certain")
    words = set(re.findall(r"[a-z]+", sentence.lower()))
    concepts = {concept for word in words for concept in concepts_of(word)}
    named = [
        name
        for name in counts
        if set(re.findall(r"[a-z]+", lowered[name])) & words
        or any(concepts_of(word) & concepts for word in re.findall(r"[a-z]+", lowered[name]))
    ]
    if len(named) == 1:
        return said(named[0], f"the sentence speaks of {named[0]!r}", "likely")
    more = re.search(r"\b(more|over|above|exceed\w*|at least|greater|high\w*)\b", sentence.lower())
    greater = [name for name in counts if name.strip().startswith(">")]
    if more and len(greater) == 1:
        return said(greater[0], f"the sentence says {more.group()!r}", "likely")
    codes = all(is_whole(name) for name in counts)  # 1 and 2: the numbers do not say which is yes
    if len(yes) == 1 and not codes:
        return said(yes[0], f"{yes[0]!r} says yes", "likely")
    if len(no) == 1 and not codes:
        other = second if no[0] == first else first
        return said(other, f"{no[0]!r} says no", "likely")
    rare = min(counts, key=lambda name: (counts[name], name))
    if counts[first] == counts[second]:
        rare = max(counts)
        return said(rare, "both classes are equally frequent; the last one in order", "guess")
    return said(rare, f"the rarer class ({counts[rare]} rows)", "likely")


def allowed_metrics(kind: TaskKind) -> str:
    return ", ".join(name for name, info in METRICS.items() if kind in info.tasks)


def known_metric(metric: str) -> None:
    if metric not in METRICS:
        import difflib

        near = difflib.get_close_matches(metric.lower(), METRICS, n=2)
        hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise BadInput(
            f"--metric {metric!r} is not known.", remedy=f"{hint}Known: {', '.join(METRICS)}."
        )


def choose_metric(sentence: str, kind: TaskKind, flag: str | None) -> tuple[str, Inference]:
    if flag is not None:
        known_metric(flag)
        if kind not in METRICS[flag].tasks:
            raise BadInput(
                f"--metric {flag} does not fit a {kind} task.",
                remedy=f"Allowed here: {allowed_metrics(kind)}.",
            )
        return flag, given("metric", flag, "--metric")
    said = _metric_in(sentence, kind)
    if said is not None:
        name, phrase = said
        how = f"the sentence says {phrase!r}"
        return name, Inference(field="metric", value=name, how=how, confidence="likely")
    asked = quantile_in(sentence) if kind == "regression" else None
    if asked is not None:
        how = f"the sentence asks for the {asked[1]!r}"
        return "pinball", Inference(field="metric", value="pinball", how=how, confidence="likely")
    name = DEFAULT_METRIC[kind]
    how = f"the default for a {kind} task; the sentence names no metric that fits"
    return name, Inference(field="metric", value=name, how=how, confidence="likely")


def quantile_in(sentence: str) -> tuple[float, str] | None:
    """The quantile that a sentence asks for, in (0, 1), and its words: '90th percentile', '0.9
    quantile'. None where it has no number."""
    match = _QUANTILE.search(sentence)
    if match is None:
        return None
    value = float(match["before"] or match["after"])
    share = value if value < 1 else value / 100
    return (share, match.group()) if 0 < share < 1 else None


def without_quantile(sentence: str) -> str:
    """'predict the 90th percentile of fee' -> 'predict fee': what is left names the target."""
    if quantile_in(sentence) is None:
        return sentence
    return re.sub(rf"(?:\bthe )?(?:{_QUANTILE.pattern})(?: of(?: the)?)?", "", sentence, flags=re.I)


def _metric_in(sentence: str, kind: TaskKind) -> tuple[str, str] | None:
    """The metric with the longest phrase in the sentence. 'cost' and 'quantile' are everyday words:
    they count only where a metric is spoken of."""
    lowered = re.sub(r"[-_]", " ", sentence.lower())
    alias = {"multiclass": {"f1": "macro_f1", "auc": "ovr_auc", "roc auc": "ovr_auc"}}
    found: list[tuple[int, str, str]] = []
    for info in METRICS.values():
        if kind not in info.tasks:
            continue
        for phrase in (*info.words, info.name.replace("_", " ")):
            wanted = phrase
            if phrase in ("cost", "quantile"):
                wanted = rf"(?:minimi[sz]e|mean|expected|by) (?:the )?{phrase}|{phrase} loss"
            if match := re.search(rf"\b(?:{wanted})\b", lowered):
                found.append((len(match.group()), info.name, match.group()))
    for phrase, name in alias.get(kind, {}).items():
        if re.search(rf"\b{phrase}\b", lowered):
            found.append((len(phrase), name, phrase))
    if not found:
        return None
    _, name, phrase = max(found)
    return name, phrase
