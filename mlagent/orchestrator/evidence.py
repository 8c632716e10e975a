"""What the run saw, gathered for the ledger. Facts of this run only; nothing a candidate said."""

from __future__ import annotations

from mlagent.contracts.run import Environment, Ledger
from mlagent.contracts.search import TREE, SearchTree
from mlagent.contracts.usage import Bill
from mlagent.store.journal import read_journal

from .consulting import BILL
from .ledger import JobEvidence, LedgerEvidence, ToolEvidence, build_ledger
from .state import Bench, State
from .timing import until_report


def ledger_of(bench: Bench, state: State) -> Ledger:
    """The ledger of a run whose verdict stands and whose package was verified."""
    environment = bench.run.read("environment.json", Environment)
    assert state.evaluation is not None
    winner = state.fitted.get(state.winner)
    bill = bench.run.read(BILL, Bill) if (bench.run.path / BILL).is_file() else None
    plan = state.request.plan
    evidence = LedgerEvidence(
        plan=plan.model_copy(update={"selection": dict(state.request.selection)}),
        policies=bench.policies,
        jobs=tuple(
            JobEvidence(
                job.agent,
                job.name,
                job.verdict,
                job.limits,
                job.command,
                job.inputs,
                job.outputs,
            )
            for job in bench.desk.done
        ),
        artifacts={
            "exploration": state.exploration is not None,
            "column_roles": state.exploration is not None,
            "analysis": state.analysis is not None,
            "validation_plan": state.validation is not None,
            "candidate": (bench.run.path / "candidate" / "spec.json").is_file(),
            "model": winner is not None and winner.ok,
            **({"schedule": True} if winner is not None and winner.schedule is not None else {}),
        },
        gates=state.evaluation.gates,
        exploration=state.exploration,
        analysis=state.analysis,
        seed=state.request.seed,
        image=environment.image,
        packages=environment.packages,
        content=bench.desk.content.used,
        vault_rows=len(state.judged),
        package_verified=state.facts.get("package_verified"),
        budget_s=state.request.budget_s,
        wall_s=until_report(bench, state),
        tools=_tools(bench),
        shared_rows=int(state.facts.get("shared_rows", 0)),
        tokens=0 if bill is None else bill.total.tokens.total,
        usd=0.0 if bill is None else bill.total.usd,
        by_agent={} if bill is None else bill.by_agent,
    )
    return build_ledger(
        bench.contracts, evidence, bench.desk.sandbox.tier, bench.desk.sandbox.enforced()
    )


def _tools(bench: Bench) -> tuple[ToolEvidence, ...]:
    """Every use of a tool by a language model, of all processes of this run, candidates that were
    handed in among them."""
    events = read_journal(bench.run.path / "journal.jsonl")
    used = [
        ToolEvidence(
            str(event.facts["agent"]),
            str(event.facts["tool"]),
            str(event.facts["given"].get("path", "")),
            bool(event.facts["refused"]),
        )
        for event in events
        if event.kind == "tool.used"
    ]
    if (bench.run.path / TREE).is_file():
        made = [node for node in bench.run.read(TREE, SearchTree).nodes if node.written]
        used += [ToolEvidence("ml-engineer", "submit_candidate", "", False) for _ in made]
    return tuple(used)
