"""Drives one scene, writes its sensor files and returns its records."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pyquaternion import Quaternion

from data_tools.synthetic.images import write_image
from data_tools.synthetic.sensors import noise_seed, photograph, scan
from data_tools.synthetic_nuscenes import calibration as cal
from data_tools.synthetic_nuscenes.annotations import Annotator
from data_tools.synthetic_nuscenes.options import Options
from data_tools.synthetic_nuscenes.scenes import SceneSpec
from data_tools.synthetic_nuscenes.tokens import token
from data_tools.world import World

if TYPE_CHECKING:
    from data_tools.world.camera import Shot
    from data_tools.world.lidar import Sweep

KEY_PERIOD = 0.5
SWEEP_PERIOD = 0.05
LEAD = 0.1  # seconds driven before the first key frame


@dataclass(frozen=True)
class Frame:
    """One exposure of one channel.

    Attributes:
        channel: Sensor.
        time: World seconds.
        sample: Index of the key frame that it belongs to.
        is_key: Whether it is that key frame's own.
    """

    channel: str
    time: float
    sample: int
    is_key: bool


def open_world(spec: SceneSpec, options: Options) -> World:
    """The region of a scene; the same for every process."""
    duration = LEAD + KEY_PERIOD * (options.keyframes - 1) + .05
    return World((options.seed, spec.number), centre=spec.centre,
                 side=spec.side, duration=duration, weather=spec.weather)


def plan_frames(options: Options) -> list[Frame]:
    """Every exposure of a scene, channel by channel in time order.

    A sweep belongs to the key frame that follows it, as in nuScenes.
    """
    frames = []
    for k in range(options.keyframes):
        key = LEAD + k * KEY_PERIOD
        sweeps = range(options.lidar_sweeps, 0, -1) if k else ()
        frames += [Frame(cal.LIDAR, key - n * SWEEP_PERIOD, k, False)
                   for n in sweeps]
        frames.append(Frame(cal.LIDAR, key, k, True))
        gap = KEY_PERIOD / (options.camera_sweeps + 1)
        for channel, mount in cal.CAMERAS.items():
            extra = range(options.camera_sweeps, 0, -1) if k else ()
            frames += [Frame(channel, key + mount.delay - n * gap, k, False)
                       for n in extra]
            frames.append(Frame(channel, key + mount.delay, k, True))
    return frames


class SceneWriter:
    """Writes one scene.

    Args:
        root: Folder of the set.
        spec: What to write.
        options: How.
    """

    def __init__(self, root: Path, spec: SceneSpec, options: Options) -> None:
        self.root, self.spec, self.options = root, spec, options
        self.world = open_world(spec, options)
        rng = np.random.default_rng([options.seed, spec.number, 77])
        self.rig = cal.calibrate(rng, options.image_size)
        self.pattern = cal.beam_pattern(options.beams, options.azimuths)
        self.tables: dict[str, list] = {name: [] for name in (
            'calibrated_sensor', 'ego_pose', 'log', 'scene', 'sample',
            'sample_data', 'sample_annotation', 'instance')}
        self.annotator = Annotator(self.world, self._token, spec)

    def _token(self, *parts: object) -> str:
        return token(self.options.seed, self.spec.name, *parts)

    def stamp(self, time: float) -> int:
        """Microseconds of a world time."""
        return self.spec.start + round((time - LEAD) * 1e6)

    def write(self, progress: Callable[[], None] = lambda: None) -> dict:
        """Write all files; returns the scene's records by table.

        Args:
            progress: Called after each key frame.
        """
        self._static_tables()
        frames = plan_frames(self.options)
        tokens = [self._token('sample_data', f.channel, self.stamp(f.time))
                  for f in frames]
        around = _neighbours(frames, tokens)
        shots: list = []
        for frame, name in zip(frames, tokens, strict=True):
            seen = self._expose(frame)
            self._record(frame, name, *around[name])
            if not frame.is_key:
                continue
            if frame.channel == cal.LIDAR:
                sweep, shots = seen, []
            else:
                shots.append(seen)
            if len(shots) == len(cal.CAMERAS):
                self._annotate(frame.sample, sweep, shots)
                progress()
        chained = self.annotator.records()
        self.tables['sample_annotation'], self.tables['instance'] = chained
        return self.tables

    def _expose(self, frame: Frame) -> Any:
        """Take and store one frame; returns what was seen."""
        sensor = self.rig[frame.channel]
        seed = noise_seed(self.options.seed, self.spec.name, frame.channel,
                          self.stamp(frame.time))
        path = self.root / self.filename(frame)
        if frame.channel == cal.LIDAR:
            sweep = scan(self.world, frame.time, sensor, self.pattern, seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.concatenate((sweep.points, sweep.intensity[:, None],
                            sweep.ring[:, None]), 1, dtype=np.float32).tofile(
                                path)
            return sweep
        shot = photograph(self.world, frame.time, sensor,
                          self.options.image_size, seed)
        write_image(path, shot.rgb, [cv2.IMWRITE_JPEG_QUALITY,
                                     self.options.jpeg_quality])
        return shot

    def filename(self, frame: Frame) -> str:
        """Path of a frame's file below the root, as nuScenes names it."""
        folder = 'samples' if frame.is_key else 'sweeps'
        end = 'pcd.bin' if frame.channel == cal.LIDAR else 'jpg'
        return (f'{folder}/{frame.channel}/{self.spec.logfile}__'
                f'{frame.channel}__{self.stamp(frame.time)}.{end}')

    def _static_tables(self) -> None:
        spec, count = self.spec, self.options.keyframes
        samples = [self._token('sample', k) for k in range(count)]
        log = self._token('log')
        self.tables['log'].append({
            'token': log, 'logfile': spec.logfile, 'vehicle': spec.vehicle,
            'date_captured': spec.date, 'location': spec.location})
        self.tables['scene'].append({
            'token': self._token('scene'), 'log_token': log,
            'nbr_samples': count, 'first_sample_token': samples[0],
            'last_sample_token': samples[-1], 'name': spec.name,
            'description': f'Synthetic drive, {self.world.weather.kind}'})
        for k, name in enumerate(samples):
            self.tables['sample'].append({
                'token': name, 'timestamp': self.stamp(LEAD + k * KEY_PERIOD),
                'prev': samples[k - 1] if k else '',
                'next': samples[k + 1] if k + 1 < count else '',
                'scene_token': self._token('scene')})
        for channel, mount in self.rig.items():
            self.tables['calibrated_sensor'].append({
                'token': self._token('calibrated', channel),
                'sensor_token': token('sensor', channel),
                'translation': mount.translation.tolist(),
                'rotation': mount.rotation.elements.tolist(),
                'camera_intrinsic': [] if mount.intrinsic is None else
                mount.intrinsic.tolist()})

    def _record(self, frame: Frame, name: str, prev: str, after: str) -> None:
        x, y, yaw = self.world.ego.pose(frame.time)
        camera = frame.channel != cal.LIDAR
        width, height = self.options.image_size if camera else (0, 0)
        stamp = self.stamp(frame.time)
        turn = Quaternion(axis=(0, 0, 1), radians=yaw)
        self.tables['ego_pose'].append({
            'token': name, 'timestamp': stamp,
            'rotation': turn.elements.tolist(), 'translation': [x, y, 0.]})
        self.tables['sample_data'].append({
            'token': name, 'sample_token': self._token('sample',
                                                       frame.sample),
            'ego_pose_token': name,
            'calibrated_sensor_token': self._token('calibrated',
                                                   frame.channel),
            'timestamp': stamp, 'fileformat': 'jpg' if camera else 'pcd',
            'is_key_frame': frame.is_key, 'height': height, 'width': width,
            'filename': self.filename(frame), 'prev': prev, 'next': after})

    def _annotate(self, sample: int, sweep: Sweep, shots: list[Shot]) -> None:
        time = LEAD + sample * KEY_PERIOD
        pose = self.world.ego_pose(time) @ self.rig[
            cal.LIDAR].ego_from_sensor()
        self.annotator.add(sample, time, sweep, pose, shots)


def _neighbours(frames: list[Frame],
                tokens: list[str]) -> dict[str, tuple[str, str]]:
    """Token -> tokens of the frames before and after on its channel."""
    around = {}
    for channel in {f.channel for f in frames}:
        chain = [t for f, t in zip(frames, tokens, strict=True)
                 if f.channel == channel]
        padded = ['', *chain, '']
        for n, name in enumerate(chain):
            around[name] = (padded[n], padded[n + 2])
    return around
