"""Small records of one run, as reports are rendered from; any name in them may be hostile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from mlagent.contracts.evaluation import (
    Calibration,
    CandidateScore,
    Curves,
    Difference,
    Evaluation,
    Gate,
    Importance,
    Score,
    SealRef,
    SliceScore,
)
from mlagent.contracts.findings import (
    Analysis,
    Association,
    Check,
    ColumnLook,
    ColumnRoles,
    Exploration,
    Finding,
    RoleFound,
    Slicing,
    ValidationPlan,
)
from mlagent.contracts.plan import AgentPlan, Option, Recommendation
from mlagent.contracts.run import Environment, Ledger, LedgerEntry, Seal
from mlagent.contracts.task import DataRef, TaskSpec
from mlagent.reports.report import ReportData

TEMPLATES = Path(__file__).parents[2] / "templates"
HOSTILE = '</style><script>alert(1)</script>{{7*7}} $x_1$ | `c` [l](http://evil) <img src=x> & "q"'


def render(name: str, values: Mapping[str, object]) -> str:
    """Strict, sandboxed, escaping: as the program wires it."""
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(**values)


def score(value: float) -> Score:
    return Score(value=value, low=value - 0.02, high=value + 0.02, n=1409)


def evaluation(word: str = "Contract", kind: str = "binary", **more: Any) -> Evaluation:
    verdict = "not distinguishable"
    same = Difference(value=0.003, low=-0.004, high=0.01, verdict=verdict)
    curves: dict[str, Any] = {
        "confusion": ((800, 240), (100, 269)),
        "predicted_histogram": ((0.0, 10), (0.5, 20)),
    }
    if kind == "binary":
        curves |= {"roc": ((0, 0), (0.2, 0.7), (1, 1)), "pr": ((0, 1), (1, 0.3))}
    if kind == "regression":
        curves = {
            "residuals": ((1, 0.5), (2, -0.5)),
            "predicted_histogram": ((1000.0, 3), (3000.0, 4)),
        }
    bins = ((0.1, 0.12, 700), (0.6, 0.55, 709))
    values: dict[str, Any] = {
        "metric": {"binary": "roc_auc", "multiclass": "log_loss"}.get(kind, "rmse"),
        "direction": "maximize" if kind == "binary" else "minimize",
        "judged_on": "vault",
        "model_name": "option_b",
        "model": score(0.8453),
        "baselines": {"dummy": score(0.5), "linear": score(0.842)},
        "difference_to_linear": same,
        "difference_to_dummy": same.model_copy(update={"low": 0.3, "verdict": "better"}),
        "metrics": {"f1": score(0.61)} if kind == "binary" else {},
        "threshold": 0.31 if kind == "binary" else None,
        "slices": (
            SliceScore(column=word, value=word, n=700, score=score(0.7), note="worst"),
            SliceScore(column=word, value="b", n=20, note="too few rows"),
        ),
        "calibration": Calibration(bins=bins, expected_error=0.02) if kind == "binary" else None,
        "curves": Curves(**curves),
        "leaderboard": (
            CandidateScore(name=word, score=score(0.84), outcome="ok", chosen=True),
            CandidateScore(name="mine", outcome="no score: time"),
        ),
        "importance": (Importance(column=word, drop=0.1, low=0.09, high=0.11),),
        "gates": (
            Gate(
                name="better than dummy",
                metric="difference",
                comparison="above",
                threshold=0.0,
                value=0.3,
                required=True,
                outcome="pass",
                evidence=word,
            ),
        ),
        "seal": SealRef(id="s-1", opening=3),
        "tries": 7,
        "tier": "T3",
        "suspects": (word,),
        "verdict": f"Not distinguishable from linear for {word}.",
        "cannot_see": ("leakage inside features",),
    }
    return Evaluation(**(values | more))


def exploration(word: str = "Contract") -> Exploration:
    finding = Finding(
        code="leak.suspect",
        severity="high",
        columns=(word,),
        title=f"{word} may leak",
        evidence="AUC 0.97",
        consequence="Kept.",
    )
    role = RoleFound(role="category", dtype="str", why=word, suspect=True)
    look = ColumnLook(
        name=word, role="category", missing=0.1, distinct=2, labels=(word,), counts=(9, 3)
    )
    number = ColumnLook(
        name="n",
        role="number",
        missing=0,
        distinct=9,
        edges=(0, 1, 2),
        counts=(4, 5),
        association=0.2,
    )
    return Exploration(
        rows=5634,
        rows_used=5634,
        roles=ColumnRoles(columns={word: role}, excluded={word: "copy of the target"}),
        looks=(look, number),
        findings=(finding,),
        pairs=((word, "n", 0.9),),
    )


def analysis(word: str = "Contract") -> Analysis:
    return Analysis(
        rows=5634,
        rows_used=5634,
        validation_plan=ValidationPlan(
            kind="stratified", folds=3, why=word, detectable_difference=0.0082
        ),
        checks=(
            Check(code="a.b", outcome="warn", title="t", evidence=word, consequence="c"),
            Check(code="a.c", outcome="pass", title="t", evidence="e", consequence="c"),
        ),
        associations=(
            Association(
                column=word,
                test="chi square",
                effect=0.4,
                effect_name="Cramer's V",
                p_value=0.0,
                q_value=0.0,
                n=5634,
            ),
        ),
        imbalance=0.265,
        slices=(Slicing(column=word, why=word),),
    )


def report_data(word: str = "Contract", kind: str = "binary") -> ReportData:
    option = Option(
        approach=word,
        pros=(),
        cons=(),
        time_estimate_hours=0.1,
        complexity="low",
        risks=(),
        dependencies=(),
    )
    plan = AgentPlan(
        agent_name="ml-engineer",
        task="t",
        implementation_options={"option_a": option, "option_b": option},
        recommendation=Recommendation(selected="option_b", rationale=word, conditions=()),
    )
    entry = LedgerEntry(
        agent="ml-engineer",
        clause=word,
        enforced_by="sandbox policy",
        outcome="not enforced",
        evidence=word,
    )
    return ReportData(
        title=f"churn model {word}",
        run_id="r-1",
        task=TaskSpec(description="churn model", kind=kind, target=word, classes=("No", word)),  # type: ignore[arg-type]
        data=DataRef(
            path="telco.csv", format="csv", sha256="a" * 64, bytes=1, rows=7043, columns=(word, "n")
        ),
        evaluation=evaluation(word, kind),
        exploration=exploration(word),
        analysis=analysis(word),
        ledger=Ledger(tier="T3", entries=(entry,)),
        environment=Environment(
            mlagent="0.1.0", python="3.11", platform="Linux", tier="T3", packages={"numpy": "2.4"}
        ),
        seal=Seal(
            id="s-1",
            data_sha256="a" * 64,
            kind="stratified",
            share=0.2,
            seed=0,
            dev_rows=5634,
            vault_rows=(1, 2),
            vault_hashes=(),
            grouped_duplicates=True,
        ),
        agent_plans={"ml-engineer": plan},
        selection={"ml-engineer": "option_b"},
        reproduce="mlagent execute --seed 0 --replay r-1",
        until_report_s=58.0,
        budget_s=60.0,
        notes=(word,),
        ran={"ml-engineer": f"option_b ships ({word})."},
        phases=(("baselines and folds", 20.0), ("the fit", 31.0), ("the choice", 0.001)),
    )
