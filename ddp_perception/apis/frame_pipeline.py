"""From a frame of the user's to what a map model's `test_step` takes."""
from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet3d.datasets.transforms import (
    LoadAnnotations3D,
    LoadPointsFromDict,
    LoadPointsFromFile,
)
from mmdet3d.structures.bbox_3d import get_box_type
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, init_default_scope

from ddp_perception.apis.calibration import Calibration, checked_pose
from ddp_perception.apis.frame import Frame, Image, Sweep
from ddp_perception.apis.pixels import blue_green_red
from ddp_perception.cli.configuration import bare_name
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.sample_input import test_datasets
from ddp_perception.datasets.lidar_frame import move_to_lidar
from ddp_perception.datasets.transforms import (
    LoadMapMasks,
    LoadMultiViewImages,
    LoadPoints,
    LoadSweeps,
    PackMapPrior,
)
from ddp_perception.datasets.transforms.points import cloud_of

OWN_FRAMES = 'BEVDataset'
"""The data set whose maps are in the BEV frame of the vehicle."""


class FramePipeline:
    """The steps of a configuration's test pipeline that need no truth.

    Args:
        cfg: Has a test data set.

    Raises:
        UserError: it has none, or one with test-time augmentation alone.
    """

    def __init__(self, cfg: Config) -> None:
        init_default_scope(cfg.get('default_scope', 'mmdet3d'))
        dataset = next((one for one in test_datasets(cfg) if one.get('pipeline')
                        and 'TestTimeAug' not in map(bare_name, one['pipeline'])), None)
        if dataset is None:
            raise UserError('the configuration has no test_dataloader or '
                            'val_dataloader with a pipeline for frames, without '
                            'test-time augmentation')
        self.vehicle_frame = bare_name(dataset) == OWN_FRAMES
        steps = [TRANSFORMS.build(copy.deepcopy(step)) for step in dataset['pipeline']]
        if isinstance(steps[0], LoadImageFromFile):
            raise UserError('the configuration predicts from single images; use '
                            'predict_image')
        self.steps = [step for step in steps
                      if not isinstance(step, LoadMapMasks | LoadAnnotations3D)]
        self.cameras = self._first(LoadMultiViewImages)
        self.points = self._first(LoadPoints) or self._first(LoadPointsFromFile)
        self.steps = [_from_memory(step) if type(step) is LoadPointsFromFile else step
                      for step in self.steps]
        self.reads_prior = self._first(PackMapPrior) is not None

    def _first(self, kind: type) -> Any:
        return next((step for step in self.steps if isinstance(step, kind)), None)

    def __call__(self, frame: Frame) -> Any:
        """Return the packed sample of a frame.

        Its metainfo has `images` and `points` for pictures; see `frame_from_sample`.

        Raises:
            UserError: the frame lacks something that the model reads, or has it in
                another form; names it.
        """
        if not isinstance(frame, Frame):
            raise UserError(f'frames must be of ddp_perception.apis.Frame, got one of '
                            f'{type(frame).__name__}')
        what = f'frame {frame.name}' if frame.name else 'the frame'
        try:
            results = self._record(frame)
            pictures = self._pictures(results)
            for step in self.steps:
                results = step(results)
            if isinstance(results, list):  # of mmdet3d's MultiScaleFlipAug3D
                raise UserError(f'the test pipeline makes {len(results)} of one frame; '
                                'expected one, without test-time augmentation')
        except (UserError, OSError, ValueError, KeyError) as error:
            text = error.args[0] if isinstance(error, KeyError) else error
            raise UserError(f'{what}: {text}') from error
        results['data_samples'].set_metainfo(pictures)
        return results

    def _record(self, frame: Frame) -> dict[str, Any]:
        """Return what the pipeline starts from, as a data set would give it."""
        box_type, box_mode = get_box_type('LiDAR')
        record: dict[str, Any] = dict(
            token=frame.name, timestamp=0., test_mode=True, box_type_3d=box_type,
            box_mode_3d=box_mode)
        if self.reads_prior:
            record['map_prior'] = self._prior(frame)
        calibration = Calibration() if frame.calibration is None else Calibration.of(
            frame.calibration, self.vehicle_frame)
        if self.cameras is not None or frame.images is not None:
            record['images'] = self._images(frame, calibration)
        if self.points is not None:
            record.update(self._points(frame, calibration))
        return record

    def _prior(self, frame: Frame) -> np.ndarray:
        if frame.prior is None:
            raise UserError('prior is missing, which the model predicts from')
        prior = np.asarray(frame.prior)
        if prior.ndim != 3 or prior.dtype.kind not in 'bui' or prior.max(initial=0) > 1:
            raise UserError('prior must be (P, X, Y) of 0 and 1, got '
                            f'{prior.shape} {prior.dtype}')
        return prior.astype(np.uint8)

    def _images(self, frame: Frame, calibration: Calibration) -> dict[str, dict]:
        """Return image, or its file, and matrices of each camera."""
        wanted = () if self.cameras is None else self.cameras.cameras
        images = frame.images
        if images is None:
            raise UserError(f'images are missing; the model reads {", ".join(wanted)}')
        if not isinstance(images, Mapping):
            if len(images) != len(wanted):
                raise UserError(f'images must be {len(wanted)}, in the order '
                                f'{", ".join(wanted)}, got {len(images)}')
            images = dict(zip(wanted, images, strict=True))
        for name in wanted:
            for had, where in ((images, 'images'),
                               (calibration.cam2img, 'calibration')):
                if name not in had:
                    raise UserError(f'{where} must have the camera {name}, which the '
                                    f'model reads, got {", ".join(had) or "none"}')
        views = {name: {**_image(image, frame.channel_order, f'image {name}'),
                        'cam2img': calibration.cam2img[name],
                        'lidar2cam': calibration.lidar2cam[name]}
                 for name, image in images.items() if name in calibration.cam2img}
        for name in wanted:
            _warn_of_another_size(name, views[name])
        return views

    def _points(self, frame: Frame, calibration: Calibration) -> dict[str, Any]:
        """Return the fields of the LiDAR."""
        if frame.points is None:
            raise UserError('points are missing, which the model reads')
        values = self.points.load_dim
        cloud = _cloud(frame.points, values)
        record = frame.calibration
        if (self.vehicle_frame and isinstance(record, Mapping) and 'cameras' in record
                and calibration.lidar2sensor is None):
            raise UserError('calibration must have lidar.sensor2ego, which says where '
                            'the points are')
        if isinstance(self.points, LoadPoints):
            sensor = calibration.lidar2sensor
            return dict(
                lidar_points=dict(points=cloud, num_pts_feats=values,
                                  lidar2sensor=sensor),
                lidar_sweeps=[self._sweep(sweep) for sweep in frame.sweeps])
        # mmdet3d's own step, which its inferencers replace likewise.
        if frame.sweeps:
            raise UserError('sweeps are read by ddp.LoadSweeps alone; the pipeline has '
                            f'{type(self.points).__name__}')
        if calibration.lidar2sensor is not None:
            move_to_lidar(cloud, calibration.lidar2sensor)
        return dict(points=cloud[:, self.points.use_dim],
                    lidar_points=dict(num_pts_feats=values))

    def _sweep(self, sweep: Sweep) -> dict[str, Any]:
        if not isinstance(sweep, Sweep):
            raise UserError('sweeps must be of ddp_perception.apis.Sweep, got one of '
                            f'{type(sweep).__name__}')
        values = getattr(self._first(LoadSweeps), 'load_dim', self.points.load_dim)
        return dict(timestamp=-sweep.seconds, lidar_points=dict(
            points=_cloud(sweep.points, values),
            lidar2sensor=checked_pose(sweep.lidar2sensor, 'lidar2sensor of a sweep')))

    @staticmethod
    def _pictures(results: dict) -> dict[str, Any]:
        """Return the metainfo that pictures are drawn from."""
        pictures: dict[str, Any] = {}
        if 'images' in results:
            pictures['images'] = {
                name: view['img'][..., ::-1] if 'img' in view else view['img_path']
                for name, view in results['images'].items()}
        record = results.get('lidar_points')
        if record is not None:
            cloud = np.array(results.get('points', record.get('points')), np.float32)
            if record.get('lidar2sensor') is not None:
                move_to_lidar(cloud, record['lidar2sensor'])
            pictures['points'] = cloud
        return pictures


def _from_memory(step: LoadPointsFromFile) -> LoadPointsFromDict:
    """Return mmdet3d's step for points in memory, with the options of another."""
    return LoadPointsFromDict(**{name: getattr(step, name) for name in (
        'coord_type', 'load_dim', 'use_dim', 'shift_height', 'use_color',
        'norm_intensity', 'norm_elongation')})


def _image(image: Image, channel_order: str, what: str) -> dict[str, Any]:
    if isinstance(image, str | Path):
        return {'img_path': os.path.expanduser(image)}
    return {'img': blue_green_red(image, channel_order, what)}


def _warn_of_another_size(name: str, view: Mapping[str, Any]) -> None:
    """Warn where the camera matrix is hardly that of an array, as after resizing it."""
    if 'img' not in view:
        return
    height, width = view['img'].shape[:2]
    u, v = view['cam2img'][:2, 2]
    if not (0 <= u <= width and 0 <= v <= height):
        warnings.warn(f'image {name} is {width} x {height} pixels, but its cam2img has '
                      f'the principal point at {u:.1f}, {v:.1f}, outside of it; '
                      'is the matrix that of another size?', stacklevel=2)


def _cloud(points: Any, values: int) -> np.ndarray:
    """Return (n, values) float32, a new array."""
    record = ({'lidar_path': os.path.expanduser(points)}
              if isinstance(points, str | Path) else {'points': points})
    return cloud_of(record, values)
