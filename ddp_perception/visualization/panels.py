"""A figure of equally large panels, with room for colour bars and a legend."""
from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ddp_perception.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Inches.
WIDTH = 15.0
TALLEST = 6.0  # panel; what is taller makes the figure narrower
NARROWEST = 6.0  # figure; a legend must fit below it
GAP = 0.1
TITLE = 0.3  # above each panel
BAR = 0.9  # right of the panels: a colour bar, its ticks and its label
BAR_WIDTH = 0.16
ROW = 0.25  # of a legend
LETTER = 0.085  # mean width of one, at the legend's size
SWATCH = 0.55  # legend's colour and the space around it


class Swatch(NamedTuple):
    """An entry of a legend.

    Args:
        name: What it stands for.
        colour: RGB, 0 to 255.
        hatch: Of matplotlib's patches, drawn in black.
    """

    name: str
    colour: Sequence[int]
    hatch: str = ''


IGNORED = Swatch('ignored', (255, 255, 255), '////')
"""Of pixels that do not count."""


def save_figure(figure: Figure, path: str | Path, dpi: int = 100) -> Path:
    """Write a figure; see `Panels.save`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        figure.savefig(part, dpi=dpi, format=path.suffix.removeprefix('.') or None)
    return path


class Panels:
    """Draw images of one size side by side or one above the other.

    Args:
        count: Panels.
        size: Height and width of every image, in pixels.
        columns: Panels in a row.
        bars: Leave room for colour bars on the right.
        labels: The legend's entries, which stand below the panels.

    Attributes:
        figure (matplotlib.figure.Figure): Not attached to any window.
    """

    def __init__(self, count: int, size: tuple[int, int], columns: int,
                 bars: bool = False, labels: Sequence[Swatch] = ()) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        self.columns = columns
        rows = math.ceil(count / columns)
        spare = GAP * (columns + 1) + BAR * bars
        aspect = size[0] / size[1]
        self.wide = min((WIDTH - spare) / columns, TALLEST / aspect)
        self.high = self.wide * aspect
        self.width = max(columns * self.wide + spare, NARROWEST)
        longest = max((len(label.name) for label in labels), default=0)
        fit = max(1, int((self.width - 2 * GAP) / (SWATCH + LETTER * longest)))
        below = GAP + ROW * math.ceil(len(labels) / fit)
        self.height = rows * (TITLE + self.high) + below
        self.figure = Figure(figsize=(self.width, self.height))
        FigureCanvasAgg(self.figure)
        if labels:
            self._draw_legend(labels, fit, below)

    def show(self, index: int, picture: np.ndarray, title: str,
             **image_options: Any) -> AxesImage:
        """Draw one panel.

        Args:
            index: Which, row by row.
            picture: (H, W, 3) uint8 RGB, or (H, W) numbers.
            title: Above it.
            image_options: Further arguments of matplotlib's ``imshow``.

        Returns:
            matplotlib.image.AxesImage: For a colour bar.
        """
        axes = self._axes_at(*self._corner(index), self.wide, self.high)
        image = axes.imshow(picture, aspect='auto', **image_options)
        axes.set_axis_off()
        axes.set_title(title, fontsize=10, pad=4)
        return image

    def bar(self, image: AxesImage, first: int, last: int, label: str,
            ticks: Sequence | None = None) -> None:
        """Draw a colour bar right of the panels `first` to `last`."""
        left, top = self._corner(first)[0], self._corner(first)[1] + self.high
        bottom = self._corner(last)[1]
        axes = self._axes_at(left + self.wide + GAP, bottom, BAR_WIDTH,
                             top - bottom)
        values = np.ma.asarray(image.get_array())
        end = image.get_clim()[1] or 0
        beyond = values.count() and values.max() > end * (1 + 1e-6)
        bar = self.figure.colorbar(image, cax=axes, label=label, ticks=ticks,
                                   extend='max' if beyond else 'neither')
        if ticks is not None:
            bar.ax.set_yticks(ticks, [f'{tick:g}' for tick in ticks])
            bar.ax.minorticks_off()
        axes.tick_params(labelsize=8)

    def save(self, path: str | Path, dpi: int = 100) -> Path:
        """Write the figure; the file is replaced when complete.

        Args:
            path: Its suffix decides the format; its folder is made where it is
                missing.
            dpi: Pixels per inch; at most 15 inches wide.

        Returns:
            The file.
        """
        return save_figure(self.figure, path, dpi)

    def _corner(self, index: int) -> tuple[float, float]:
        """Lower left corner of a panel in inches."""
        row, column = divmod(index, self.columns)
        return (GAP + column * (self.wide + GAP),
                self.height - (row + 1) * (TITLE + self.high))

    def _axes_at(self, left: float, bottom: float, wide: float, high: float) -> Axes:
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, wide / self.width,
             high / self.height))

    def _draw_legend(self, labels: Sequence[Swatch], columns: int,
                     high: float) -> None:
        from matplotlib.patches import Patch
        axes = self._axes_at(0, 0, self.width, high)
        axes.set_axis_off()
        axes.legend(
            handles=[Patch(facecolor=tuple(np.divide(label.colour, 255)),
                           hatch=label.hatch, edgecolor=(
                               'black' if label.hatch else 'grey'),
                           label=label.name) for label in labels],
            ncols=columns, loc='center', fontsize=9, frameon=False,
            borderpad=0, borderaxespad=0, columnspacing=1.2)
