"""Makes the worked examples of docs/HYBRID_PLANNING_GUIDE.md with the planning code itself.

    python tools/guide.py            rewrite the blocks after each `<!-- made: NAME -->`
    python tools/guide.py --check    exit code 1 when a block is not what the tool makes

The tables are generated here from a fixed seed; machine and clock are fixed as well, so that the
same text comes out everywhere.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mlagent.agents.registry import load_contracts  # noqa: E402
from mlagent.content import Content  # noqa: E402
from mlagent.contracts.base import Record  # noqa: E402
from mlagent.contracts.plan import AgentPlanDocument, Machine, Plan  # noqa: E402
from mlagent.contracts.task import TaskSpec  # noqa: E402
from mlagent.documents import dump_yaml  # noqa: E402
from mlagent.orchestrator.planning import load_policies, make_plan, review_again  # noqa: E402
from mlagent.orchestrator.routing import route  # noqa: E402

GUIDE = ROOT / "docs" / "HYBRID_PLANNING_GUIDE.md"
MACHINE = Machine(cpus=2, memory_mb=8192, rows_columns_per_second=2.5e8, engine="docker 20.10.24")
PACKAGES = dict.fromkeys(
    ("pandas", "numpy", "scipy", "scikit-learn", "lightgbm", "optuna", "catboost"), "1.0"
)
BLOCK = re.compile(r"(<!-- made: ([a-z-]+) -->\n```yaml\n)(.*?)(```\n)", re.DOTALL)


def churn_csv() -> str:
    """1,200 customers; one id for each, some missing incomes."""
    rng = random.Random(0)
    lines = ["customer_id,tenure,plan,region,income,churned"]
    for number in range(1200):
        tenure = rng.randint(0, 72)
        plan = rng.choice(["month", "month", "year", "two years"])
        region = rng.choice(["north", "south", "east", "west"])
        income = "" if rng.random() < 0.12 else f"{rng.lognormvariate(10, 0.6):.0f}"
        leaves = rng.random() < 0.45 - 0.004 * tenure + (0.1 if plan == "month" else 0)
        lines.append(f"C{number:05d},{tenure},{plan},{region},{income},{'yes' if leaves else 'no'}")
    return "\n".join(lines) + "\n"


def visits_csv() -> str:
    """900 visits of 150 patients: rows of one patient depend on each other."""
    rng = random.Random(1)
    lines = ["patient_id,age,pressure,ward,days"]
    for number in range(900):
        patient = number % 150
        age = 20 + patient % 60
        pressure = "" if rng.random() < 0.3 else f"{rng.gauss(120 + patient % 30, 8):.1f}"
        ward = rng.choice(["A", "B", "C"])
        lines.append(f"P{patient:04d},{age},{pressure},{ward},{rng.gauss(5 + patient % 7, 1):.2f}")
    return "\n".join(lines) + "\n"


def planned(words: str, csv: str, task: TaskSpec, ids: tuple[str, ...] = ()) -> Plan:
    """The plan that `mlagent plan` would write for this table."""
    from mlagent.data.door import open_table
    from mlagent.data.profile import profile_table

    contracts, policies = load_contracts(Content()), load_policies(Content())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_text(csv, encoding="utf-8")
        with open_table(path) as table:
            profile = profile_table(table, target=task.target, ids=ids)
            data = table.ref.model_copy(update={"path": "table.csv"})
    return make_plan(
        task=task,
        data=data,
        profile=profile,
        routing=route(words, policies.routing, contracts),
        machine=MACHINE,
        budget_s=300.0,
        packages=PACKAGES,
        contracts=contracts,
        policies=policies,
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )


def part(plan: Plan, *keys: str) -> str:
    """Some top-level keys of plan.yaml, as they stand there."""
    kept: list[str] = []
    inside = False
    for line in dump_yaml(plan).splitlines():
        if line and not line.startswith((" ", "-")):
            inside = line.split(":", 1)[0] in keys
        if inside:
            kept.append(line)
    return "\n".join(kept) + "\n"


def document(plan: Plan, role: str) -> str:
    """One agent's plan as its own document."""
    record: Record = AgentPlanDocument(agent_plan=plan.agent_plans[role])  # type: ignore[index]
    return dump_yaml(record)


def blocks() -> dict[str, str]:
    """Name of each example -> its YAML."""
    churn = planned(
        "churn model and a React dashboard",
        churn_csv(),
        TaskSpec(
            description="churn model",
            kind="binary",
            target="churned",
            metric="roc_auc",
            direction="maximize",
            positive="yes",
            classes=("no", "yes"),
        ),
    )
    visits = planned(
        "predict the days in hospital",
        visits_csv(),
        TaskSpec(
            description="predict the days in hospital",
            kind="regression",
            target="days",
            metric="rmse",
            direction="minimize",
        ),
        ids=("patient_id",),
    )
    contracts, policies = load_contracts(Content()), load_policies(Content())
    hurried = churn.model_copy(update={"budget": churn.budget.model_copy(update={"seconds": 5.0})})
    late = hurried.model_copy(
        update={"review": review_again(hurried, contracts, policies, packages=PACKAGES)}
    )
    return {
        "routing": part(churn, "routing"),
        "engineer": document(churn, "ml-engineer"),
        "analyst": document(visits, "statistical-analyst"),
        "review": part(churn, "review"),
        "late": part(late, "review"),
        "edit": part(churn, "columns", "selection", "vault", "budget"),
    }


def main(words: list[str] | None = None, guide: Path = GUIDE) -> int:
    """Write or check. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args(words).check
    made = blocks()
    text = guide.read_text("utf-8")
    fresh = BLOCK.sub(lambda m: m[1] + made[m[2]] + m[4], text)
    missing = set(made) - {m[2] for m in BLOCK.finditer(text)}
    if missing:
        print(f"{guide.name} has no block for {', '.join(sorted(missing))}")
        return 1
    if fresh == text:
        return 0
    if check:
        print(f"{guide.name} is not what the tool makes; run: python tools/guide.py")
        return 1
    guide.write_text(fresh, "utf-8")
    print(f"{guide.name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
