"""The picture of a confusion matrix."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ddp_perception.visualization.panels import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches.
CELL, SMALL = 0.5, 0.13  # side of a cell, with its figure and without
LETTER = 0.08, 0.055  # of the names beside cells of either size
ABOVE, RIGHT = 0.75, 1.0  # title; colour bar
NARROWEST = 6.5  # so that the title fits
MOST_NUMBERS = 30
"""Classes up to which the cells have their figures."""


def draw_confusion(content: Mapping[str, Any]) -> Figure:
    """Draw which class is predicted where another one is true.

    A row is a true class: what per cent of its pixels, or cells of a map, are
    predicted as the class of each column. Rows of classes that never occur are grey.

    Args:
        content: What `ddp.ConfusionMetric` writes.

    Returns:
        Not attached to any window.
    """
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    names = [name.replace('_', ' ') for name in content['classes']]
    counts = np.array(content['counts'], float)
    # Of overlapping classes the columns of a row add up to more than its cells.
    cells = np.array(content['cells'], float)[:, None]
    with np.errstate(invalid='ignore'):
        share = np.where(cells > 0, 100 * counts / cells, np.nan)
    numbers = len(names) <= MOST_NUMBERS
    side, letter, size = (CELL, LETTER[0], 9.) if numbers else (SMALL, LETTER[1], 6.)
    words = letter * max(map(len, names)) + 0.5
    map_side = side * len(names)
    width = max(words + map_side + RIGHT, NARROWEST)
    height = ABOVE + map_side + words
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((words / width, words / height, map_side / width,
                            map_side / height))
    image = axes.imshow(share, cmap=colormaps['Blues'].with_extremes(bad='0.85'),
                        vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xlabel('predicted', fontsize=10)
    axes.set_ylabel('true', fontsize=10)
    if numbers:
        for row, column in zip(*np.nonzero(np.isfinite(share)), strict=True):
            value = share[row, column]
            axes.text(column, row, f'{value:.0f}' if value >= 1 or value == 0 else '<1',
                      ha='center', va='center', fontsize=8,
                      color='white' if value > 55 else '0.2')
    bar = figure.add_axes(((words + map_side + 0.15) / width, words / height,
                           0.16 / width, map_side / height))
    figure.colorbar(image, cax=bar, label='% of the true class')
    bar.tick_params(labelsize=8)
    figure.suptitle(_title(content), fontsize=10, x=0.15 / width, y=1 - 0.1 / height,
                    ha='left', va='top')
    return figure


def save_confusion(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Draw a confusion matrix into a file; see `draw_confusion`."""
    return save_figure(draw_confusion(content), path)


def _title(content: Mapping[str, Any]) -> str:
    from ddp_perception.wording import counted
    first = ('What is predicted where a class is true, '
             f'{counted(content["samples"], "samples")}')
    second = 'A row adds up to 100 %'
    if content['overlapping']:
        first += f', probability {content["threshold"]:g} and above'
        second = 'Classes overlap: a row may add up to more than 100 %'
    if 0 in content['cells']:
        second += '; grey: never true'
    return f'{first}\n{second}'
