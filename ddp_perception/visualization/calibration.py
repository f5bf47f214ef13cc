"""Reliability diagrams, risk-coverage and sparsification curves.

They are drawn from what ``curves_file`` of `ddp.CalibrationMetric` and
`ddp.DepthUncertaintyMetric` holds.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ddp_perception.visualization.panels import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
SIDE = 2.7  # of a diagram
HISTOGRAM = 0.65  # height, below a diagram
LEFT, RIGHT = 0.65, 0.2  # of a diagram: y label and ticks; margin
ABOVE, BELOW = 0.4, 0.5  # title; x label and ticks
BETWEEN = 0.1  # diagram and histogram
LEGEND = 0.3  # below all reliability diagrams
MOST_COLUMNS = 4

OBSERVED, GAP, IDEAL, CELLS = 'tab:blue', 'tab:red', '0.4', '0.6'
LINES = ('-', '--', ':', '-.')  # curves may lie on each other
HIGHEST = 3.  # end of the vertical axis, in errors of all pixels
WORDS = {'abs_rel': 'mean of |error| / truth', 'rmse': 'RMSE'}


def save_calibration(path: str | Path, curves: Mapping[str, Any]) -> Path:
    """Draw how reliable probabilities are, and how uncertainties rank errors.

    One reliability diagram for the classes of a label map together, or for
    each overlapping class, with its ECE and, below, the share of cells in each
    bin; then the share of wrong cells among the most certain ones, a curve per
    uncertainty with its AURC.

    Args:
        path: The file; its suffix decides the format.
        curves: ``figures``, ``edges``, ``reliability`` and ``risk_coverage`` as
            `ddp.CalibrationMetric` writes them; None or NaN in empty bins.

    Returns:
        The file.
    """
    groups = curves['reliability']
    ranked = {name: curve for name, curve in curves['risk_coverage'].items()
              if np.isfinite(_numbers(curve['risk'])).any()}
    places = _Places(len(groups) + bool(ranked), LEGEND)
    for index, (name, data) in enumerate(groups.items()):
        pooled = name == 'all'
        ece = _figure_of(curves, 'calibration/ece' if pooled
                         else f'calibration/{name}/ece')
        title = f'{"reliability" if pooled else name.replace("_", " ")}, ECE {ece}'
        diagram, below = places.diagram_and_histogram(index)
        _draw_reliability(diagram, below, _numbers(curves['edges']), data, title,
                          ('confidence', 'accuracy') if pooled else
                          ('predicted probability', 'observed frequency'))
    if groups:
        places.figure.legend(*diagram.get_legend_handles_labels(), ncols=3,
                             loc='lower center', fontsize=9, frameon=False)
    if ranked:
        axes = places.axes(len(groups))
        for number, (name, curve) in enumerate(ranked.items()):
            aurc = _figure_of(curves, f'uncertainty/{name}/aurc')
            axes.plot(_numbers(curve['coverage']), _numbers(curve['risk']),
                      LINES[number % len(LINES)], label=f'{name}, AURC {aurc}')
        _dress(axes, 'risk and coverage', 'share of cells kept, most certain first',
               'share of wrong cells')
        axes.set(xlim=(0, 1), ylim=(0, None))
        axes.legend(loc='upper left', fontsize=8, frameon=False)
    return save_figure(places.figure, path)


def save_sparsification(path: str | Path, curves: Mapping[str, Any]) -> Path:
    """Draw how the error of depth falls as uncertain pixels are left out.

    A panel per error: the curve of the uncertainty, that of the oracle, and
    between them the area whose size is AUSE. An uncertainty without knowledge
    stays at 1.

    Args:
        path: The file; its suffix decides the format.
        curves: ``figures`` and ``sparsification`` as
            `ddp.DepthUncertaintyMetric` writes them.

    Returns:
        The file.
    """
    errors = curves['sparsification']
    places = _Places(len(errors), LEGEND)
    for index, (name, data) in enumerate(errors.items()):
        axes = places.axes(index)
        kept, error, oracle = (_numbers(data[key])
                               for key in ('kept', 'error', 'oracle'))
        left_out = 1 - kept
        axes.axhline(1, color=IDEAL, linestyle='--', linewidth=1, label='chance')
        axes.plot(left_out, error, color=OBSERVED, label='by uncertainty')
        axes.plot(left_out, oracle, color='black', linewidth=1,
                  label='by error (oracle)')
        axes.fill_between(left_out, oracle, error, color=GAP, alpha=0.2, linewidth=0,
                          label='AUSE')
        highest = np.nanmax([*error, 1])
        axes.set(xlim=(0, 1), ylim=(0, min(1.1 * highest, HIGHEST)))
        ause = _figure_of(curves, f'uncertainty/ause_{name}')
        _dress(axes, f'{WORDS.get(name, name)}, AUSE {ause}',
               'share of pixels left out', 'error of the others / error of all')
    if errors:
        places.figure.legend(*axes.get_legend_handles_labels(), ncols=4,
                             loc='lower center', fontsize=9, frameon=False)
    return save_figure(places.figure, path)


class _Places:
    """A figure with room for diagrams side by side, and below them.

    Args:
        count: Diagrams.
        below: Inches that are left free below them.
    """

    def __init__(self, count: int, below: float = 0) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        rows = math.ceil(count / MOST_COLUMNS)
        self.columns = math.ceil(count / rows)
        self.wide, self.high = (LEFT + SIDE + RIGHT,
                                ABOVE + SIDE + BETWEEN + HISTOGRAM + BELOW)
        self.size = self.columns * self.wide, rows * self.high + below
        self.figure: Figure = Figure(figsize=self.size)
        FigureCanvasAgg(self.figure)

    def axes(self, index: int) -> Axes:
        """Return axes that take a whole place."""
        return self._add(index, BELOW, SIDE + BETWEEN + HISTOGRAM)

    def diagram_and_histogram(self, index: int) -> tuple[Axes, Axes]:
        """Return square axes, and those below them."""
        return (self._add(index, BELOW + HISTOGRAM + BETWEEN, SIDE),
                self._add(index, BELOW, HISTOGRAM))

    def _add(self, index: int, bottom: float, high: float) -> Axes:
        row, column = divmod(index, self.columns)
        left = column * self.wide + LEFT
        bottom += self.size[1] - (row + 1) * self.high
        return self.figure.add_axes((left / self.size[0], bottom / self.size[1],
                                     SIDE / self.size[0], high / self.size[1]))


def _draw_reliability(diagram: Axes, below: Axes, edges: np.ndarray,
                      data: Mapping[str, Any], title: str,
                      names: tuple[str, str]) -> None:
    """Draw the observed frequency of each bin and its gap to the predicted one."""
    cells, probability, frequency = (
        _numbers(data[key]) for key in ('cells', 'probability', 'frequency'))
    filled = cells > 0
    left, width = edges[:-1][filled], np.diff(edges)[filled]
    probability, frequency = probability[filled], frequency[filled]
    style: dict[str, Any] = dict(align='edge', linewidth=0.5)
    diagram.bar(left, frequency, width, color=OBSERVED, edgecolor='white',
                label=names[1], **style)
    diagram.bar(left, probability - frequency, width, frequency, color='none',
                hatch='////', edgecolor=GAP, label=f'gap to mean {names[0]}', **style)
    diagram.plot([0, 1], [0, 1], color=IDEAL, linestyle='--', linewidth=1,
                 label='perfect')
    _dress(diagram, title, '', names[1])
    diagram.set(xlim=(0, 1), ylim=(0, 1))
    diagram.tick_params(labelbottom=False)
    below.bar(edges[:-1], cells / max(cells.sum(), 1), np.diff(edges), align='edge',
              color=CELLS, edgecolor='white', linewidth=0.5)
    _dress(below, '', names[0], 'cells')
    below.set(xlim=(0, 1), ylim=(0, None))
    below.yaxis.set_major_formatter(lambda value, _: f'{value:.0%}')
    below.locator_params(axis='y', nbins=3)


def _dress(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10, pad=4)
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    axes.tick_params(labelsize=8)


def _numbers(values: Sequence) -> np.ndarray:
    """Return float64, NaN where JSON has null."""
    return np.array(values, np.float64)


def _figure_of(curves: Mapping[str, Any], name: str) -> str:
    value = curves['figures'][name]
    return 'undefined' if value is None or math.isnan(value) else f'{value:.5f}'
