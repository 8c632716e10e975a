"""Figures: labels are data, colours and ids belong to the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mlagent.contracts.evaluation import Curves, Importance, Score
from mlagent.reports import charts, sparks


def texts(svg: str) -> list[str]:
    """What can be read in a figure; raises when the figure is not well-formed."""
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("text")]


def importance(*names: str) -> str:
    items = [Importance(column=name, drop=0.1, low=0.09, high=0.12) for name in names]
    return str(charts.importance_chart(items, "ROC AUC"))


@pytest.mark.parametrize(
    "name", ["$x_1$", "$\\frac{", "<b>&amp;", "#040404", "url(#x)", "font: evil;", "目标 列"]
)
def test_a_column_name_is_shown_as_it_is(name: str) -> None:
    assert name in texts(importance(name))


def test_long_and_unprintable_names_are_cut_to_one_line() -> None:
    shown = charts.label("a\nb\x00c" + "x" * 100)
    assert shown.startswith("a b c")
    assert len(shown) == charts.LONGEST_LABEL


def test_ids_of_two_figures_never_meet_and_no_address_is_left() -> None:
    curves = Curves(roc=((0, 0), (1, 1)), pr=((0, 1), (1, 0)))
    one, other = str(charts.roc_chart(curves)), str(charts.pr_chart(curves, 0.3))
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])
    for svg, own in zip((one, other), ids, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= own
        assert "http" not in svg


def test_scores_stand_above_their_dots() -> None:
    rows = [("model: a", Score(value=0.8453, low=0.8, high=0.9, n=9)),
            ("dummy", Score(value=0.5, low=0.5, high=0.5, n=9))]  # fmt: skip
    shown = texts(str(charts.scores_chart(rows, "roc_auc", "ROC AUC")))
    assert {"0.8453", "0.5000", "model: a", "dummy"} <= set(shown)


def test_small_pictures_are_drawn_from_numbers_and_stay_inside() -> None:
    assert sparks.histogram([]) == ""
    assert sparks.histogram([0, 0]) == ""
    assert sparks.histogram([1, 0, 3]).count("<rect") == 3
    assert 'cx="116.0"' in sparks.interval(99.0, 0.0, 99.0, (0.0, 1.0))
    assert sparks.interval(1.0, 1.0, 1.0, (1.0, 1.0)) == ""
    assert "width:100.0%" in sparks.bar(7.0)
