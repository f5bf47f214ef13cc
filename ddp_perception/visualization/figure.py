"""One picture of a frame: cameras around the maps, predicted, true, prior."""
from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddp_perception.datasets.map_classes import MAP_CLASSES
from ddp_perception.visualization.boxes import Boxes, legend_of_boxes
from ddp_perception.visualization.camera import FARTHEST, draw_camera
from ddp_perception.visualization.maps import (
    class_colours,
    draw_map,
    draw_values,
    paint_order,
)
from ddp_perception.visualization.uncertain import Uncertainty, upper_end

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LAYOUT = (('CAM_FRONT_LEFT', 'CAM_FRONT', 'CAM_FRONT_RIGHT'),
          ('CAM_BACK_LEFT', 'CAM_BACK', 'CAM_BACK_RIGHT'))
"""nuScenes' cameras above and below the maps, left to right."""
NUSCENES_CAMERAS = tuple(name for row in LAYOUT for name in row)

# The layout, in inches: the cameras span the width, the maps lie between.
WIDTH = 15.0
GAP = 0.06
TITLE = 0.28  # above each image and map
TOP = 0.38  # above everything: the title's first line
LINE = 0.18  # of each further one
LETTERS = 11  # of a title, per inch
MAP = 5.2
MARGIN_LEFT = 0.75  # y label and ticks
BAR, BAR_WIDTH = 0.6, 0.16  # colour bar right of a map, with its ticks
MARGIN_BELOW = 0.6  # x label and ticks
LEGEND = 2.9
OWN_VEHICLE = ((-0.5, -1.), (0.5, -1.), (0.5, 0.5), (0., 1.), (-0.5, 0.5), (-0.5, -1.))
"""Its outline in the legend, as a marker."""
OVERLAPPING = """
Where they overlap, one further
down this list hides those above."""


@dataclass
class MapFrame:
    """What a picture shows, as arrays.

    Args:
        prediction: (C, X, Y) probabilities in [0, 1], or None.
        truth: (C, X, Y), 0 or 1, or None.
        images: (H, W, 3) uint8 RGB by camera name. The place of a camera of
            nuScenes that is missing is left blank; cameras of other names are shown
            in their order, the first half of them above the maps.
        img_from_lidar: (4, 4) by camera name, see `project_points`.
        points: (n, 3 or more) LiDAR points, metres, or None.
        classes: C names.
        palette: C RGB triples of 0 to 255, or None for nuScenes' own.
        xbound: least, greatest x and cell size in metres; x points right.
        ybound: bounds along y, which points forward.
        title: title of the picture.
        boxes: predicted boxes, or None; drawn on the predicted map.
        true_boxes: annotated ones, or None; drawn on the true map and, where there
            is none, on the predicted one.
        uncertainty: of the map's cells, (C, X, Y) or (X, Y), or None.
        prior: (P, X, Y), the prior map that the model was given, or None.
        prior_classes: P names.
        prior_palette: P RGB triples of 0 to 255.
        augmentation: (4, 4) that moved maps, points and boxes from the LiDAR frame of
            the file, or None; the vehicle is drawn where it is then.
    """

    prediction: np.ndarray | None = None
    truth: np.ndarray | None = None
    images: dict = field(default_factory=dict)
    img_from_lidar: dict = field(default_factory=dict)
    points: np.ndarray | None = None
    classes: tuple = MAP_CLASSES
    palette: tuple | None = None
    xbound: tuple = (-50, 50, 0.5)
    ybound: tuple = (-50, 50, 0.5)
    title: str = ''
    boxes: Boxes | None = None
    true_boxes: Boxes | None = None
    uncertainty: Uncertainty | None = None
    prior: np.ndarray | None = None
    prior_classes: tuple = ()
    prior_palette: tuple = ()
    augmentation: np.ndarray | None = None


def draw_frame(frame: MapFrame, threshold: float | Sequence[float] = 0.5,
               points_in_images: bool = True) -> Figure:
    """Draw a frame.

    With an uncertainty, also how many classes are wrong in each cell (where
    there is a truth) and the mean uncertainty of the classes.

    Every picture of ours takes the same threshold, 0.5, and its title says so: that is
    the decision that a model makes where no truth is known, and what its probabilities
    mean once they are calibrated. The thresholds that suit the drawn frames best are
    known only from their truth, so that a picture with them flatters the model and
    cannot be compared with one of new frames.

    Args:
        frame: What to show. A map that is None is left out.
        threshold: Probability from which a class is drawn, for all classes or
            one for each, which the legend then names.
        points_in_images: Project LiDAR points into the images.

    Returns:
        Not attached to any window.

    Raises:
        ValueError: neither prediction nor truth is given, or a shape does
            not fit the classes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    maps = _maps(frame, threshold)
    if not maps:
        raise ValueError('a picture needs a prediction or a truth, got neither')
    values = _values(frame, threshold)
    beside = len(maps) == 1  # without a truth, all in one row
    first = len(maps) * (MARGIN_LEFT + MAP) + LEGEND
    second = len(values) * (MARGIN_LEFT + MAP + BAR)
    block = first + second if beside else max(first, second)
    lowest = MARGIN_BELOW + TITLE + MAP if values and not beside else 0.0
    width, wide, above, row = block + 0.2, 0.0, 0.0, 0.0
    rows = camera_rows(list(frame.images))
    if frame.images:
        width, columns = max(WIDTH, width), max(len(rows[0]), 2)
        wide = (width - (columns + 1) * GAP) / columns
        above = TITLE + wide * _aspect(frame.images)
        row = above if rows[1] else 0.0
    heading = textwrap.wrap(frame.title, int(LETTERS * width))
    top = TOP + LINE * max(0, len(heading) - 1)
    height = top + above + row + TITLE + MAP + MARGIN_BELOW + lowest
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)

    def axes_at(left: float, bottom: float, wide: float, high: float) -> Axes:
        return figure.add_axes(
            (left / width, bottom / height, wide / width, high / height))

    for bottom, names in zip((height - top - above, 0), rows, strict=True):
        for column, name in enumerate(names):
            if name in frame.images:
                axes = axes_at(GAP + column * (wide + GAP), bottom, wide,
                               above - TITLE)
                draw_camera(axes, frame.images[name], _title(name),
                            frame.points if points_in_images else None,
                            frame.img_from_lidar.get(name))
    left = (width - block) / 2
    for title, masks, classes, palette, boxes in maps:
        left += MARGIN_LEFT
        draw_map(axes_at(left, row + lowest + MARGIN_BELOW, MAP, MAP), masks, title,
                 classes, palette, frame.xbound, frame.ybound, frame.points, boxes,
                 frame.augmentation)
        left += MAP
    legend = left + beside * second
    _draw_legend(axes_at(legend + 0.25, row + lowest + MARGIN_BELOW, LEGEND - 0.25,
                         MAP), frame, threshold, points_in_images)
    left = left if beside else (width - block) / 2
    for title, plane, options in values:
        left += MARGIN_LEFT
        image = draw_values(axes_at(left, row + MARGIN_BELOW, MAP, MAP), plane, title,
                            frame.xbound, frame.ybound, **options)
        left += MAP
        bar = axes_at(left + GAP, row + MARGIN_BELOW, BAR_WIDTH, MAP)
        left += BAR
        whole = MaxNLocator(integer=True) if plane.dtype.kind == 'i' else None
        figure.colorbar(image, cax=bar, ticks=whole)
        bar.tick_params(labelsize=8)
    figure.suptitle('\n'.join(heading), fontsize=11, y=1 - 0.08 / height, va='top',
                    parse_math=False)  # a token may have a dollar sign
    return figure


def save_frame(frame: MapFrame, path: str | Path,
               threshold: float | Sequence[float] = 0.5, points_in_images: bool = True,
               dpi: int = 100) -> Path:
    """Draw a frame into a file; its folder is made where it is missing.

    Args:
        frame: See `draw_frame`.
        path: The file; its suffix decides the format.
        threshold: See `draw_frame`.
        points_in_images: See `draw_frame`.
        dpi: Pixels per inch; 15 inches wide.

    Returns:
        The file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_frame(frame, threshold, points_in_images).savefig(path, dpi=dpi)
    return path


def _maps(frame: MapFrame, threshold: float | Sequence[float]) -> list[tuple]:
    """Return title, masks, classes, palette and boxes of each map."""
    predicted = [] if frame.boxes is None else [frame.boxes]
    true = [] if frame.true_boxes is None else [frame.true_boxes]
    maps: list[tuple] = []
    if frame.prediction is not None:
        least = np.asarray(threshold, dtype=float)
        rule = f'probability {least:g} and above' if least.ndim == 0 else (
            'a threshold for each class')
        least = least.reshape(-1, 1, 1)
        maps.append((f'predicted map ({rule})', frame.prediction >= least,
                     frame.classes, frame.palette,
                     predicted if frame.truth is not None else predicted + true))
    if frame.truth is not None:
        maps.append(('true map', np.asarray(frame.truth) > 0, frame.classes,
                     frame.palette, true))
    if maps and frame.prior is not None:
        maps.insert(0, ('prior map', np.asarray(frame.prior) > 0, frame.prior_classes,
                        frame.prior_palette, []))
    return maps


def _values(frame: MapFrame, threshold: float | Sequence[float]) -> list[tuple]:
    """Return title, (X, Y) values and colours of what is no map of classes."""
    if frame.uncertainty is None or frame.prediction is None:
        return []
    plane = frame.uncertainty.plane
    values = [(f'uncertainty: {frame.uncertainty.label}', plane,
               dict(cmap='viridis', vmin=0, vmax=upper_end(plane)))]
    if frame.truth is not None:
        least = np.reshape(threshold, (-1, 1, 1))
        wrong = ((frame.prediction >= least) != (np.asarray(frame.truth) > 0)).sum(0)
        values.insert(0, ('error: classes that are wrong', wrong, dict(
            cmap='magma_r', vmin=0, vmax=max(1, int(wrong.max())))))
    return values


def camera_rows(names: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the cameras above and below the maps, left to right.

    Args:
        names: Of the cameras that there are. Those of nuScenes alone have their
            fixed places; other ones, of any number, keep their order.
    """
    if set(names).issubset(NUSCENES_CAMERAS):
        return LAYOUT
    half = (len(names) + 1) // 2
    return names[:half], names[half:]


def _aspect(images: Mapping[str, np.ndarray]) -> float:
    shapes = [image.shape for image in images.values()]
    return max((shape[0] / shape[1] for shape in shapes), default=0.5625)


def _title(name: str) -> str:
    return name.removeprefix('CAM_').replace('_', ' ').lower()


def _draw_legend(axes: Axes, frame: MapFrame, threshold: float | Sequence[float],
                 points_in_images: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.path import Path as Outline
    axes.set_axis_off()
    names = [name.replace('_', ' ') for name in frame.classes]
    if frame.prediction is not None and np.ndim(threshold):
        names = [f'{name}, from {least:g}'
                 for name, least in zip(names, np.asarray(threshold), strict=True)]
    kinds: list[tuple] = [
        (frame.classes, names, class_colours(frame.classes, frame.palette))]
    if frame.prior is not None:
        kinds.insert(0, (frame.prior_classes, [
            name.replace('_', ' ') for name in frame.prior_classes],
            frame.prior_palette))
    handles: list[Artist] = [
        Patch(facecolor=tuple(np.divide(colours[i], 255)), edgecolor='grey',
              label=names[i])
        for classes, names, colours in kinds for i in paint_order(classes)]
    handles.append(Line2D([], [], linestyle='', markersize=13,
                          marker=Outline(OWN_VEHICLE),
                          markerfacecolor='white', markeredgecolor='black',
                          label='own vehicle, its tip forward'))
    for panel, boxes in ((frame.prediction, frame.boxes), (True, frame.true_boxes)):
        if panel is not None and boxes is not None:
            handles += legend_of_boxes(boxes)
    title = 'Map classes' + OVERLAPPING * (len(frame.classes) > 1)
    axes.legend(handles=handles, loc='upper left', bbox_to_anchor=(0, 1),
                borderaxespad=0, fontsize=10, frameon=False, title=title,
                alignment='left')
    if points_in_images and frame.points is not None and frame.img_from_lidar:
        _draw_depth_scale(axes)


def _draw_depth_scale(axes: Axes) -> None:
    inner = axes.inset_axes((0.02, 0.1, 0.85, 0.03))
    inner.imshow(np.linspace(0, 1, 256)[None], aspect='auto', cmap='turbo_r',
                 extent=(0, FARTHEST, 0, 1))
    inner.set(yticks=[], xlabel='depth of the LiDAR points (m)')
    inner.xaxis.label.set_fontsize(8)
    inner.tick_params(labelsize=8)
