"""Boxes on a map: outlines seen from above, and what the surest ones are."""
from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from mmdet3d.structures import BaseInstance3DBoxes
    from mmengine.structures import BaseDataElement

LEAST_SCORE = 0.3
"""Predicted boxes of less are not drawn."""
PREDICTED_BOX, TRUE_BOX = (153, 0, 255), (0, 0, 0)
"""RGB of the lines; they lie on a white edge, so that they stand out from any map."""
WORDS = 15
"""Boxes of a map, the surest first, whose class and score are written beside them."""
TEXT_ROOM = 0.09, 0.025
"""Width and height of such a text as shares of the map; no two overlap."""
SHORTEST = 3
"""Letters of a class that are always written."""
LEGEND_LETTERS = 32
"""In a line of the legend."""


@dataclass(frozen=True)
class Boxes:
    """Boxes as a picture shows them.

    Args:
        corners: (n, 4, 2) x, y seen from above, in order, metres.
        labels: (n,) integers, indices of `classes`.
        classes: Names; a label without a name is shown as its number.
        scores: (n,) in [0, 1] of predicted boxes; None of annotated ones.
        least_score: From which boxes are drawn.
    """

    corners: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = ()
    scores: np.ndarray | None = None
    least_score: float = LEAST_SCORE

    def __len__(self) -> int:
        return len(self.corners)

    def texts(self) -> list[str]:
        """Return class, shortened, and score of each: 'car 0.83'."""
        short = abbreviate(self.classes)
        names = [short[label] if label < len(short) else f'class {label}'
                 for label in self.labels]
        if self.scores is None:
            return names
        return [f'{name} {score:.2f}'
                for name, score in zip(names, self.scores, strict=True)]


def predicted_boxes(sample: BaseDataElement, classes: Sequence[str] = (),
                    least_score: float = LEAST_SCORE) -> Boxes | None:
    """Return the boxes of a sample of at least some score, or None."""
    predicted = sample.get('pred_instances_3d')
    if predicted is None or 'scores_3d' not in predicted:
        return None
    chosen = predicted[predicted.scores_3d >= least_score]
    return Boxes(corners_from_above(chosen.bboxes_3d),
                 chosen.labels_3d.detach().cpu().numpy(), tuple(classes),
                 chosen.scores_3d.detach().cpu().numpy(), least_score)


def true_boxes(sample: BaseDataElement, classes: Sequence[str] = ()) -> Boxes | None:
    """Return the annotated boxes of a sample, or None."""
    found = sample.get('eval_ann_info') or {}
    boxes = found.get('gt_bboxes_3d')
    if boxes is None:
        return None
    labels = found.get('gt_labels_3d')
    if labels is None:
        labels = np.zeros(len(boxes), int)
    return Boxes(corners_from_above(boxes), np.asarray(labels), tuple(classes))


def corners_from_above(boxes: BaseInstance3DBoxes) -> np.ndarray:
    """Return (n, 4, 2) x, y of the corners of LiDAR boxes, in order."""
    x, y, length, width, yaw = boxes.bev.detach().cpu().numpy().T
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], -1) * length[:, None] / 2
    aside = np.stack([-np.sin(yaw), np.cos(yaw)], -1) * width[:, None] / 2
    centre = np.stack([x, y], -1)
    return np.stack([centre + ahead + aside, centre + ahead - aside,
                     centre - ahead - aside, centre - ahead + aside], 1)


def abbreviate(names: Sequence[str]) -> list[str]:
    """Return the first letters of each name, as few as tell them apart.

    At least three, and the whole name where it begins another one.
    """
    short = []
    for name in names:
        others = [other for other in names if other != name]
        length = SHORTEST
        while length < len(name) and any(
                other.startswith(name[:length]) for other in others):
            length += 1
        short.append(name[:length])
    return short


def draw_boxes(axes: Axes, boxes: Boxes) -> None:
    """Draw outlines, and class and score of the surest predicted boxes.

    Predicted boxes have solid lines, annotated ones dashed lines.

    Args:
        axes: Of a map, whose limits are set.
        boxes: See there.
    """
    if not len(boxes):
        return
    from matplotlib.collections import PolyCollection
    axes.add_collection(PolyCollection(
        list(boxes.corners), facecolors='none', zorder=2, **_line(boxes)))
    if boxes.scores is None:
        return
    texts = boxes.texts()
    for index, place in _places_of_texts(boxes, axes.get_xlim(), axes.get_ylim()):
        text = axes.annotate(
            texts[index], place, xytext=(0, 1.5), textcoords='offset points',
            ha='center', va='bottom', fontsize=6.5, color=_rgb(PREDICTED_BOX),
            zorder=4, annotation_clip=True, parse_math=False)
        text.set_path_effects(_white_edge(2))


def legend_of_boxes(boxes: Boxes) -> list[Artist]:
    """Return the legend's entries of what `draw_boxes` draws."""
    from matplotlib.lines import Line2D
    line = _line(boxes)
    label = 'true box' if boxes.scores is None else (
        f'predicted box, from score {boxes.least_score:g}')
    handles: list[Artist] = [Line2D(
        [], [], color=line['edgecolors'], linestyle=line['linestyles'],
        linewidth=1.6, label=label)]
    if boxes.scores is not None and len(boxes):
        present = {label for label in boxes.labels if label < len(boxes.classes)}
        words = ', '.join(
            f'{short}: {name.replace("_", " ")}' for index, (short, name) in enumerate(
                zip(abbreviate(boxes.classes), boxes.classes, strict=True))
            if index in present and short != name)
        text = 'beside the surest: class and score'
        handles.append(Line2D([], [], linestyle='', label='\n'.join(textwrap.wrap(
            f'{text} ({words})' if words else text, LEGEND_LETTERS))))
    return handles


def _line(boxes: Boxes) -> dict[str, Any]:
    """Return the line of some boxes, for a collection of matplotlib."""
    predicted = boxes.scores is not None
    return dict(edgecolors=_rgb(PREDICTED_BOX if predicted else TRUE_BOX),
                linestyles='-' if predicted else (0, (3, 1.5)), linewidths=1.1,
                path_effects=_white_edge(2.6))


def _white_edge(width: float) -> list:
    from matplotlib.patheffects import withStroke
    return [withStroke(linewidth=width, foreground='white')]


def _places_of_texts(boxes: Boxes, xlim: tuple[float, float],
                     ylim: tuple[float, float]) -> list[tuple[int, tuple]]:
    """Return index and place, in metres, of the texts that have room."""
    assert boxes.scores is not None
    room = np.multiply(TEXT_ROOM, [xlim[1] - xlim[0], ylim[1] - ylim[0]])
    chosen: list[tuple[int, tuple]] = []
    for index in np.argsort(-boxes.scores, kind='stable'):
        corners = boxes.corners[index]
        place = corners[:, 0].mean(), corners[:, 1].max()
        inside = xlim[0] < place[0] < xlim[1] and ylim[0] < place[1] < ylim[1]
        if inside and not any((np.abs(np.subtract(place, other)) < room).all()
                              for _, other in chosen):
            chosen.append((int(index), place))
        if len(chosen) == WORDS:
            break
    return chosen


def _rgb(colour: Sequence[int]) -> tuple[float, ...]:
    return tuple(part / 255 for part in colour)
