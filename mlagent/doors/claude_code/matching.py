"""What one statement of a stranger's document means for a contract of mlagent.

Guarantees: a statement never widens the base contract: it adds a stricter clause, is covered by one
that stands there, is refused, or is advisory, and the answer says why. Covered is a statement only
as a whole (`enforced`); what is covered in part, or not known, is advisory, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from mlagent.content import Content
from mlagent.contracts.agent_files import Outcome, Part
from mlagent.contracts.base import Role
from mlagent.contracts.contract import Boundary, Contract, QualityGate, SuccessCriterion
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.policy import RoutingPolicy
from mlagent.orchestrator.routing import route

from .enforced import (
    AGGREGATES,
    DUTIES,
    GUARDRAILS,
    INPUTS,
    READS,
    WRITES,
    Enforced,
    covering,
    denies,
    is_delivered,
    is_handed,
    near,
    only_a_threshold,
    pieces,
    plan_is_checked,
    said,
    success_check,
)

_THRESHOLD = re.compile(
    r"(?P<name>[a-z][a-z0-9 \-]{0,30}?)\s*(?:[:=]\s*)?(?:score\s*)?(?:of\s+)?"
    r"(?P<op>>=|≥|>|at least|above|over|<=|≤|<|at most|below|under)\s*"
    r"(?P<value>\d+(?:\.\d+)?)\s*(?P<percent>%)?",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"\((?:delegate|hand|see|use|ask)[^()]*\)|^\W*(?:(?:this agent )?(?:does|do) not|never)\b", re.I
)
_ALTERNATIVES = re.compile(r"[,;]|\bor\b|\band\b", re.IGNORECASE)
_IN_SCOPE = re.compile(r"(?:what is )?(?:in )?scope|what (?:this agent|it) does", re.IGNORECASE)
_FAULTS = re.compile(
    r"anti.?pattern|pitfall|mistake|red flag|\bnever\b|\bavoid|do not|don.?t\b|wrong|smell",
    re.IGNORECASE,
)
MAX_PARTS = 12
"""Of a boundary; each is asked of the router."""
_BRACKETS = re.compile(r"\(([^()]*)\)")
_PATH = re.compile(r"(?:^|\s)(?:~|\.{1,2})?/[\w.*-]|[A-Za-z]:\\")
_DELEGATE = re.compile(
    r"(?:delegate[sd]?(?: \w+)? to|hand(?:ed)? (?:off |over )?to|→|->|\buse|\bsee|\bask)\s+"
    r"(?:the |your )?(?P<who>[a-z][a-z0-9]*(?:[- ][a-z0-9]+)*?)"
    r"(?: agent)?(?: instead)?\s*[).,;]*\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Match:
    """`clause`: its path in the draft, or None. `add`, `gate`: new clauses for the draft."""

    outcome: Outcome
    clause: str | None
    why: str
    add: Boundary | SuccessCriterion | None = None
    gate: QualityGate | None = None

    @property
    def needs_base(self) -> bool:
        """Whether the clause refers to something that only the base contract has."""
        return not isinstance(self.add, SuccessCriterion) or (
            self.add.check.startswith("gate: ") and self.gate is None
        )


@dataclass
class Matcher:
    """Matches statements against one base contract.

    Args:
        base: the contract that the draft starts from.
        policy: the words that the router knows.
        contracts: the team's contracts.
    """

    base: Contract
    policy: RoutingPolicy
    contracts: dict[Role, Contract]
    content: Content = field(repr=False)

    def match(self, part: Part, text: str, heading: str = "") -> Match:
        """What the statement `text` of a section about `part`, below `heading`, means."""
        if part == "boundaries" and _IN_SCOPE.fullmatch(heading.strip()) and not denies(text):
            part = "responsibilities"
        if part == "guardrails" and (wrong := _other_way_round(text, heading)):
            return Match("advisory", None, wrong)
        known = {
            "responsibilities": self._duty,
            "boundaries": self._boundary,
            "inputs": self._input,
            "outputs": self._output,
            "reads": self._read,
            "writes": self._write,
            "tools": self._tool,
            "guardrails": self._guardrail,
            "success": self._success,
            "handoffs": self._handoff,
            "planning": self._planning,
        }
        return known[part](text)

    def _duty(self, text: str) -> Match:
        routing = route(text, self.policy, self.contracts)
        if routing.refused:
            refused = routing.refused[0]
            key = self._refusal(refused.why)
            to = f"; delegated to {refused.delegate_to}" if refused.delegate_to else ""
            return Match("refused", f"boundaries[{key}]", f"{refused.why}{to}")
        if held := self._held(text, DUTIES[self.base.name]):
            return held
        word = "a word of it is routed to {}, which holds no more of it"
        here = [item.agent for item in routing.agents if "read from" in item.why]
        if self.base.name in here:
            return Match("advisory", None, word.format("this agent"))
        if here:
            return Match("advisory", None, f"in this team it is the work of {', '.join(here)}")
        return Match("advisory", None, "the router knows no word of it")

    def _held(self, text: str, known: tuple[Enforced, ...]) -> Match | None:
        """Held by clauses of the base that cover all of it, or None."""
        found = covering(text, known)
        clauses = [self._clause(item.clause) for item in found]
        if not clauses or not all(clauses):
            return None
        whys = "; ".join(item.why for item in found)
        return Match("held", ", ".join(str(clause) for clause in clauses), whys)

    def _clause(self, start: str) -> str | None:
        """The base's clause; of a gate the first whose name begins so."""
        if not start.startswith("quality_gates["):
            return start
        names = [f"quality_gates[{gate.name}]" for gate in self.base.quality_gates]
        return next((name for name in names if name.startswith(start)), None)

    def _refusal(self, why: str) -> str:
        for key, rule in self.policy.refusals.items():
            if why.startswith(rule.sentence):
                return key
        return "other-work"

    def _boundary(self, text: str) -> Match:
        named = _DELEGATE.search(text)
        who = re.sub(r"\s+", "-", named["who"].lower()) if named else None
        what = _ASIDE.sub("", text)
        parts = [part for part in _ALTERNATIVES.split(what) if part.strip()] or [text]
        if len(parts) > MAX_PARTS:
            return Match("advisory", None, f"more than {MAX_PARTS} things in one line")
        routed = [route(part, self.policy, self.contracts).refused for part in parts]
        known = [refused[0] for refused in routed if refused]
        if not known:
            return Match("advisory", None, "the router knows no word of it")
        topic = self._refusal(known[0].why)
        ours = next((item for item in self.base.boundaries if item.topic == topic), None)
        if len(known) < len(parts):
            return Match("advisory", None, f"in part only: boundaries[{topic}] refuses some of it")
        if ours is None:
            made = Boundary(topic=topic, delegate_to=who or known[0].delegate_to)
            return Match("clause", f"boundaries[{topic}]", "the router refuses it", made)
        to = ours.delegate_to or "nobody (out of scope)"
        if who and who != ours.delegate_to:
            why = f"boundaries[{topic}] refuses it, but delegates to {to}; the document says {who}"
            return Match("advisory", None, why)
        return Match("held", f"boundaries[{topic}]", f"refused, delegated to {to}")

    def _input(self, text: str) -> Match:
        if handed := self._received(text):
            return handed
        for artifact, (words, why) in INPUTS.items():
            if any(item.artifact == artifact for item in self.base.inputs) and all(
                re.fullmatch(words, piece) for piece in pieces(text) or ["-"]
            ):
                return Match("held", f"inputs[{artifact}]", why)
        given = ", ".join(item.artifact for item in self.base.inputs)
        return Match("advisory", None, f"no clause brings it; the inputs are {given}")

    def _received(self, text: str) -> Match | None:
        for item in self.base.inputs:
            if is_handed(text, item.artifact, item.from_):
                return Match("held", f"inputs[{item.artifact}]", f"comes from {item.from_}")
        return None

    def _output(self, text: str) -> Match:
        for output in self.base.outputs:
            if is_delivered(text, output.artifact):
                return Match("held", f"outputs[{output.artifact}]", "is delivered and checked")
        return Match("advisory", None, "no artifact that the agent delivers")

    def _read(self, text: str) -> Match:
        if path := re.search(r"/in/[A-Za-z0-9_.*?/-]+", text):
            if path[0] in self.base.reads or self.base.may_read(path[0]):
                return Match("held", f"reads[{path[0]}]", "the sandbox mounts it")
            return Match("refused", "reads", "the base does not grant it")
        outcome, why = _access(text, READS, "parquet")
        if "/in/*.parquet" in self.base.reads and outcome == "held":
            return Match("held", "reads[/in/*.parquet]", "rows arrive there, and nothing else does")
        if outcome == "advisory":
            return Match("advisory", None, f"in part only: rows arrive as Parquet, not as {why}")
        return Match("refused", "reads", "no sandbox path; nothing but the draft's reads is there")

    def _write(self, text: str) -> Match:
        if path := re.search(r"/out/[A-Za-z0-9_.*?/-]+", text):
            if path[0] in self.base.writes or self.base.may_write(path[0]):
                return Match("held", f"writes[{path[0]}]", "the sandbox takes it")
            return Match("refused", "writes", "the base does not grant it")
        outcome, why = _access(text, WRITES, "pkl")
        if "/out/model.pkl" in self.base.writes and outcome == "held":
            return Match("held", "writes[/out/model.pkl]", "the model is written there")
        if outcome == "advisory":
            return Match("advisory", None, f"in part only: the model is model.pkl, not {why}")
        return Match("refused", "writes", "no sandbox path; nothing but the draft's writes is kept")

    def _tool(self, text: str) -> Match:
        if text in self.base.tools:
            return Match("held", f"tools[{text}]", "a command of the sandbox's runner")
        named = pieces(text.replace("scikit learn", "scikit-learn"))
        packages = {name.removesuffix("-cpu"): name for name in self._packages}
        there = [packages[name] for name in named if name in packages]
        if there and len(there) == len(named):
            why = f"pinned in the sandbox image: {', '.join(there)}"
            return Match("held", "guardrails.environment", why)
        if there:
            why = f"in part only: in the sandbox image are {', '.join(there)}, and the rest is not"
            return Match("advisory", None, why)
        return Match("advisory", None, "not in the sandbox image, and no command of its runner")

    @cached_property
    def _packages(self) -> list[str]:
        lines = self.content.text("sandbox/requirements.in").splitlines()
        names = [line.split("#")[0].strip() for line in lines]
        return [name for name in names if name and name != "six"]

    def _guardrail(self, text: str) -> Match:
        known = GUARDRAILS
        if self.base.name != "ml-engineer":
            known = (*known, AGGREGATES)
        if held := self._held(text, known):
            return held
        close = near(text, (*GUARDRAILS, AGGREGATES))
        if close is AGGREGATES and self.base.name == "ml-engineer":
            why = "reports show aggregates only, but a model file may hold training rows"
            return Match("advisory", None, why)
        if close and (clause := self._clause(close.clause)):
            why = f"not all of it is held; near it: {clause}, {close.why}"
            return Match("advisory", None, why)
        return Match("advisory", None, "no clause can enforce it")

    def _success(self, text: str) -> Match:
        check, gate, why = success_check(text), None, "nothing here measures all of it"
        if check == "gate: ":
            wanted = "better-than-linear" if "linear" in text.lower() else "better-than"
            names = [gate.name for gate in self.base.quality_gates]
            name = next((name for name in names if name.startswith(wanted)), "")
            check = f"gate: {name}" if name else ""
        elif not check and (gate := _gate(text)):
            check = f"gate: {gate.name}"
        if check:
            why = _MEASURED_BY[check.partition(":")[0]]
        path = f"success_criteria[{check or 'advisory'}]"
        criterion = SuccessCriterion(criterion=text[:300], check=check or "advisory")
        return Match("clause" if check else "advisory", path, why, criterion, gate)

    def _handoff(self, text: str) -> Match:
        if handed := self._received(text):
            return handed
        for handoff in self.base.handoffs:
            if is_handed(text, handoff.artifact, handoff.to):
                return Match("held", f"handoffs[{handoff.artifact} -> {handoff.to}]", "delivered")
        between = [f"{item.artifact} from {item.from_}" for item in self.base.inputs]
        between += [f"{item.artifact} to {item.to}" for item in self.base.handoffs]
        return Match("advisory", None, f"no clause says it; handed on are {', '.join(between)}")

    def _planning(self, text: str) -> Match:
        rule = self.base.planning
        if plan_is_checked(text, rule.min_options, rule.max_options):
            return Match("held", "planning", "the schema of agent_plan demands it")
        return Match("advisory", None, "the schema of agent_plan does not demand all of it")


_MEASURED_BY = {
    "gate": "measured by the referee on the vault",
    "package verified": "the package predicts the same bytes in a new sandbox",
    "within budget": "the run's clock says so",
}


def _other_way_round(text: str, heading: str) -> str:
    """Why a guardrail cannot be taken at its word; empty when it can."""
    fault = bool(_FAULTS.search(heading)) or text.lstrip().startswith(("❌", "✗", "✘", "🚫"))
    names_one = said(text).startswith("not ")
    if fault and not denies(text):
        return "it is listed among faults, so it says what is not wanted"
    return "" if fault or not names_one else "it denies, and is not listed among faults"


def _access(text: str, words: str, suffix: str) -> tuple[Outcome, str]:
    """Whether a statement asks only for what is there, for that and other formats (named), or for
    something else."""
    formats = [part.strip(" .") for part in re.split(r"[,/]", "".join(_BRACKETS.findall(text)))]
    others = [part for part in formats if part and part.lower() != suffix]
    if _PATH.search(text) or not re.fullmatch(words, said(_BRACKETS.sub("", text))):
        return "refused", ""
    return ("advisory", ", ".join(others)[:80]) if others else ("held", "")


def _gate(text: str) -> QualityGate | None:
    """A gate when the text is a metric that the referee knows and a number that fits it, and says
    nothing more that the gate would leave out."""
    for found in _THRESHOLD.finditer(text):
        words = re.sub(r"[^a-z0-9]+", " ", found["name"].lower()).strip()
        for info in METRICS.values():
            names = {info.name.replace("_", " "), info.title.lower(), *info.words}
            if not any(words == name or words.endswith(f" {name}") for name in names):
                continue
            up = found["op"] in (">=", "≥", ">") or found["op"].lower() in (
                "at least",
                "above",
                "over",
            )
            if up != (info.direction == "maximize"):
                continue
            if not only_a_threshold(text, names):
                continue
            value = float(found["value"]) / (100 if found["percent"] else 1)
            side = "at-least" if up else "at-most"
            return QualityGate(
                name=f"imported-{info.name.replace('_', '-')}-{side}",
                metric=info.name,
                comparison="at_least" if up else "at_most",
                threshold=value,
                required=False,
            )
    return None
