"""report.html, rendered from small records: every section, what comes first, what is said once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from html_page import Page
from small_records import evaluation, report_data, score

from mlagent.contracts.evaluation import CandidateScore, Gate
from mlagent.reports.report import ReportData

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
