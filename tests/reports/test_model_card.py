"""model_card.md, rendered from small records."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from small_records import HOSTILE, evaluation, render, report_data

from mlagent.reports.model_card import markdown, render_model_card


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


def test_a_linear_winner_stands_once_in_the_card(tmp_path: Path) -> None:
    data = replace(report_data(), evaluation=evaluation(model_name="linear"), ran={})
    render_model_card(render, data, tmp_path / "card.md")
    card = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert card.count("| model: linear |") == 1
    assert "\n| linear |" not in card
    assert "Against the linear baseline: it is the linear baseline." in card
