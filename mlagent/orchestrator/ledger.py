"""The ledger: each clause of each routed contract, where enforced, the evidence, the outcome.

Guarantees: `pass` needs evidence of this run; a clause whose promise the present tier does not keep
reads `not enforced`, never `pass`; facts that were not recorded are `not applicable`, with the
reason. Does not enforce anything and does not stop a run.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlagent.contracts.base import Role
from mlagent.contracts.contract import Contract, clauses
from mlagent.contracts.ports import Tier
from mlagent.contracts.run import Ledger, LedgerEntry

from .ledger_evidence import Case, JobEvidence, LedgerEvidence, ToolEvidence
from .ledger_rules import agent_measures, judge

__all__ = ["JobEvidence", "LedgerEvidence", "ToolEvidence", "agent_measures", "build_ledger"]


def build_ledger(
    contracts: Mapping[Role, Contract],
    evidence: LedgerEvidence,
    tier: Tier,
    enforced: frozenset[str],
) -> Ledger:
    """One entry for each clause of each routed contract.

    Args:
        tier: of the sandbox that ran.
        enforced: what it promises (`Sandbox.enforced()`); a container also limits CPUs.
    """
    kept = enforced | {"cpus"} if tier == "T3" else enforced
    entries = []
    for routed in evidence.plan.routing.agents:
        contract = contracts[routed.agent]
        for clause in clauses(contract):
            said, why = judge(Case(clause, contract, contracts, evidence, tier, kept))
            entries.append(
                LedgerEntry(
                    agent=contract.name,
                    clause=f"{clause.path}: {clause.value}",
                    enforced_by=clause.enforced_by,
                    outcome=said,
                    evidence=why,
                )
            )
    return Ledger(tier=tier, entries=tuple(entries))
