"""What decides the outcome of each clause: one small rule for each part of a contract.

Guarantees: a rule says `pass` only with evidence of this run; a promise that the tier does not keep
is `not enforced` before any rule is asked. Does not collect evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlagent.agents.registry import GIVERS
from mlagent.contracts.contract import AGENT_MEASURES, Clause
from mlagent.contracts.findings import Analysis, Exploration
from mlagent.contracts.usage import Spent
from mlagent.contracts.words import counted

from .ledger_evidence import Case, LedgerEvidence, Outcome, Said
from .routing import route

PROMISES: Mapping[str, str] = {
    "resources.memory_mb": "memory",
    "resources.cpus": "cpus",
    "resources.pids": "pids",
    "resources.disk_mb": "disk",
    "resources.wall_s": "wall",
    "resources.network": "network",
    "guardrails.labels": "filesystem",
    "reads": "filesystem",
    "writes": "filesystem",
}
"""Clause -> which of `Sandbox.enforced()` it rests on."""
LIMITS: Mapping[str, str] = {
    "resources.memory_mb": "memory_mb",
    "resources.cpus": "cpus",
    "resources.pids": "pids",
    "resources.disk_mb": "output_mb",
    "resources.wall_s": "wall_s",
}
"""Clause -> the field of `Limits` that carried it."""


def judge(case: Case) -> Outcome:
    path = case.clause.path
    if case.clause.enforced_by == "advisory":
        return Outcome("advisory", "shown to the author and the reader, checked by nobody")
    promise = PROMISES.get(path) or PROMISES.get(path.partition("[")[0])
    if case.clause.enforced_by == "tool loop":  # the host's own, on every tier
        promise = None
    if promise is not None and promise not in case.enforced:
        return Outcome("not enforced", f"{case.tier} keeps no promise about {promise}")
    rule = RULES.get(path) or RULES[path.partition("[")[0].partition(".")[0]]
    return rule(case)


def _loaded(case: Case) -> Outcome:
    return Outcome("pass", f"contracts/{case.contract.name}.yaml loaded as {case.clause.value}")


def _version(case: Case) -> Outcome:
    return _hashed(case, f"contracts/{case.contract.name}.yaml")


def _prompts(case: Case) -> Outcome:
    return _hashed(case, case.clause.value)


def _hashed(case: Case, file: str) -> Outcome:
    sha = case.seen.content.get(file)
    if sha is None:
        return Outcome("fail", f"{file} is not among the content that the manifest names")
    return Outcome("pass", f"{file} has sha256 {sha[:12]} in the manifest")


def _model_tier(case: Case) -> Outcome:
    if not case.seen.tokens:
        return Outcome("not applicable", "no language model was called")
    if case.contract.model_tier == "none":
        return Outcome("fail", f"{case.seen.tokens:,} tokens were spent")
    return Outcome("advisory", "the account decides which model answers")


def _routing(case: Case) -> Outcome:
    policy = case.seen.policies.routing
    handles = next(h for h in case.contract.routing.handles if h.topic == case.item)
    for example in handles.examples:
        routed = {r.agent for r in route(example, policy, case.contracts).agents}
        if case.contract.name not in routed:
            return Outcome("fail", f"{example!r} is routed to {sorted(routed)}")
    return Outcome("pass", f"{counted(len(handles.examples), 'example')} routed here")


def _boundaries(case: Case) -> Outcome:
    refusal = case.seen.policies.routing.refusals.get(case.item)
    if refusal is None:
        return Outcome("fail", "the router has no words for it")
    for refused in case.seen.plan.routing.refused:
        if refused.why.startswith(refusal.sentence):
            return Outcome("pass", f"refused: {refused.what!r}")
    return Outcome("not applicable", "the sentence names none of it")


def _inputs(case: Case) -> Outcome:
    wanted = next(i for i in case.contract.inputs if i.artifact == case.item)
    if wanted.from_ == "planning":
        return Outcome("pass", "read from the plan that was executed")
    if wanted.from_ in GIVERS:
        if not case.jobs:
            return Outcome("not applicable", "no job of this agent ran")
        return Outcome("pass", f"given to {counted(len(case.jobs), 'job')} by the {wanted.from_}")
    return _artifact(case, wanted.artifact, wanted.required)


def _outputs(case: Case) -> Outcome:
    wanted = next(o for o in case.contract.outputs if o.artifact == case.item)
    return _artifact(case, wanted.artifact, wanted.required)


def _handoffs(case: Case) -> Outcome:
    artifact, _, to = case.item.partition(" -> ")
    here = {r.agent for r in case.seen.plan.routing.agents}
    if to not in GIVERS and to not in here:
        return Outcome("not applicable", f"{to} has no part in this run")
    return _artifact(case, artifact, True)


def _artifact(case: Case, name: str, required: bool) -> Outcome:
    valid = case.seen.artifacts.get(name)
    if valid is None:
        if required:
            return Outcome("fail", f"{name} was not made")
        return Outcome("not applicable", f"{name} was not made and is optional")
    if not valid:
        return Outcome("fail", f"{name} did not validate against its schema")
    return Outcome("pass", f"{name} validated against its schema")


def _reads(case: Case) -> Outcome:
    if case.clause.enforced_by == "tool loop":
        return _read_by_tool(case)
    used = [f"/in/{name}" for job in case.jobs for name in job.inputs or ()]
    recorded = all(job.inputs is not None for job in case.jobs)
    return _paths(case, used, case.contract.may_read, recorded, "read")


def _read_by_tool(case: Case) -> Outcome:
    """A path below /run: what a language model read of the run."""
    paths = {tool.path for tool in case.tools if tool.path}
    if strange := sorted(path for path in paths if not case.contract.may_read(path)):
        return Outcome("fail", f"{strange[0]} is outside the contract")
    if not paths:
        return Outcome("not applicable", "no language model read a file of this run")
    return Outcome("pass", f"{counted(len(paths), 'file')} read, all inside the contract")


def _writes(case: Case) -> Outcome:
    used = [f"/out/{name}" for job in case.jobs for name in job.outputs or ()]
    recorded = all(job.outputs is not None for job in case.jobs)
    return _paths(case, used, case.contract.may_write, recorded, "written")


def _paths(
    case: Case, used: list[str], may: Callable[[str], bool], recorded: bool, verb: str
) -> Outcome:
    if not case.jobs or not recorded:
        return Outcome("not applicable", "no job of this agent ran, or its paths were not recorded")
    if strange := [path for path in used if not may(path) and not may(f"{path}/file")]:
        return Outcome("fail", f"{strange[0]} is outside the contract")
    return Outcome("pass", f"{counted(len(set(used)), 'path')} {verb}, all inside the contract")


def _tools(case: Case) -> Outcome:
    used = [job.command for job in case.jobs if job.command] + [tool.tool for tool in case.tools]
    if strange := set(used) - set(case.contract.tools):
        return Outcome("fail", f"{sorted(strange)[0]!r} was run")
    if case.item not in used:
        return Outcome("not applicable", "not used in this run")
    number = used.count(case.item)
    return Outcome("pass", f"used {counted(number, 'time')}, nothing outside the list")


def _resources(case: Case) -> Outcome:
    if not case.jobs:
        return Outcome("not applicable", "no job of this agent ran")
    if case.clause.path == "resources.network":
        return Outcome("pass", f"{counted(len(case.jobs), 'job')} without a network")
    name = LIMITS[case.clause.path]
    most = max(float(getattr(job.limits, name)) for job in case.jobs)
    allowed = float(case.clause.value)
    said: Said = "pass" if most <= allowed else "fail"
    return Outcome(said, f"largest limit of {counted(len(case.jobs), 'job')}: {most:g}")


def _privacy(case: Case) -> Outcome:
    if case.contract.name == "ml-engineer":
        if case.seen.shared_rows:
            return Outcome(
                "not enforced", f"{case.seen.shared_rows} dev rows left, by --share-rows"
            )
        return Outcome("advisory", "a model file may hold training rows; reports show none")
    if case.contract.name == "data-explorer":
        if case.seen.exploration is None:
            return Outcome("not applicable", "nothing was handed on")
        bare = [
            look.name
            for look in case.seen.exploration.looks
            if look.labels and look.role not in ("category", "target")
        ]
        if bare:
            return Outcome("fail", f"values of {bare[0]!r} are shown, which is no category")
        return Outcome("pass", "values are shown for categories only; the rest are counts")
    if case.seen.analysis is None:
        return Outcome("not applicable", "nothing was handed on")
    return Outcome("pass", "the record holds statistics, no cells")


def _seeds(case: Case) -> Outcome:
    if case.seen.seed is None:
        return Outcome("fail", "the jobs did not share one seed")
    return Outcome("pass", f"seed {case.seen.seed} in every request")


def _environment(case: Case) -> Outcome:
    if case.seen.image is None:
        return Outcome("not enforced", f"{case.tier} runs in the host's own environment")
    if not case.seen.packages:
        return Outcome("fail", "package versions were not recorded")
    number = len(case.seen.packages)
    return Outcome("pass", f"image {case.seen.image[:19]}, {number} package versions recorded")


def _labels(case: Case) -> Outcome:
    if not case.seen.vault_rows:
        return Outcome("not applicable", "this run has no vault")
    return Outcome("pass", f"labels of {case.seen.vault_rows:,} vault rows were in no mount")


def _tokens(case: Case) -> Outcome:
    own = case.seen.by_agent.get(case.contract.name, Spent())
    spent = own.tokens.total if case.seen.by_agent else case.seen.tokens
    return _spent(case, spent, "tokens")


def _usd(case: Case) -> Outcome:
    own = case.seen.by_agent.get(case.contract.name, Spent())
    return _spent(case, own.usd if case.seen.by_agent else case.seen.usd, "USD")


def _spent(case: Case, spent: float, unit: str) -> Outcome:
    if not case.seen.tokens and not case.seen.usd:
        return Outcome("not applicable", "no language model was called")
    said: Said = "pass" if spent <= float(case.clause.value) else "fail"
    return Outcome(said, f"{spent:g} {unit} spent")


def _gates(case: Case) -> Outcome:
    wanted = next(g for g in case.contract.quality_gates if g.name == case.item)
    gate = next((g for g in case.seen.gates if g.name == wanted.name), None)
    if gate is None and wanted.metric in AGENT_MEASURES:
        value = _measure(wanted.metric, case.seen)
        if value is None:
            return Outcome("not applicable", f"{wanted.metric} was not measured")
        limit = wanted.threshold or 0.0
        met = value >= limit if wanted.comparison == "at_least" else value <= limit
        return _met(met, wanted.required, f"{wanted.metric} is {value:g}")
    if gate is not None and gate.outcome == "not applicable":
        return Outcome("not applicable", gate.evidence)
    if gate is None or gate.outcome == "not measured":
        why = gate.evidence if gate else "the gate was not evaluated"
        return Outcome("not applicable", f"not measured: {why}")
    return _met(gate.outcome == "pass", wanted.required, gate.evidence)


def _met(met: bool, required: bool, evidence: str) -> Outcome:
    if met:
        return Outcome("pass", evidence)
    return Outcome("fail", evidence) if required else Outcome("advisory", f"not met: {evidence}")


def _measure(name: str, seen: LedgerEvidence) -> float | None:
    if name in seen.measures:
        return seen.measures[name]
    return agent_measures(seen.exploration, seen.analysis).get(name)


def agent_measures(exploration: Exploration | None, analysis: Analysis | None) -> dict[str, float]:
    """AGENT_MEASURES that these artifacts allow."""
    found: dict[str, float] = {}
    if exploration is not None:
        names = {look.name for look in exploration.looks if look.role != "target"}
        roles = exploration.roles
        settled = names & (set(roles.columns) | set(roles.excluded))
        found["columns_with_role"] = len(settled) / len(names) if names else 1.0
    if analysis is not None:
        done = [c for c in analysis.checks if c.outcome in ("pass", "warn", "fail")]
        found["checks_done"] = float(len(done))
    return found


def _planning(case: Case) -> Outcome:
    plan = case.seen.plan.agent_plans.get(case.contract.name)
    if plan is None:
        return Outcome("fail", "the plan holds no options of this agent")
    options = plan.implementation_options
    if case.item:
        said: Said = "pass" if case.item in options else "not applicable"
        return Outcome(said, f"the plan has {', '.join(options)}")
    limit = int(case.clause.value)
    enough = (
        len(options) >= limit if case.clause.path.endswith("min_options") else len(options) <= limit
    )
    return Outcome("pass" if enough else "fail", f"{len(options)} options were proposed")


def _success(case: Case) -> Outcome:
    kind, _, name = case.item.partition(": ")
    if kind == "artifact":
        return _artifact(case, name, True)
    if kind == "gate":
        clause = Clause(path=f"quality_gates[{name}]", value="", enforced_by="gate")
        return _gates(case._replace(clause=clause))
    if kind == "package verified":
        if case.seen.package_verified is None:
            return Outcome("not applicable", "the package was not checked")
        if case.seen.package_verified:
            return Outcome("pass", "equal bytes in a fresh sandbox")
        return Outcome("fail", "the packaged model predicts other bytes")
    overrun = case.seen.policies.execution.overrun
    if case.seen.budget_s < overrun.strict_from_s:
        return Outcome("not applicable", f"budgets below {overrun.strict_from_s:g} s are not held")
    most = case.seen.budget_s * overrun.factor + overrun.seconds
    met = case.seen.wall_s <= most
    spent = f"{case.seen.wall_s:.1f} s until the report, of at most {most:.1f} s"
    return Outcome("pass" if met else "fail", spent)


Rule = Callable[[Case], Outcome]
RULES: Mapping[str, Rule] = {
    "schema": _loaded,
    "name": _loaded,
    "version": _version,
    "model_tier": _model_tier,
    "routing": _routing,
    "boundaries": _boundaries,
    "inputs": _inputs,
    "outputs": _outputs,
    "reads": _reads,
    "writes": _writes,
    "tools": _tools,
    "resources": _resources,
    "guardrails.privacy": _privacy,
    "guardrails.seeds": _seeds,
    "guardrails.environment": _environment,
    "guardrails.labels": _labels,
    "guardrails.max_tokens": _tokens,
    "guardrails.max_usd": _usd,
    "quality_gates": _gates,
    "planning": _planning,
    "handoffs": _handoffs,
    "success_criteria": _success,
    "prompts": _prompts,
}
"""Clause path, or its first word, -> what decides the outcome."""
