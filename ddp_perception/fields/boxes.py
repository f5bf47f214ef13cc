"""The boxes that a detector writes beside a map."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.structures import BaseDataElement

from ddp_perception.files import write_file

COLUMNS = ('x', 'y', 'z', 'length', 'width', 'height', 'yaw', 'velocity_x',
           'velocity_y')
"""Of mmdet3d's LiDAR boxes, which have the first seven at least."""


def save_boxes(sample: BaseDataElement, stem: Path, classes: Sequence[str]
               ) -> Path | None:
    """Write ``<stem>_boxes.json`` where a sample has predicted 3D boxes.

    ``bboxes_3d``, ``scores_3d``, ``labels_3d`` and ``box_type_3d`` are those of
    mmdet3d's inferencers; ``columns`` names the numbers of a box, ``names`` the class
    of each, ``token`` the frame. Metres, radians and metres per second in the data
    set's LiDAR frame (nuScenes: x right, y forward, z up): x, y and z are the middle
    of the bottom face, length lies along the heading, yaw is the angle from the x to
    the y axis at which that points, velocity that of the box over the ground. All
    boxes of the model are there, whatever their score.

    Args:
        sample: as the detector leaves it.
        stem: path of the file without its ending.
        classes: names of the labels; a label without one is named by its number.

    Returns:
        The file, or None where the sample has no boxes.

    Raises:
        ValueError: a number is not finite.
    """
    boxes = sample.get('pred_instances_3d')
    if boxes is None or 'bboxes_3d' not in boxes:
        return None
    numbers: list[list[float]] = boxes.bboxes_3d.tensor.detach().cpu().tolist()
    labels: list[int] = boxes.labels_3d.detach().cpu().tolist()
    content: dict[str, Any] = dict(
        token=str(sample.metainfo.get('token', '')),
        columns=COLUMNS[:boxes.bboxes_3d.box_dim], box_type_3d='LiDAR',
        names=[classes[label] if label < len(classes) else str(label)
               for label in labels],
        labels_3d=labels, scores_3d=boxes.scores_3d.detach().cpu().tolist(),
        bboxes_3d=numbers)
    try:
        text = json.dumps(content, allow_nan=False)
    except ValueError as error:
        raise ValueError(f'predicted boxes cannot be written: {error}') from None
    return write_file(stem.with_name(f'{stem.name}_boxes.json'), text.encode())
