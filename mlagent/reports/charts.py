"""The report's figures: inline SVG drawn by matplotlib, coloured by the page's own style.

Guarantees: text stays text and is escaped, labels are never read as formulas, no metadata and no
address of another machine stands in the file, equal numbers give equal bytes, and nothing warns.
Colours are CSS variables, so that one figure serves light, dark and print. matplotlib is imported
when a figure is first drawn.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mlagent.contracts.evaluation import Calibration, Curves, Importance, Score

from .numbers import metric_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, GRID, ACCENT, SECOND, THIRD, PAPER = (
    "#010101", "#020202", "#030303", "#040404", "#050505", "#060606", "#070707",
)  # fmt: skip
VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
    PAPER: "var(--card)",
}
"""Colours that matplotlib draws with, and what the page puts in their place."""
STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}
LONGEST_LABEL = 28
WIDE = 5.6
"""Inches of a figure that fills the page's width: on a phone its text is still 8 px high."""


def label(text: str) -> str:
    """A name as an axis label: one line, printable, at most 28 characters."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= LONGEST_LABEL else clean[: LONGEST_LABEL - 1] + "…"


def draw(
    name: str,
    title: str,
    paint: Callable[[Figure], None],
    size: tuple[float, float],
    left: float = 0.72,
) -> Markup:
    """One figure as an <svg> element that scales with the page.

    Args:
        name: makes the ids inside the figure unique on the page.
        title: what a screen reader says.
        paint: draws into the empty figure.
        size: inches.
        left: inches for the labels of the vertical axis; fixed margins, because a layout engine
            takes longer than all drawing.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with warnings.catch_warnings(), matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        warnings.simplefilter("ignore")  # a label in a script that the font lacks
        figure = Figure(figsize=size)
        FigureCanvasSVG(figure)
        width, height = size
        figure.subplots_adjust(left / width, 0.5 / height, 1 - 0.18 / width, 1 - 0.12 / height)
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True)
    return Markup(_inline(buffer.getvalue(), name, title))


def warm() -> None:
    """Import what the first figure needs, in the background."""
    threading.Thread(target=_import_drawing, daemon=True).start()


def _import_drawing() -> None:
    with contextlib.suppress(Exception):  # the first figure says what is wrong
        for module in ("matplotlib.figure", "matplotlib.backends.backend_svg"):
            importlib.import_module(module)


def _room(names: Sequence[str]) -> float:
    """Inches that these labels take at 10 points."""
    return 0.3 + 0.08 * max((len(label(name)) for name in names), default=0)


def _inline(svg: str, name: str, title: str) -> str:
    """Strip what belongs to a file of its own, and let the page choose colours and fonts."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, body = svg.split(">", 1)
    view = re.search(r'viewBox="([^"]*)"', head)
    box = view.group(1) if view else "0 0 400 300"
    body = re.sub(r"<[^>]+>", lambda tag: _themed(tag.group(0), name), body)
    said = Markup.escape(title)
    return f'<svg class="chart" viewBox="{box}" role="img" aria-label="{said}">{body}'


def _themed(tag: str, name: str) -> str:
    """One tag with the page's colours and font, and ids of its own. Text is not touched."""
    tag = re.sub(r"font(-family)?: ?[^;\"]*;?", _keep_size, tag).replace("xlink:href", "href")
    tag = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", tag)
    for colour, variable in VARIABLES.items():
        tag = tag.replace(colour, variable)
    return tag


def _keep_size(found: re.Match[str]) -> str:
    size = re.search(r"[\d.]+px", found.group(0))
    return f"font-size: {size.group(0)};" if size else ""


def _plain(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.tick_params(length=0, pad=6)


def scores_chart(rows: Sequence[tuple[str, Score]], metric: str, title: str) -> Markup:
    """Dots with 95 % intervals, first row on top; the first one is the model."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (_, score) in enumerate(rows):
            colour = (ACCENT, SECOND, THIRD)[min(place, 2)]
            axes.plot([score.low, score.high], [place, place], color=colour, lw=4, alpha=0.45,
                      solid_capstyle="round")  # fmt: skip
            axes.plot([score.value], [place], "o", color=colour, ms=9)
            axes.annotate(metric_value(score.value, metric), (score.value, place), xytext=(0, 9),
                          textcoords="offset points", ha="center", color=INK)  # fmt: skip
        axes.set_yticks(range(len(rows)), [label(name) for name, _ in rows])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(rows) - 0.5, -0.7)
        axes.margins(x=0.12)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        _plain(axes, title, "")

    return draw(
        "scores",
        f"{title} with 95 % intervals",
        paint,
        (WIDE, 0.62 * len(rows) + 0.75),
        _room([name for name, _ in rows]),
    )


def roc_chart(curves: Curves) -> Markup:
    """True against false positive rate; the diagonal is guessing."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=THIRD, lw=1, ls="--")
        x, y = zip(*curves.roc, strict=True)
        axes.fill_between(x, y, color=ACCENT, alpha=0.12, lw=0)
        axes.plot(x, y, color=ACCENT, lw=2)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.01)
        _plain(axes, "false positive rate", "true positive rate")

    return draw("roc", "ROC curve", paint, (4.4, 3.5))


def pr_chart(curves: Curves, prevalence: float | None) -> Markup:
    """Precision against recall; the dashed line is the share of positives."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        if prevalence is not None:
            axes.axhline(prevalence, color=THIRD, lw=1, ls="--")
        x, y = zip(*curves.pr, strict=True)
        axes.fill_between(x, y, color=ACCENT, alpha=0.12, lw=0)
        axes.plot(x, y, color=ACCENT, lw=2)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.01)
        _plain(axes, "recall", "precision")

    return draw("pr", "Precision-recall curve", paint, (4.4, 3.5))


def calibration_chart(calibration: Calibration) -> Markup:
    """Observed against predicted share, dots by the number of rows; the diagonal is perfect."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        said = [bin_[0] for bin_ in calibration.bins]
        came = [bin_[1] for bin_ in calibration.bins]
        most = max(bin_[2] for bin_ in calibration.bins)
        sizes = [20 + 60 * bin_[2] / most for bin_ in calibration.bins]
        axes.plot([0, 1], [0, 1], color=THIRD, lw=1, ls="--")
        axes.plot(said, came, color=ACCENT, lw=1.5, alpha=0.6)
        axes.scatter(said, came, s=sizes, color=ACCENT, linewidths=0)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        _plain(axes, "predicted probability", "observed share")

    return draw("calibration", "Calibration", paint, (4.4, 3.5))


def histogram_chart(curves: Curves, x: str) -> Markup:
    """How predictions are spread."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        edges = [edge for edge, _ in curves.predicted_histogram]
        counts = [n for _, n in curves.predicted_histogram]
        width = edges[1] - edges[0] if len(edges) > 1 else 1.0
        axes.bar(edges, counts, width=0.92 * width, align="edge", color=ACCENT, alpha=0.75, lw=0)
        axes.grid(axis="x", visible=False)
        axes.xaxis.set_major_formatter(_tick)
        axes.yaxis.set_major_formatter(_tick)
        _plain(axes, x, "rows")

    return draw("predicted", f"Histogram: {x}", paint, (4.4, 3.5))


def residual_chart(curves: Curves) -> Markup:
    """Truth minus prediction against the prediction."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        x, y = zip(*curves.residuals, strict=True)
        axes.axhline(0, color=MUTED, lw=1)
        axes.scatter(x, y, s=14, color=ACCENT, alpha=0.5, linewidths=0)
        axes.xaxis.set_major_formatter(_tick)
        axes.yaxis.set_major_formatter(_tick)
        _plain(axes, "predicted", "truth − predicted")

    return draw("residuals", "Residuals", paint, (4.4, 3.5))


def importance_chart(importance: Sequence[Importance], metric: str) -> Markup:
    """Loss of score when one column is shuffled, with intervals; most important on top."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, item in enumerate(importance):
            axes.barh(place, item.drop, height=0.62, color=ACCENT, alpha=0.8, lw=0)
            axes.plot([item.low, item.high], [place, place], color=INK, lw=1.2)
        axes.axvline(0, color=MUTED, lw=0.8)
        axes.set_yticks(range(len(importance)), [label(item.column) for item in importance])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(importance) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(_tick)
        _plain(axes, f"loss of {metric} when the column is shuffled", "")

    size = (WIDE, 0.3 * len(importance) + 0.8)
    room = _room([item.column for item in importance])
    return draw("importance", "Permutation importance", paint, size, room)


def association_chart(rows: Sequence[tuple[str, float, bool]]) -> Markup:
    """Effect sizes of single columns; hollow where q is not below 0.05."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (_, effect, sure) in enumerate(rows):
            axes.plot([0, effect], [place, place], color=SECOND, lw=2, alpha=0.5)
            axes.plot([effect], [place], "o", ms=7, color=SECOND, mfc=SECOND if sure else PAPER)
        axes.set_yticks(range(len(rows)), [label(name) for name, _, _ in rows])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, max([0.5, *(effect * 1.08 for _, effect, _ in rows)]))
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        _plain(axes, "effect size, 0 to 1 (filled: q < 0.05)", "")

    size = (WIDE, 0.3 * len(rows) + 0.8)
    room = _room([name for name, _, _ in rows])
    return draw("associations", "Associations with the target", paint, size, room)


def _tick(value: float, _position: float = 0) -> str:
    """Tick labels with separated thousands and no exponent for ordinary sizes."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.6g}".replace("-", "−")
