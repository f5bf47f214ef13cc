"""Frames of one's own rig: any cameras, LiDAR, classes and extent."""
from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from ddp_perception.registry import DATASETS

from .bev_frames import frame_name, map_sources, read_frames
from .map_classes import MAP_PALETTE
from .missing_list import ADVICE, Advice
from .own_map import MapSource
from .transforms.bev_masks import LoadBEVMasks
from .transforms.images import LoadMultiViewImages
from .transforms.points import LoadPoints

EGO_FROM_BEV = np.array([[0., 1., 0., 0.], [-1., 0., 0., 0.], [0., 0., 1., 0.],
                         [0., 0., 0., 1.]])
"""From x right, y forward, z up to the ego frame's x forward, y left, z up."""

PALETTE = (*MAP_PALETTE, (0, 0, 0))
"""RGB, 0 to 255, of the first classes; colour-blind readers tell them apart."""

FAR = 1000.
"""Metres. A frame this far from the rectangle around its map is not on it."""

# The name of the data set's class in a configuration, whose file is missing.
ADVICE['BEVDataset'] = Advice(
    'list of frames', 'custom', 'Write it as docs/own_data.md describes, and check '
    'it with:  ddp-perception prepare custom {root}')


@DATASETS.register_module()
class BEVDataset(BaseDataset):
    """Frames of cameras, LiDAR or both with a map, from one JSON file.

    docs/own_data.md describes the file. Its records become samples as those of
    `NuScenesMapDataset` are, so that pipelines, heads and metrics are the same.
    What they call the LiDAR frame is here the *BEV frame*: the ego frame turned to
    x right, y forward, z up, with its origin. `LoadPoints` moves the points there,
    however the LiDAR is mounted; without a LiDAR all else is the same.

    Args:
        data_root: Folder that the paths of the file are relative to.
        ann_file: The file, relative to the root unless absolute.
        pipeline: Steps or their configs, with `LoadMultiViewImages` (its `cameras`
            are names of the file), `LoadPoints` (its `load_dim` is the file's
            `values`) and `LoadBEVMasks`, as needed.
        palette: One RGB triple of 0 to 255 per class, for pictures.
        metainfo, indices, serialize_data, test_mode, lazy_init, max_refetch:
            As in mmengine's BaseDataset.

    A sample has token (the frame's id), scene_name, timestamp, ego2global,
    lidar2ego (4, 4), images.<camera>.{img_path, cam2img, lidar2cam},
    lidar_points.{lidar_path, num_pts_feats, lidar2ego, lidar2sensor}, map_location
    and map_source (None without a map), test_mode; see `info_schema`.

    Raises:
        FileNotFoundError: the file, or one of a map that masks are drawn from, is
            missing.
        ValueError: the file, a frame or a map holds wrong values, a frame is not
            near its map, or the pipeline does not fit the file; names frame and
            field.
    """

    def __init__(self, data_root: str | Path, ann_file: str | Path,
                 pipeline: Sequence[dict | Callable] = (),
                 palette: Sequence[Sequence[int]] | None = None,
                 metainfo: dict | None = None,
                 indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True, test_mode: bool = False,
                 lazy_init: bool = False, max_refetch: int = 1000) -> None:
        self.palette = palette
        super().__init__(
            ann_file=str(ann_file), metainfo=metainfo, data_root=str(data_root),
            data_prefix={}, indices=indices, serialize_data=serialize_data,
            pipeline=list(pipeline), test_mode=test_mode, lazy_init=lazy_init,
            max_refetch=max_refetch)

    def load_data_list(self) -> list[dict]:
        """Read and check the file, the pipeline, and the maps it draws."""
        content = read_frames(self.ann_file)
        sources = map_sources(content, self.data_root)
        try:
            self._check_pipeline(content)
            if any(isinstance(step, LoadBEVMasks) for step in self.pipeline.transforms):
                require_on_maps(content['frames'], sources)
        except ValueError as error:
            raise ValueError(f'{self.ann_file}: {error}') from None
        palette = class_palette(len(content['classes'])) if self.palette is None else (
            tuple(map(tuple, self.palette)))
        if len(palette) != len(content['classes']):
            raise ValueError(f'palette must hold {len(content["classes"])} colours, '
                             f'one for each class of {self.ann_file}, got '
                             f'{len(palette)}')
        for key in ('map_', ''):
            self._metainfo.setdefault(f'{key}classes', tuple(content['classes']))
            self._metainfo.setdefault(f'{key}palette', palette)
        return [self._sample(frame, sources) for frame in content['frames']]

    def _check_pipeline(self, content: dict) -> None:
        """Raise ValueError where a step asks for what the frames have not."""
        first = content['frames'][0]
        for step in self.pipeline.transforms:
            name = f'ddp.{type(step).__name__}'
            if isinstance(step, LoadMultiViewImages):
                _require_subset(f'cameras of {name}', step.cameras, first['cameras'])
            elif isinstance(step, LoadBEVMasks):
                _require_subset(f'classes of {name}', step.rasterizer.classes,
                                content['classes'])
                for index, frame in enumerate(content['frames']):
                    if frame.get('map') is None and not step.optional:
                        raise ValueError(
                            f'{frame_name(content["frames"], index)}: map is missing, '
                            f'which {name} draws (for prediction alone: optional=True)')
            elif isinstance(step, LoadPoints):
                for index, frame in enumerate(content['frames']):
                    values = (frame.get('lidar') or {}).get('values')
                    if values != step.load_dim:
                        raise ValueError(
                            f'{frame_name(content["frames"], index)}: lidar.values is '
                            f'{values}, load_dim of {name} is {step.load_dim}')

    def _sample(self, frame: dict, sources: dict[str, MapSource]) -> dict:
        """Return what the pipeline starts from."""
        global_from_bev = np.array(frame['ego2global']) @ EGO_FROM_BEV
        sample: dict[str, Any] = dict(
            token=frame['id'], scene_name=frame.get('scene', ''),
            timestamp=frame.get('timestamp', 0.),
            ego2global=np.array(frame['ego2global'], float), lidar2ego=EGO_FROM_BEV,
            map_location=frame.get('map'),
            map_source=sources[frame['map']] if frame.get('map') else None,
            test_mode=self.test_mode, images={})
        for name, camera in frame['cameras'].items():
            global_from_ego = camera.get('ego2global')
            if global_from_ego is None:
                global_from_ego = frame['ego2global']
            global_from_cam = np.array(global_from_ego) @ camera['sensor2ego']
            sample['images'][name] = dict(
                img_path=str(Path(self.data_root, camera['image'])),
                cam2img=np.array(camera['intrinsics'], float),
                lidar2cam=np.linalg.inv(global_from_cam) @ global_from_bev)
        lidar = frame.get('lidar')
        if lidar:
            sample['lidar_points'] = dict(
                lidar_path=str(Path(self.data_root, lidar['points'])),
                num_pts_feats=lidar['values'], lidar2ego=EGO_FROM_BEV,
                lidar2sensor=np.linalg.inv(lidar['sensor2ego']) @ EGO_FROM_BEV)
            # Flat too, from where they are packed.
            sample.update({key: sample['lidar_points'][key] for key in (
                'lidar_path', 'num_pts_feats', 'lidar2sensor')})
        return sample


def require_on_maps(frames: list[dict], sources: dict[str, MapSource]) -> None:
    """Read the maps of frames, and check that the frames are on them.

    Args:
        frames: Checked ones.
        sources: Maps by name.

    Raises:
        FileNotFoundError, ValueError: a map cannot be read, is empty or is more than
            `FAR` metres from a frame; names map and frame.
    """
    for index, frame in enumerate(frames):
        name = frame.get('map')
        if name is None:
            continue
        bounds = np.array(sources[name].load().bounds)
        if np.isnan(bounds).any():
            raise ValueError(f'maps.{name} has nothing in it')
        place = np.array(frame['ego2global'], float)[:2, 3]
        beyond = np.maximum(bounds[:2] - place, place - bounds[2:]).clip(0)
        if np.hypot(*beyond) > FAR:
            raise ValueError(
                f'{frame_name(frames, index)}: ego2global is at x {place[0]:.1f}, '
                f'y {place[1]:.1f}, more than {FAR:g} m from its map {name}, x '
                f'{bounds[0]:.1f} to {bounds[2]:.1f}, y {bounds[1]:.1f} to '
                f'{bounds[3]:.1f}; both must be metres in one frame')


def class_palette(count: int) -> tuple[tuple[int, ...], ...]:
    """Return an RGB colour of 0 to 255 for each of some classes."""
    further = count - len(PALETTE)
    return (*PALETTE[:count], *(
        tuple(round(255 * part) for part in colorsys.hsv_to_rgb(i / further, .9, .8))
        for i in range(further)))


def _require_subset(what: str, names: Sequence[str], known: Sequence[str] | dict
                    ) -> None:
    odd = [name for name in names if name not in known]
    if odd:
        raise ValueError(f'{what} must be out of {", ".join(known) or "none"}, got '
                         f'{", ".join(odd)}')
