"""From what a pipeline gives, augmented, to the arrays of a picture."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ddp_perception.pixels import pixel_data
from ddp_perception.visualization.boxes import Boxes, corners_from_above, true_boxes
from ddp_perception.visualization.figure import MapFrame
from ddp_perception.visualization.samples import camera_name, describe

if TYPE_CHECKING:
    from mmdet3d.structures import Det3DDataSample
    from torch import Tensor


def frame_from_inputs(inputs: Mapping[str, Any] | Tensor, sample: Det3DDataSample,
                      truth: str, scene: Mapping[str, Any],
                      box_classes: Sequence[str] = (), bgr: bool = True) -> MapFrame:
    """Collect what a picture of a loaded sample shows: all of it as the model gets it.

    Args:
        inputs: ``img`` (N, 3, H, W) and ``points`` (n, 3 or more), each where there is
            one, as `ddp.PackMapInputs` packs them; or the prior map (P, X, Y), as
            `ddp.PackMapPrior` does.
        sample: Its truth and the metainfo of `ddp.PackMapInputs`.
        truth: Field that holds the true map.
        scene: ``classes``, ``palette``, ``xbound``, ``ybound``, ``prior_classes``,
            ``prior_palette`` of a `MapFrame`.
        box_classes: Names of the boxes' classes.
        bgr: Whether blue is the images' first channel.

    Returns:
        Its title says how the points were augmented.
    """
    sensors = inputs if isinstance(inputs, Mapping) else {}
    meta = sample.metainfo
    moved = np.asarray(meta.get('lidar_aug_matrix', np.eye(4)), float)
    images, matrices = {}, {}
    names = meta.get('camera_names') or [
        camera_name(path) or f'camera {index}'
        for index, path in enumerate(meta.get('img_path') or ())]
    for index, image in enumerate(sensors.get('img', ())):
        name = names[index] if index < len(names) else f'camera {index}'
        images[name] = image_of_tensor(image, bgr)
        if 'lidar2img' in meta:
            augmented = np.eye(4)
            if 'img_aug_matrix' in meta:
                augmented = np.asarray(meta['img_aug_matrix'][index], float)
            matrices[name] = _homogeneous(augmented) @ np.asarray(
                meta['lidar2img'][index], float) @ np.linalg.inv(moved)
    points = sensors.get('points')
    prior = None
    if scene.get('prior_classes') and not isinstance(inputs, Mapping):
        prior = inputs.numpy()
    still = np.allclose(moved, np.eye(4))
    true = pixel_data(sample, truth)
    return MapFrame(
        truth=None if true is None else true.numpy(), images=images,
        img_from_lidar=matrices,
        points=None if points is None else np.asarray(getattr(points, 'tensor', points)
                                                      ),
        title='; '.join(part for part in (describe(meta), describe_augmentation(moved))
                        if part),
        true_boxes=_boxes(sample, box_classes, still),
        prior=prior, augmentation=None if still else moved, **scene)


def image_of_tensor(image: Tensor, bgr: bool = True) -> np.ndarray:
    """Return an image of a pipeline as a picture, (H, W, 3) uint8 RGB.

    Args:
        image: (C, H, W). Of one channel grey, of more than three the first three.
            Values that are no bytes, as of a normalised image, are spread from the
            least to the greatest.
        bgr: Whether blue is its first channel.
    """
    values = image[:3].permute(1, 2, 0).numpy()
    if values.shape[2] < 3:
        values = values[..., :1].repeat(3, 2)
    if values.dtype != np.uint8:
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 255 or high <= 1:
            values = (values - low) * (255 / max(high - low, 1e-9))
        values = np.rint(values).astype(np.uint8)
    return np.ascontiguousarray(values[..., ::-1] if bgr else values)


def describe_augmentation(matrix: np.ndarray) -> str:
    """Say how points were moved: 'points mirrored left to right, turned by 12 degrees'.

    Args:
        matrix: (4, 4), a similarity that keeps z upright.

    Returns:
        Nothing where they were not.
    """
    turn = np.array(matrix[:2, :2], float)
    mirrored = ''
    if np.linalg.det(turn) < 0:
        # Either mirror does with half a turn more; take what needs less of it.
        across = turn[1, 1] >= 0
        mirrored = 'mirrored left to right' if across else 'mirrored front to back'
        turn[:, 0 if across else 1] *= -1
    angle = math.degrees(math.atan2(turn[1, 0], turn[0, 0]))
    scale = math.sqrt(np.linalg.det(turn))
    shift = float(np.abs(matrix[:3, 3]).max())
    parts = [text for text, there in (
        (mirrored, mirrored), (f'turned by {angle:.0f} degrees', abs(angle) >= 0.5),
        (f'scaled by {scale:.3f}', abs(scale - 1) >= 5e-4),
        (f'moved by up to {shift:.1f} m', shift >= 0.05)) if there]
    return f'points {", ".join(parts)}' if parts else ''


def _homogeneous(augmented: np.ndarray) -> np.ndarray:
    """Make what moves (u, v, depth, 1) move (u depth, v depth, depth, 1)."""
    matrix = np.eye(4)
    matrix[:2, :2], matrix[:2, 2] = augmented[:2, :2], augmented[:2, 3]
    return matrix


def _boxes(sample: Det3DDataSample, classes: Sequence[str], still: bool
           ) -> Boxes | None:
    """Return the boxes of training, or, of what was not augmented, of evaluation."""
    found = sample.get('gt_instances_3d')
    if found is not None and 'bboxes_3d' in found:
        return Boxes(corners_from_above(found.bboxes_3d), found.labels_3d.numpy(),
                     tuple(classes))
    return true_boxes(sample, classes) if still else None
