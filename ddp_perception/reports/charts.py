"""Draw curves as SVG."""
from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ddp_perception.reports.tables import number

MOST_POINTS = 600
GREATEST = 1e30
COLOURS = ('#0b5394', '#b45309')
OTHERS = '#8a8a8a'
WHOLE = ('epoch', 'iteration')
"""Axes without fractions."""


@dataclass
class Line:
    """A curve of a chart.

    Args:
        x, y: of equal length; where either is no number, or beyond `GREATEST`,
            there is a gap.
        label: for the legend; '' for a line that needs none.
        is_reference: drawn grey and dashed.
    """

    x: Sequence[float | None]
    y: Sequence[float | None]
    label: str = ''
    is_reference: bool = False


def draw(lines: Sequence[Line], x_label: str, y_label: str = '') -> str:
    """Draw curves.

    Text stays text. The picture is the same for the same curves.

    Args:
        lines: the curves. One of more than `MOST_POINTS` points is averaged
            over equal groups of its points.
        x_label, y_label: of the axes.

    Returns:
        Address that holds the picture itself (``data:image/svg+xml;...``).
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
    with matplotlib.rc_context({
            'svg.fonttype': 'none', 'svg.hashsalt': 'ddp', 'text.parse_math': False,
            'font.family': 'sans-serif', 'font.size': 9}):
        figure = Figure(figsize=(4, 2.4), layout='constrained')
        axes = figure.add_subplot()
        colours = iter(COLOURS)
        for line in lines:
            x, y = _thinned(line)
            axes.plot(x, y, color=OTHERS if line.is_reference else next(colours),
                      linestyle='--' if line.is_reference else '-',
                      marker='.' if len(x) <= 30 and not line.is_reference else '',
                      linewidth=1.4, label=line.label)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.grid(color='#e2e2e2', linewidth=0.6)
        axes.spines[['top', 'right']].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=x_label in WHOLE))
        axes.ticklabel_format(axis='y', scilimits=(-3, 5), useOffset=False)
        if any(line.label for line in lines):
            axes.legend(frameon=False, fontsize=8)
        buffer = io.BytesIO()
        figure.savefig(buffer, format='svg', metadata={
            'Date': None, 'Creator': None, 'Format': None, 'Type': None})
    return ('data:image/svg+xml;base64,'
            + base64.b64encode(buffer.getvalue()).decode())


def _thinned(line: Line) -> tuple[list[float], list[float]]:
    points = [(_drawable(x), _drawable(y)) for x, y in zip(line.x, line.y, strict=True)]
    if len(points) > MOST_POINTS:
        points = [point for point in points if not any(map(math.isnan, point))]
        group = math.ceil(len(points) / MOST_POINTS)
        groups = [points[start:start + group]
                  for start in range(0, len(points), group)]
        points = [(sum(x for x, _ in part) / len(part),
                   sum(y for _, y in part) / len(part)) for part in groups]
    return [x for x, _ in points], [y for _, y in points]


def _drawable(value: object) -> float:
    found = number(value)
    return math.nan if found is None or abs(found) > GREATEST else float(found)
