"""From a predicted data sample to the arrays of a picture."""
from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddp_perception.datasets.bounded_files import open_image, read_file
from ddp_perception.datasets.lidar_frame import move_to_lidar
from ddp_perception.datasets.map_classes import MAP_CLASSES
from ddp_perception.pixels import pixel_data
from ddp_perception.visualization.boxes import (
    LEAST_SCORE,
    predicted_boxes,
    true_boxes,
)
from ddp_perception.visualization.figure import NUSCENES_CAMERAS, MapFrame
from ddp_perception.visualization.uncertain import Uncertainty
from ddp_perception.wording import counted

if TYPE_CHECKING:
    from mmdet3d.structures import Det3DDataSample
    from mmengine.structures import BaseDataElement

POINT_FIELDS = 5
"""float32 numbers per point in a nuScenes LiDAR file."""


def frame_from_sample(sample: Det3DDataSample, classes: Sequence[str] = MAP_CLASSES,
                      palette: Sequence | None = None,
                      xbound: Sequence[float] = (-50, 50, 0.5),
                      ybound: Sequence[float] = (-50, 50, 0.5),
                      least_score: float = LEAST_SCORE,
                      box_classes: Sequence[str] = (),
                      prediction: str = 'pred_map_seg', truth: str = 'gt_map_seg',
                      uncertainty: Uncertainty | None = None,
                      prior_classes: Sequence[str] = (),
                      prior_palette: Sequence = ()) -> MapFrame:
    """Collect what a picture of a sample shows.

    Images and points come from the files that the sample names, so the
    picture shows them as they were recorded, whatever size the model saw; or from the
    metainfo's `images` (by camera, (H, W, 3) uint8 RGB or a file) and `points` ((n, F),
    LiDAR frame), where a frame came from memory. Cameras have the names of the
    metainfo's ``camera_names``, or those of nuScenes that their files have.

    Args:
        sample: Holds the prediction (probabilities), the truth, or both, and
            boxes where there are any (``pred_instances_3d``,
            ``eval_ann_info``); metainfo of `ddp.PackMapInputs`.
        classes: Names in the order of the maps.
        palette: One RGB triple of 0 to 255 per class.
        xbound: Least, greatest, step of the map's axis 1.
        ybound: Bounds of its axis 2.
        least_score: Boxes predicted with less are left out.
        box_classes: Names of the boxes' classes.
        prediction: Field of the sample that holds the predicted map.
        truth: Field that holds the true map.
        uncertainty: Of the predicted map.
        prior_classes: Names of the channels of the sample's ``map_prior``; it is
            left out where there are none.
        prior_palette: One RGB triple of 0 to 255 for each.

    Returns:
        To be handed to `draw_frame`.
    """
    meta = sample.metainfo
    images, places = _images(meta)
    matrices = meta.get('lidar2img')
    return MapFrame(
        prediction=_array(sample, prediction), truth=_array(sample, truth),
        images=images,
        img_from_lidar={} if matrices is None else {
            name: np.asarray(matrices[index]) for name, index in places.items()},
        points=_points(meta),
        classes=tuple(classes), palette=None if palette is None else tuple(palette),
        xbound=tuple(xbound),
        ybound=tuple(ybound), title=describe(meta),
        boxes=predicted_boxes(sample, box_classes, least_score),
        true_boxes=true_boxes(sample, box_classes),
        uncertainty=uncertainty,
        prior=_array(sample, 'map_prior') if prior_classes else None,
        prior_classes=tuple(prior_classes), prior_palette=tuple(prior_palette))


def camera_name(path: str | Path) -> str | None:
    """Return the nuScenes camera that an image path names, or None.

    nuScenes writes it between double underscores in the file's name and as
    the name of the folder.
    """
    path = Path(path)
    parts = {*path.name.split('__'), path.parent.name}
    names = [name for name in NUSCENES_CAMERAS if name in parts]
    return names[0] if names else None


def read_lidar(path: str | Path, fields: int = POINT_FIELDS) -> np.ndarray:
    """Read a LiDAR file: (n, fields), nuScenes' x, y, z, intensity, ring."""
    points = np.fromfile(path, dtype=np.float32)
    return points[:points.size // fields * fields].reshape(-1, fields)


def _images(meta: Mapping) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Return the images by camera, and which of the sample's views each one is."""
    files, names = meta.get('img_path') or [], meta.get('camera_names')
    given = meta.get('images')
    if given is not None:
        return {name: image if isinstance(image, np.ndarray) else _read(image)
                for name, image in given.items()}, {
            name: index for index, name in enumerate(names or ()) if name in given}
    if names is None or set(names).issubset(NUSCENES_CAMERAS):
        names = [camera_name(path) for path in files]
    # A model without cameras may name its images without their folder.
    places = {name: index
              for index, (name, path) in enumerate(zip(names, files, strict=True))
              if name is not None and Path(path).is_file()}
    return {name: _read(files[index]) for name, index in places.items()}, places


def _read(path: str | Path) -> np.ndarray:
    with open_image(io.BytesIO(read_file(path))) as image:
        return np.asarray(image.convert('RGB'))


def _points(meta: Mapping) -> np.ndarray | None:
    """Return a sample's points (n, fields) in its LiDAR frame, or None."""
    if meta.get('points') is not None:
        return meta['points']
    if not meta.get('lidar_path'):
        return None
    lidar2sensor = meta.get('lidar2sensor')
    if lidar2sensor is None:
        return read_lidar(meta['lidar_path'])
    points = read_lidar(meta['lidar_path'], meta['num_pts_feats'])
    move_to_lidar(points, lidar2sensor)
    return points


def describe(meta: Mapping) -> str:
    """Return a title: which frame it is and how the prediction came about.

    'scene-0003, boston-seaport, frame 3f2a; prediction after 3 denoising steps', of
    what is known. Letters that no font can draw become question marks.
    """
    parts = [name + _printable(str(meta[key])) for key, name in (
        ('scene_name', ''), ('map_location', ''), ('token', 'frame ')) if meta.get(key)]
    frame, passes = ', '.join(dict.fromkeys(parts)), meta.get('decoder_passes')
    return '; '.join(part for part in (
        frame, _describe_passes(**passes) if passes else '') if part)


def _describe_passes(seeds: int, steps: int, averaged: int) -> str:
    """Say what a prediction is the mean of; see `describe_passes`."""
    refined = counted(steps, 'denoising steps')
    if averaged == 1:
        return f'prediction after {refined}'
    if averaged == seeds:
        return f'mean of {seeds} predictions from different noise, {refined} each'
    where = '' if seeds == 1 else f' from each of {seeds} different noise maps'
    return f'mean of the predictions after each of {refined}{where}'


def _printable(text: str) -> str:
    return ''.join(letter if letter.isprintable() else '?' for letter in text[:80])


def _array(sample: BaseDataElement, key: str) -> np.ndarray | None:
    data = pixel_data(sample, key)
    return None if data is None else data.detach().cpu().numpy()
