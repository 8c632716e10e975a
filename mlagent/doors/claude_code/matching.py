"""What one statement of a stranger's document means for a contract of mlagent.

Guarantees: a statement never widens the base contract: it adds a stricter clause, is covered by one
that stands there, is refused, or is advisory, and the answer says why. Matches English words; what
it does not know is advisory, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from mlagent.content import Content
from mlagent.contracts.agent_files import Outcome, Part
from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.contract import Boundary, Contract, QualityGate, SuccessCriterion
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.policy import RoutingPolicy
from mlagent.orchestrator.routing import route

_GUARDRAILS = (
    ("guardrails.seeds", r"random seed|\bseed(s|ing)?\b|reproducib"),
    ("guardrails.environment", r"pin(ned)? (version|dependenc|package)|environment version|"
     r"version (everything|code|all)|requirements\.txt|lock ?file"),
    ("guardrails.labels", r"leak|future information|hold-?out|test set|inadequate validation|"
     r"train.{0,3}(validation|test).{0,12}split"),
    ("guardrails.privacy", r"privacy|sensitive|\bpii\b|personal data|confidential"),
    ("guardrails.max_usd", r"\bcosts?\b|budget|api usage|spend"),
    ("guardrails.max_tokens", r"token (limit|budget|usage)"),
    ("resources.memory_mb", r"memory limit|resource (management|limit|constraint)"),
    ("resources.network", r"no network|network access|internet|external (call|service|api)"),
)  # fmt: skip
_WHY = {
    "guardrails.seeds": "every run has fixed seeds",
    "guardrails.environment": "the sandbox image is pinned",
    "guardrails.labels": "the referee owns the split; labels of the vault never reach a container",
    "guardrails.privacy": "only aggregates leave the sandbox",
    "guardrails.max_usd": "the budget gateway stops at the amount of the contract",
    "guardrails.max_tokens": "the budget gateway stops at the number of the contract",
    "resources.memory_mb": "the sandbox policy sets the limit",
    "resources.network": "the sandbox has no network",
}
_THRESHOLD = re.compile(
    r"(?P<name>[a-z][a-z0-9 \-]{0,30}?)\s*(?:[:=]\s*)?(?:score\s*)?(?:of\s+)?"
    r"(?P<op>>=|≥|>|at least|above|over|<=|≤|<|at most|below|under)\s*"
    r"(?P<value>\d+(?:\.\d+)?)\s*(?P<percent>%)?",
    re.IGNORECASE,
)
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

    def match(self, part: Part, text: str) -> Match:
        """What the statement `text` of a section about `part` means."""
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
        for routed in routing.agents:
            if routed.agent == self.base.name and "read from" in routed.why:
                return Match("held", "routing.handles", routed.why)
        others = [routed.agent for routed in routing.agents if "read from" in routed.why]
        if others:
            return Match("advisory", None, f"in this team it is the work of {', '.join(others)}")
        return Match("advisory", None, "the router knows no word of it")

    def _refusal(self, why: str) -> str:
        for key, rule in self.policy.refusals.items():
            if why.startswith(rule.sentence):
                return key
        return "other-work"

    def _boundary(self, text: str) -> Match:
        named = _DELEGATE.search(text)
        who = re.sub(r"\s+", "-", named["who"].lower()) if named else None
        refused = route(text, self.policy, self.contracts).refused
        if not refused:
            return Match("advisory", None, "the router knows no word of it")
        topic = self._refusal(refused[0].why)
        for boundary in self.base.boundaries:
            if boundary.topic == topic:
                ours = boundary.delegate_to or "nobody (out of scope)"
                differs = who and who != boundary.delegate_to
                note = f"; the document says {who}" if differs else ""
                return Match("held", f"boundaries[{topic}]", f"refused, delegated to {ours}{note}")
        made = Boundary(topic=topic, delegate_to=who or refused[0].delegate_to)
        return Match("clause", f"boundaries[{topic}]", "the router refuses it", made)

    def _input(self, text: str) -> Match:
        words = text.lower()
        for item in self.base.inputs:
            if item.from_ in ROLES and item.from_.replace("-", " ") in words:
                return Match("held", f"inputs[{item.artifact}]", f"comes from {item.from_}")
        pairs = (("dev_rows", r"\bdata(set)?s?\b"), ("task", r"problem|requirement|objective|goal"))
        for artifact, pattern in pairs:
            if re.search(pattern, words) and any(i.artifact == artifact for i in self.base.inputs):
                return Match("held", f"inputs[{artifact}]", "arrives before the agent starts")
        return Match("advisory", None, "no artifact of the team")

    def _output(self, text: str) -> Match:
        words = text.lower()
        for output in self.base.outputs:
            if re.search(rf"\b{re.escape(output.artifact.replace('_', ' '))}s?\b", words):
                return Match("held", f"outputs[{output.artifact}]", "is delivered and checked")
        return Match("advisory", None, "no artifact that the agent delivers")

    def _read(self, text: str) -> Match:
        if path := re.search(r"/in/[A-Za-z0-9_.*?/-]+", text):
            if path[0] in self.base.reads or self.base.may_read(path[0]):
                return Match("held", f"reads[{path[0]}]", "the sandbox mounts it")
            return Match("refused", "reads", "the base does not grant it")
        rows = re.search(r"\bdata(set)?s?\b", text.lower()) and not _PATH.search(text)
        if rows and "/in/*.parquet" in self.base.reads:
            return Match("held", "reads[/in/*.parquet]", "rows arrive there, and nothing else does")
        return Match("refused", "reads", "no sandbox path; nothing but the draft's reads is there")

    def _write(self, text: str) -> Match:
        if path := re.search(r"/out/[A-Za-z0-9_.*?/-]+", text):
            if path[0] in self.base.writes or self.base.may_write(path[0]):
                return Match("held", f"writes[{path[0]}]", "the sandbox takes it")
            return Match("refused", "writes", "the base does not grant it")
        model = "model" in text.lower() and not _PATH.search(text)
        if model and "/out/model.pkl" in self.base.writes:
            return Match("held", "writes[/out/model.pkl]", "the model is written there")
        return Match("refused", "writes", "no sandbox path; nothing but the draft's writes is kept")

    def _tool(self, text: str) -> Match:
        if text in self.base.tools:
            return Match("held", f"tools[{text}]", "a command of the sandbox's runner")
        named = re.split(r"[^a-z0-9-]+", text.lower().replace("scikit learn", "scikit-learn"))
        there = [name for name in self._packages if name.removesuffix("-cpu") in named]
        if there:
            return Match("held", None, f"in the sandbox image: {', '.join(there)}")
        return Match("advisory", None, "not in the sandbox image, and no command of its runner")

    @cached_property
    def _packages(self) -> list[str]:
        lines = self.content.text("sandbox/requirements.in").splitlines()
        names = [line.split("#")[0].strip() for line in lines]
        return [name for name in names if name and name != "six"]

    def _guardrail(self, text: str) -> Match:
        for path, pattern in _GUARDRAILS:
            if re.search(pattern, text.lower()):
                return Match("held", path, _WHY[path])
        gate = self._baseline_gate(text)
        if gate:
            return Match("held", f"quality_gates[{gate}]", "measured by the referee on each run")
        return Match("advisory", None, "no clause can enforce it")

    def _baseline_gate(self, text: str) -> str | None:
        if not re.search(r"\bbaseline|simple model|start simple", text.lower()):
            return None
        names = [gate.name for gate in self.base.quality_gates]
        return next((name for name in names if name.startswith("better-than")), None)

    def _success(self, text: str) -> Match:
        if gate := _gate(text):
            check, why = f"gate: {gate.name}", "measured by the referee on the vault"
        elif name := self._baseline_gate(text):
            check, gate, why = f"gate: {name}", None, "measured by the referee on the vault"
        elif re.search(r"reproducib|same (bytes|result)", text.lower()):
            check, why = "package verified", "the package predicts the same bytes in a new sandbox"
        elif re.search(r"within (the )?(time |run )?budget|training time|time limit", text.lower()):
            check, why = "within budget", "the run's clock says so"
        else:
            check, why = "advisory", "nothing here measures it"
        path = f"success_criteria[{check}]"
        criterion = SuccessCriterion(criterion=text[:300], check=check)
        outcome: Outcome = "advisory" if check == "advisory" else "clause"
        return Match(outcome, path, why, criterion, gate)

    def _handoff(self, text: str) -> Match:
        words = text.lower()
        for item in self.base.inputs:
            if item.from_ in ROLES and item.from_.replace("-", " ") in words:
                return Match("held", f"inputs[{item.artifact}]", f"comes from {item.from_}")
        for handoff in self.base.handoffs:
            if handoff.to in ROLES and handoff.to.replace("-", " ") in words:
                return Match("held", f"handoffs[{handoff.artifact} -> {handoff.to}]", "delivered")
        return Match("advisory", None, "no agent of this team, or no artifact between them")

    def _planning(self, text: str) -> Match:
        return Match("held", "planning", "options are checked against the schema of agent_plan")


def _gate(text: str) -> QualityGate | None:
    """A gate when the text holds a metric that the referee knows, and a number that fits it."""
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
