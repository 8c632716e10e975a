"""report.html, explore.html and model_card.md, rendered from small records."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from mlagent.contracts.evaluation import (
    A_TRY,
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
from mlagent.reports.model_card import markdown, render_model_card
from mlagent.reports.report import ReportData, render_explore, render_report

TEMPLATES = Path(__file__).parents[2] / "templates"
HOSTILE = '</style><script>alert(1)</script>{{7*7}} $x_1$ | `c` [l](http://evil) <img src=x> & "q"'
SECTIONS = [
    "verdict",
    "score",
    "leaderboard",
    "plots",
    "importance",
    "findings",
    "slices",
    "checks",
    "associations",
    "gates",
    "ledger",
    "limits",
    "run",
]


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


class Page(HTMLParser):
    """What a browser would make of a page: elements, ids, addresses, and the text people read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "href", "action", "srcset") and value:
                self.addresses.append(value)

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def write(tmp_path: Path) -> Callable[[ReportData], str]:
    def report(data: ReportData) -> str:
        render_report(render, data, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return report


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_the_report_holds_every_section_once_and_names_no_other_machine(
    write: Callable[[ReportData], str], kind: str
) -> None:
    html = write(report_data(kind=kind))
    page = Page(html)
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert len(page.ids) == len(set(page.ids))
    assert "http" not in html
    assert "@import" not in html
    assert all(address.startswith("#") for address in page.addresses)
    assert "NaN" not in html


def test_the_verdict_comes_first_with_score_interval_and_both_baselines(
    write: Callable[[ReportData], str],
) -> None:
    html = write(report_data())
    hero = html[html.index('id="verdict"') : html.index("<nav")]
    assert hero.index("on a par with linear") < hero.index("Not distinguishable from linear for")
    for text in ("0.8453", "0.8253 to 0.8653", "+0.0030 (−0.0040 to +0.0100)"):
        assert text in hero
    chart = html[html.index('id="score"') : html.index('id="leaderboard"')]
    for text in ("model: option_b", "linear", "dummy", "0.8420", "0.5000"):
        assert text in chart


def test_plots_follow_the_kind_of_task(write: Callable[[ReportData], str]) -> None:
    shown = {
        kind: re.findall(r"<figcaption>(\w+)", write(report_data(kind=kind)))
        for kind in ("binary", "multiclass", "regression")
    }
    assert shown == {
        "binary": ["ROC", "Precision", "Calibration", "Predictions"],
        "multiclass": ["Predictions"],
        "regression": ["Residuals", "Predictions"],
    }


def test_badges_say_what_must_not_be_missed(write: Callable[[ReportData], str]) -> None:
    data = report_data()
    gate = data.evaluation.gates[0].model_copy(update={"outcome": "fail"})
    poor = evaluation(
        gates=(gate,),
        tier="T0",
        judged_on="out-of-fold",
        difference_to_dummy=data.evaluation.difference_to_linear,
    )
    html = write(replace(data, evaluation=poor))
    hero = html[html.index('id="verdict"') : html.index("<nav")]
    for text in (
        "no better than guessing",
        "1 required gate not met",
        "no hold-out",
        "sandbox tier T0",
        "columns that may leak",
    ):
        assert text in hero


def test_the_headline_is_one_sentence_and_the_rest_follows_in_small(
    write: Callable[[ReportData], str],
) -> None:
    long = evaluation(verdict="AUC 0.8517 on 9 rows. option_c was below, so linear ships.")
    html = write(replace(report_data(), evaluation=long))
    assert '<p class="verdict">AUC 0.8517 on 9 rows.</p>' in html
    assert '<p class="data">option_c was below, so linear ships.</p>' in html


def test_a_linear_winner_is_not_compared_with_itself(write: Callable[[ReportData], str]) -> None:
    html = write(replace(report_data(), evaluation=evaluation(model_name="linear")))
    assert "it is the linear model" in html
    assert "the linear model ships" in html
    chart = html[html.index('id="score"') : html.index('id="leaderboard"')]
    assert re.findall(r"<text[^>]*>(model: linear|linear|dummy)<", chart) == [
        "model: linear",
        "dummy",
    ]


def test_hostile_names_stay_text_in_both_pages(
    write: Callable[[ReportData], str], tmp_path: Path
) -> None:
    render_explore(render, exploration(HOSTILE), tmp_path / "explore.html")
    for html in (
        write(report_data(HOSTILE)),
        (tmp_path / "explore.html").read_text(encoding="utf-8"),
    ):
        page = Page(html)
        assert {"script", "img"}.isdisjoint(page.tags)
        assert all(address.startswith("#") for address in page.addresses)
        assert HOSTILE in page.words


def test_hostile_names_stay_text_in_the_card(tmp_path: Path) -> None:
    render_model_card(render, report_data(HOSTILE), tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "<script" not in card
    assert "<img" not in card
    assert "http://" not in card
    assert not re.search(r"(?<!\\)\[l", card)
    for line in card.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |")
    assert markdown("a\n# b | *c* <d>") == "a \\# b \\| \\*c\\* &lt;d&gt;"


def test_the_card_has_the_headings_of_mitchell_and_numbers_from_records(tmp_path: Path) -> None:
    render_model_card(render, report_data(), tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", card, flags=re.MULTILINE)
    assert headings == [
        "Model Details",
        "Intended Use",
        "Factors",
        "Metrics",
        "Evaluation Data",
        "Training Data",
        "Quantitative Analyses",
        "Ethical Considerations",
        "Caveats and Recommendations",
    ]
    assert "| model: option\\_b | 0.8453 | 0.8253 to 0.8653 | 1,409 |" in card
    assert "    mlagent execute --seed 0 --replay r-1" in card


def test_a_run_without_analyst_or_seal_still_has_a_report_and_a_card(
    write: Callable[[ReportData], str], tmp_path: Path
) -> None:
    bare = replace(report_data(), exploration=None, analysis=None, seal=None)
    assert "took no part in this run" in write(bare)
    render_model_card(render, bare, tmp_path / "card.md")


def test_the_explorer_page_shows_columns_findings_and_pairs(tmp_path: Path) -> None:
    render_explore(render, exploration(), tmp_path / "explore.html")
    html = (tmp_path / "explore.html").read_text(encoding="utf-8")
    page = Page(html)
    assert [name for name in page.ids if name != "x"] == ["summary", "findings", "columns", "pairs"]
    assert "http" not in html
    assert html.count('<svg class="spark"') == 1
    assert "Contract may leak" in page.words


def test_the_same_records_give_the_same_bytes(write: Callable[[ReportData], str]) -> None:
    assert write(report_data()) == write(report_data())


def test_figures_take_the_colours_of_the_page(write: Callable[[ReportData], str]) -> None:
    html = write(report_data())
    style = html[html.index("<style>") : html.index("</style>")]
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    charts = "".join(re.findall(r'<svg class="chart".*?</svg>', html, flags=re.DOTALL))
    assert "var(--accent)" in charts
    assert not re.search(r"#0[1-7]0[1-7]0[1-7]", charts)


def test_what_was_planned_and_what_ran_are_told_apart(
    tmp_path: Path, write: Callable[[ReportData], str]
) -> None:
    data = replace(
        report_data("about 1,409 vault rows"),
        ran={"ml-engineer": "linear ships instead of option_b."},
    )
    words = " ".join(Page(write(data)).words.split())
    said = "ml-engineer: option_b (as recommended). Planned: about 1,409 vault rows."
    assert words.index("What was planned, and what ran") < words.index(said)
    assert words.index(said) < words.index("Ran: linear ships instead of option_b.")
    render_model_card(render, data, tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "ml-engineer (option\\_b), as planned: about 1,409 vault rows." in card
    assert "| Model | linear ships instead of option\\_b. |" in card


def test_the_leaderboard_says_what_each_row_is(write: Callable[[ReportData], str]) -> None:
    rows = tuple(
        CandidateScore(name=name, score=score(0.8), outcome="ok")
        for name in ("option_b", "linear", "dummy", "mine")
    )
    html = write(replace(report_data("trees"), evaluation=evaluation(leaderboard=rows)))
    table = html[html.index('id="leaderboard"') : html.index('id="plots"')]
    about = re.findall(r'about">([^<]*)<', table)
    assert about == [
        "planned: trees",
        "baseline: nothing is tuned",
        "baseline: ignores every feature",
    ]


def test_tries_are_explained_in_the_same_words_in_report_and_card(
    tmp_path: Path, write: Callable[[ReportData], str]
) -> None:
    assert f"7 tries so far: {A_TRY}." in write(report_data())
    render_model_card(render, report_data(), tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert f"Tries on the dev folds so far: 7; {A_TRY}." in card


def test_the_page_claims_no_total_of_seconds(write: Callable[[ReportData], str]) -> None:
    words = " ".join(Page(write(report_data())).words.split())
    run = words[words.index("The run") :]
    assert "58 s until this report, of a budget of 1 min" in run
    rows = re.findall(r"(baselines and folds|the fit|everything else)(\d+ s)", run)
    assert rows == [
        ("baselines and folds", "20 s"),
        ("the fit", "31 s"),
        ("everything else", "7 s"),
    ]


def test_a_missing_importance_has_its_reason(write: Callable[[ReportData], str]) -> None:
    bare = evaluation(importance=(), importance_note="Not measured: no feature can be shuffled.")
    assert "Not measured: no feature can be shuffled." in write(
        replace(report_data(), evaluation=bare)
    )


@pytest.mark.parametrize("judged_on", ["vault", "out-of-fold", "test file"])
def test_the_judged_rows_are_named_in_a_sentence(
    tmp_path: Path, write: Callable[[ReportData], str], judged_on: str
) -> None:
    data = replace(report_data(), evaluation=evaluation(judged_on=judged_on))
    words = " ".join(Page(write(data)).words.split())
    render_model_card(render, data, tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    what = {
        "vault": "rows that no candidate has seen",
        "out-of-fold": "out-of-fold rows",
        "test file": "rows of the test file that was given.",
    }[judged_on]
    assert f"Measured by the referee on 1,409 {what}" in words
    assert f"Judged on 1,409 {what}" in card


def test_what_holds_for_all_slices_is_said_once(
    tmp_path: Path, write: Callable[[ReportData], str]
) -> None:
    said = "55 groups were looked at; by chance alone about 1 would be called worse than the rest."
    data = replace(report_data(), evaluation=evaluation(slices_note=said))
    assert write(data).count(said) == 1
    render_model_card(render, data, tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text(encoding="utf-8").count(said) == 1


def test_gates_are_rules_in_words_and_not_applicable_is_no_alarm(
    write: Callable[[ReportData], str],
) -> None:
    gates = tuple(
        Gate(
            name=f"g{i}",
            metric=metric,
            comparison=comparison,
            threshold=threshold,
            value=None,
            required=required,
            outcome=outcome,
            evidence="why",
        )
        for i, (metric, comparison, threshold, required, outcome) in enumerate(
            (
                ("primary", "better_than_linear", None, False, "not applicable"),
                ("primary", "better_than_linear", None, True, "not applicable"),
                ("calibration_error", "at_most", 0.1, False, "fail"),
                ("f1", "at_least", 0.6, False, "pass"),
            )
        )
    )
    html = write(replace(report_data(), evaluation=evaluation(gates=gates)))
    table = html[html.index('id="gates"') : html.index('id="ledger"')]
    assert re.findall(r'badge (\w+)">([^<]+)<', table) == [
        ("calm", "not applicable"),
        ("bad", "not applicable"),
        ("warn", "fail"),
        ("good", "pass"),
    ]
    for rule in (
        "ROC AUC better than linear",
        "expected calibration error at most 0.1",
        "F1 at least 0.6",
    ):
        assert rule in table
    assert "1 required gate not met" in html


def test_a_note_that_the_verdict_holds_is_not_repeated(write: Callable[[ReportData], str]) -> None:
    said = "Trained on a sample of 1,000 rows."
    long = evaluation(verdict=f"AUC 0.8517 on 9 rows. {said}")
    html = write(replace(report_data(), evaluation=long, notes=(said, "A later note.")))
    assert html.count(said) == 1
    assert "A later note." in html


def test_a_linear_winner_stands_once_in_the_card(tmp_path: Path) -> None:
    data = replace(report_data(), evaluation=evaluation(model_name="linear"), ran={})
    render_model_card(render, data, tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert card.count("| model: linear |") == 1
    assert "\n| linear |" not in card
    assert "Against the linear baseline: it is the linear baseline." in card


def test_tables_of_numbers_fit_a_narrow_screen_and_prose_is_stacked_there(
    write: Callable[[ReportData], str],
) -> None:
    html = write(report_data())
    section = html[html.index('id="score"') : html.index('id="leaderboard"')]
    assert "wide" not in section
    narrow = html[html.index("@media (max-width: 640px)") : html.index("@media print")]
    assert ".stack td { display: block; }" in narrow
    for name in ("checks", "gates", "ledger"):
        part = html[html.index(f'id="{name}"') :]
        assert part[: part.index("</section>")].count('class="scroll stack"') == 1
