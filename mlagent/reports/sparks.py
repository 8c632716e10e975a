"""Tiny pictures inside table cells: histograms and intervals, as inline SVG.

Guarantees: only numbers go into the drawing, so no text of the data can; colours come from the
page's style, so they follow light and dark. Returns Markup, which templates do not escape again.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 120, 28


def histogram(counts: Sequence[int]) -> Markup:
    """Bars of equal width, heights by count; empty for fewer than two bars."""
    if len(counts) < 2 or max(counts) <= 0:
        return Markup("")
    step = WIDTH / len(counts)
    bars = []
    for position, size in enumerate(counts):
        height = max(1.0, HEIGHT * size / max(counts)) if size else 0.0
        bars.append(
            f'<rect x="{position * step:.2f}" y="{HEIGHT - height:.2f}" '
            f'width="{max(step - 1, 0.6):.2f}" height="{height:.2f}"/>'
        )
    return Markup(  # numbers only
        f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'aria-hidden="true">{"".join(bars)}</svg>'
    )


def interval(
    value: float, low: float, high: float, span: tuple[float, float], mark: float | None = None
) -> Markup:
    """A dot with its interval on the common scale `span`; `mark` is drawn as a thin line."""
    left, right = span
    if not right > left:
        return Markup("")

    def place(x: float) -> float:
        return 4 + (WIDTH - 8) * min(max((x - left) / (right - left), 0.0), 1.0)

    middle = HEIGHT / 2
    line = ""
    if mark is not None:
        x = f"{place(mark):.1f}"
        line = f'<line class="mark" x1="{x}" x2="{x}" y1="2" y2="{HEIGHT - 2}"/>'
    return Markup(  # numbers only
        f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'aria-hidden="true">{line}<line class="range" x1="{place(low):.1f}" '
        f'x2="{place(high):.1f}" y1="{middle}" y2="{middle}"/>'
        f'<circle cx="{place(value):.1f}" cy="{middle}" r="3.5"/></svg>'
    )


def bar(part: float) -> Markup:
    """A filled share of the cell's width, 0..1."""
    width = 100 * min(max(part, 0.0), 1.0)
    return Markup(f'<span class="bar"><span style="width:{width:.1f}%"></span></span>')
