"""Pictures of what segmentation and depth predict for one image."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ddp_perception.visualization.panels import IGNORED, Panels, Swatch
from ddp_perception.visualization.uncertain import (
    UNKNOWN,
    Uncertainty,
    colours,
    upper_end,
)

if TYPE_CHECKING:
    from matplotlib.colors import PowerNorm

OPACITY = 0.6
"""Of class colours over the image."""
STRIPES = 80
"""Black stripes along an image's width where the truth does not count."""
WRONG = (220, 20, 20)
"""RGB of pixels whose class is wrong."""
SIDE_BY_SIDE = 2.3
"""Width over height up to which depth panels stand side by side."""
DENSE = 0.3
"""Share of known pixels from which true depth is drawn as it is."""
NO_DEPTH = Swatch('no depth here: outside what the model sees, or not measured',
                  (round(255 * float(UNKNOWN)), ) * 3)
"""Where predicted or true depth is unknown, and with it error and uncertainty."""
DEPTH_TICKS = (0, 1, 2, 5, 10, 20, 40, 80, 160)
"""Metres."""


def save_segmentation(path: str | Path, image: np.ndarray,
                      prediction: np.ndarray | None,
                      classes: Sequence[str], palette: Sequence,
                      truth: np.ndarray | None = None,
                      uncertainty: Uncertainty | None = None,
                      ignore_index: int = 255) -> Path:
    """Draw a segmented image into a file.

    Panels: the image, the prediction over it and, where given, truth and
    uncertainty; below them the classes that occur in prediction or truth. With
    a truth, wrong pixels are red in the image.

    Args:
        path: The file; its suffix decides the format.
        image: (H, W, 3) uint8, RGB.
        prediction: (H, W) integers, class indices; None shows the truth alone.
        classes: Names.
        palette: One RGB triple of 0 to 255 per class.
        truth: (H, W) class indices or `ignore_index`.
        uncertainty: Of the size of the image. The colours end at its 99.5th
            percentile.
        ignore_index: Label of pixels that do not count, drawn as black
            stripes on white, which no class colour looks like.

    Returns:
        The file.

    Raises:
        ValueError: a shape or type is wrong, or a label has no class.
    """
    _check(image, prediction=prediction, truth=truth,
           uncertainty=None if uncertainty is None else uncertainty.plane)
    maps = [(title, np.asarray(labels)) for title, labels in (
        ('prediction', prediction), ('truth', truth)) if labels is not None]
    painted = [(title, overlay_labels(image, labels, palette, ignore_index))
               for title, labels in maps]
    present = np.unique(np.concatenate(
        [np.unique(labels) for _, labels in maps]))
    legend = [Swatch(classes[i], palette[i]) for i in present if i != ignore_index]
    if ignore_index in present:
        legend.append(IGNORED)
    first = 'image', image
    if truth is not None and prediction is not None:
        wrong = (np.asarray(prediction) != truth) & (np.asarray(truth) != ignore_index)
        first = 'image, errors in red', mark(image, wrong)
        legend.append(Swatch('error', WRONG))
    panels = Panels(1 + len(maps) + (uncertainty is not None),
                    (image.shape[0], image.shape[1]),
                    columns=2, bars=uncertainty is not None, labels=legend)
    for index, (title, picture) in enumerate([first, *painted]):
        panels.show(index, picture, title)
    if uncertainty is not None:
        _show_uncertainty(panels, 1 + len(maps), uncertainty.plane, uncertainty.label)
    return panels.save(path)


def overlay_labels(image: np.ndarray, labels: np.ndarray, palette: Sequence,
                   ignore_index: int = 255, opacity: float = OPACITY) -> np.ndarray:
    """Paint class colours over an image.

    Args:
        image: (H, W, 3) uint8, RGB.
        labels: (H, W) integers, class indices or `ignore_index`.
        palette: One RGB triple of 0 to 255 per class.
        ignore_index: Painted as `hatching`, without the image.
        opacity: Opacity of the colours, in [0, 1].

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ValueError: a label has no colour; names it.
    """
    labels = np.asarray(labels)
    ignored = labels == ignore_index
    wrong = labels[~ignored & ((labels < 0) | (labels >= len(palette)))]
    if len(wrong):
        raise ValueError(f'labels must be below {len(palette)}, the number of '
                         f'classes, or {ignore_index}, got {wrong[0]}')
    colours = np.asarray(palette, np.float32).reshape(-1, 3)
    colours = colours[np.where(ignored, 0, labels)]
    picture = np.rint(image * np.float32(1 - opacity) + colours * opacity)
    picture = picture.astype(np.uint8)
    picture[ignored] = hatching(ignored.shape)[ignored]
    return picture


def hatching(size: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 3) uint8, RGB: black stripes on white, rising to the right.

    Args:
        size: Height and width of the image, in pixels; the stripes are as dense in a
            large image as in a small one.
    """
    period = max(3, round(size[1] / STRIPES))
    place = np.add.outer(np.arange(size[0]), np.arange(size[1])) % period
    return np.where(place[..., None] < max(1, period // 3), np.uint8(0),
                    np.uint8(255)).repeat(3, axis=2)


def mark(image: np.ndarray, pixels: np.ndarray,
         colour: tuple[int, int, int] = WRONG) -> np.ndarray:
    """Return a pale grey copy of an image with some pixels in one colour.

    Args:
        image: (H, W, 3) uint8, RGB.
        pixels: (H, W) bool.
        colour: RGB.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    picture = np.repeat((128 + grey // 2)[..., None], 3, axis=2)
    picture[pixels] = colour
    return picture


def save_depth(path: str | Path, image: np.ndarray, prediction: np.ndarray | None,
               truth: np.ndarray | None = None, uncertainty: Uncertainty | None = None,
               max_depth: float = 80.) -> Path:
    """Draw an image and its depth into a file.

    Panels: the image, the predicted depth and, where given, true depth, error
    and uncertainty; stacked where the image is as wide as KITTI's. Prediction and
    truth share their colours, which are bright where it is near and change
    with the square root of depth.

    Args:
        path: The file; its suffix decides the format.
        image: (H, W, 3) uint8, RGB.
        prediction: (H, W) metres; 0 where there is none. None shows the truth alone.
        truth: (H, W) metres, 0 where unknown. The dots of sparse LiDAR are
            enlarged, near ones over far ones.
        uncertainty: Of the size of the image. Its colours, like those of the
            error, end at the 99.5th percentile.
        max_depth: Where the colours end, in metres.

    Returns:
        The file.

    Raises:
        ValueError: a shape or type is wrong, or max_depth is not positive.
    """
    _check(image, prediction=prediction, truth=truth,
           uncertainty=None if uncertainty is None else uncertainty.plane)
    if not max_depth > 0:
        raise ValueError(f'max_depth must be positive, got {max_depth}')
    norm = _depth_norm(max_depth)
    maps: list[tuple[str, np.ma.MaskedArray]] = []
    if prediction is not None:
        maps.append(('predicted depth', _known(prediction)))
    if truth is not None:
        maps.append(('true depth', _known(enlarge_dots(truth))))
    compared = len(maps) == 2
    nowhere = any(np.ma.getmaskarray(depth).any() for _, depth in maps)
    height, width = image.shape[:2]
    columns = 2 if width <= SIDE_BY_SIDE * height else 1
    further = compared + (uncertainty is not None)
    panels = Panels(1 + len(maps) + further, (height, width), columns=columns,
                    bars=True, labels=[NO_DEPTH] * nowhere)
    panels.show(0, image, 'image')
    shown = [panels.show(index, depth, title, norm=norm, cmap=colours('plasma_r'),
                         interpolation='nearest')
             for index, (title, depth) in enumerate(maps, 1)]
    panels.bar(shown[0], 1, len(maps) if columns == 1 else 1, 'depth [m]',
               [tick for tick in DEPTH_TICKS if tick <= max_depth])
    unknown = np.ma.getmaskarray(maps[0][1])
    if compared:
        error = np.where(unknown | ~(np.asarray(truth) > 0), 0,
                         np.abs(np.asarray(prediction, float) - truth))
        _show_uncertainty(panels, 1 + len(maps), _known(enlarge_dots(error)),
                          'absolute error [m]', 'error', 'YlOrRd')
    if uncertainty is not None:
        _show_uncertainty(panels, len(maps) + further,
                          np.ma.masked_array(uncertainty.plane, unknown),
                          uncertainty.label)
    return panels.save(path)


def paint_depth(depth: np.ndarray, max_depth: float = 80.) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of (H, W) metres, in the colours of `save_depth`."""
    shown = colours('plasma_r')(_depth_norm(max_depth)(_known(depth)), bytes=True)
    return np.ascontiguousarray(shown[..., :3])


def _depth_norm(max_depth: float) -> PowerNorm:
    from matplotlib.colors import PowerNorm
    return PowerNorm(0.5, vmin=0, vmax=max_depth, clip=True)


def enlarge_dots(depth: np.ndarray) -> np.ndarray:
    """Make sparse depth large enough to be seen.

    Args:
        depth: (H, W) metres, 0 where unknown.

    Returns:
        (H, W) float32; each known pixel covers a square of 3 pixels (5 in
        images of 2000 columns), the nearest depth where several meet. Maps
        that are mostly known stay as they are.
    """
    depth = np.asarray(depth, np.float32)
    known = depth > 0
    if known.mean() >= DENSE:
        return depth
    side = 1 + 2 * max(1, round(depth.shape[1] / 1000))
    near = cv2.erode(np.where(known, depth, np.float32(np.inf)),
                     np.ones((side, side), np.uint8),
                     borderType=cv2.BORDER_REPLICATE)
    return np.where(np.isfinite(near), near, np.float32(0))


def _known(depth: np.ndarray) -> np.ma.MaskedArray:
    depth = np.asarray(depth, dtype=float)
    return np.ma.masked_array(depth, ~(np.isfinite(depth) & (depth > 0)))


def _show_uncertainty(panels: Panels, index: int, uncertainty: np.ndarray, label: str,
                      title: str = 'uncertainty', scale: str = 'viridis') -> None:
    values = np.ma.masked_invalid(np.ma.asarray(uncertainty, dtype=float))
    image = panels.show(index, values, title, vmin=0, vmax=upper_end(values),
                        cmap=colours(scale))
    panels.bar(image, index, index, label)


def _check(image: np.ndarray, **maps: np.ndarray | None) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError('image must be (H, W, 3) uint8, got '
                         f'{image.shape} {image.dtype}')
    for name, values in maps.items():
        if values is not None and np.shape(values) != image.shape[:2]:
            raise ValueError(f'{name} must be {image.shape[:2]}, the size of '
                             f'the image, got {np.shape(values)}')
