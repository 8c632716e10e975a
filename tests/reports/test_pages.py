"""explore.html, and what holds in report.html, explore.html and model_card.md alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from html_page import Page
from small_records import HOSTILE, evaluation, exploration, render, report_data

from mlagent.contracts.evaluation import A_TRY
from mlagent.reports.model_card import render_model_card
from mlagent.reports.report import ReportData, render_explore


def test_the_explorer_page_shows_columns_findings_and_pairs(tmp_path: Path) -> None:
    render_explore(render, exploration(), tmp_path / "explore.html")
    html = (tmp_path / "explore.html").read_text(encoding="utf-8")
    page = Page(html)
    assert [name for name in page.ids if name != "x"] == ["summary", "findings", "columns", "pairs"]
    assert "http" not in html
    assert html.count('<svg class="spark"') == 1
    assert "Contract may leak" in page.words


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


def test_a_run_without_analyst_or_seal_still_has_a_report_and_a_card(
    write: Callable[[ReportData], str], tmp_path: Path
) -> None:
    bare = replace(report_data(), exploration=None, analysis=None, seal=None)
    assert "took no part in this run" in write(bare)
    render_model_card(render, bare, tmp_path / "card.md")


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


def test_tries_are_explained_in_the_same_words_in_report_and_card(
    tmp_path: Path, write: Callable[[ReportData], str]
) -> None:
    assert f"7 tries so far: {A_TRY}." in write(report_data())
    render_model_card(render, report_data(), tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert f"Tries on the dev folds so far: 7; {A_TRY}." in card


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
