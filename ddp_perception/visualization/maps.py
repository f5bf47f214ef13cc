"""A bird's-eye-view map: forward up, right to the right, metres."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ddp_perception.datasets.map_classes import MAP_CLASSES, MAP_PALETTE
from ddp_perception.visualization.boxes import Boxes, draw_boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

PAINT_ORDER = ('drivable_area', 'carpark_area', 'walkway', 'ped_crossing',
               'stop_line', 'divider')
"""Large areas first, so that what is thin stays visible on them."""

VEHICLE = (-0.87, 0.87, -1.60, 2.48)
"""Left, right, rear and front of nuScenes' vehicle (4.08 x 1.73 m) in metres
from the LiDAR, which sits 0.94 m ahead of the rear axle."""

BACKGROUND = (255, 255, 255)


def class_colours(classes: Sequence[str],
                  palette: Sequence | None = None) -> list[tuple[int, int, int]]:
    """Return an RGB colour of 0 to 255 per class.

    Args:
        classes: Names; those of nuScenes have colours.
        palette: One RGB triple per class instead.

    Raises:
        ValueError: no palette is given for an unknown class, or it has
            another length.
    """
    if palette is None:
        known = dict(zip(MAP_CLASSES, MAP_PALETTE, strict=True))
        unknown = [name for name in classes if name not in known]
        if unknown:
            raise ValueError(f'no colour is known for the classes {unknown}; '
                             'pass a palette')
        return [known[name] for name in classes]
    if len(palette) != len(classes):
        raise ValueError(f'palette must hold {len(classes)} colours, got '
                         f'{len(palette)}')
    return [tuple(colour) for colour in palette]


def paint_order(classes: Sequence[str]) -> list[int]:
    """Return the indices of the classes in the order of painting."""
    rank = {name: index for index, name in enumerate(PAINT_ORDER)}
    return sorted(range(len(classes)),
                  key=lambda i: rank.get(classes[i], len(rank) + i))


def paint_map(masks: np.ndarray, classes: Sequence[str] = MAP_CLASSES,
              palette: Sequence | None = None) -> np.ndarray:
    """Paint overlapping classes into one picture.

    Args:
        masks: (C, X, Y), true where a class is. Axis 1 grows with x, axis 2
            with y.
        classes: C names.
        palette: C RGB triples of 0 to 255.

    Returns:
        (Y, X, 3) uint8, RGB. Row 0 is the least y, to be shown with
        ``origin='lower'``.

    Raises:
        ValueError: the shape does not fit the classes.
    """
    masks = np.asarray(masks)
    if masks.ndim != 3 or len(masks) != len(classes):
        raise ValueError(f'masks must be ({len(classes)}, X, Y), one per '
                         f'class, got {masks.shape}')
    colours = class_colours(classes, palette)
    picture = np.empty((masks.shape[2], masks.shape[1], 3), np.uint8)
    picture[:] = BACKGROUND
    for index in paint_order(classes):
        picture[masks[index].T.astype(bool)] = colours[index]
    return picture


def draw_map(axes: Axes, masks: np.ndarray, title: str = '',
             classes: Sequence[str] = MAP_CLASSES, palette: Sequence | None = None,
             xbound: Sequence[float] = (-50, 50, 0.5),
             ybound: Sequence[float] = (-50, 50, 0.5), points: np.ndarray | None = None,
             boxes: Sequence[Boxes] = (),
             augmentation: np.ndarray | None = None) -> None:
    """Draw a map with the vehicle on it into matplotlib axes.

    Args:
        axes: Where.
        masks: (C, X, Y), true where a class is.
        title: Above the map.
        classes: C names.
        palette: C RGB triples of 0 to 255.
        xbound: Grid of axis 1: least, greatest, step in metres; x points
            right.
        ybound: Grid of axis 2; y points forward.
        points: (n, 3 or more) LiDAR points in metres, drawn lightly.
        boxes: Of each kind, predicted and annotated; see `draw_boxes`.
        augmentation: (4, 4) that moved map, points and boxes, and so the vehicle.
    """
    axes.imshow(paint_map(masks, classes, palette), origin='lower',
                extent=(xbound[0], xbound[1], ybound[0], ybound[1]),
                interpolation='nearest')
    if points is not None and len(points):
        axes.scatter(points[:, 0], points[:, 1], s=0.2, c='black', alpha=0.12,
                     linewidths=0)
    _finish(axes, title, xbound, ybound, augmentation)
    for kind in boxes:
        draw_boxes(axes, kind)


def draw_values(axes: Axes, values: np.ndarray, title: str = '',
                xbound: Sequence[float] = (-50, 50, 0.5),
                ybound: Sequence[float] = (-50, 50, 0.5), **colours: Any) -> AxesImage:
    """Draw one number per cell with the vehicle on it into matplotlib axes.

    Args:
        axes: Where.
        values: (X, Y).
        title: Above the map.
        xbound, ybound: See `draw_map`.
        colours: Further arguments of matplotlib's ``imshow``.

    Returns:
        For a colour bar.
    """
    image = axes.imshow(values.T, origin='lower', interpolation='nearest',
                        extent=(xbound[0], xbound[1], ybound[0], ybound[1]), **colours)
    _finish(axes, title, xbound, ybound)
    return image


def _finish(axes: Axes, title: str, xbound: Sequence[float],
            ybound: Sequence[float], augmentation: np.ndarray | None = None) -> None:
    """Draw the vehicle, and label the axes."""
    from matplotlib.patches import Polygon
    left, right, rear, front = VEHICLE
    outline = np.array([(left, rear), (right, rear), (right, front - 1), (0, front),
                        (left, front - 1)])
    labels = 'x, to the right (m)', 'y, forward (m)'
    if augmentation is not None:
        outline = outline @ augmentation[:2, :2].T + augmentation[:2, 3]
        labels = 'x, augmented (m)', 'y, augmented (m)'
    axes.add_patch(Polygon(outline, closed=True, facecolor='white', edgecolor='black',
                           linewidth=1.2, zorder=3))
    axes.set(xlim=xbound[:2], ylim=ybound[:2], aspect='equal',
             xlabel=labels[0], ylabel=labels[1])
    axes.tick_params(labelsize=8)
    axes.set_title(title, fontsize=10, pad=4)
