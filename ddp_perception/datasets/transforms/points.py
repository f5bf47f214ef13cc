"""Load LiDAR points: one key frame and earlier sweeps."""
from collections.abc import Iterable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet3d.structures.points import get_points_type

from ddp_perception.datasets.bounded_files import read_file
from ddp_perception.datasets.lidar_frame import move_to_lidar
from ddp_perception.registry import TRANSFORMS


def read_points(path: str, load_dim: int,
                backend_args: dict | None = None) -> np.ndarray:
    """Read a file of float32 records.

    Args:
        path: The file. An empty file is an empty cloud.
        load_dim: Numbers per point.
        backend_args: Options of mmengine's file backend.

    Returns:
        (n, load_dim) float32, writable.

    Raises:
        FileNotFoundError: names the file.
        ValueError: the size is not a whole number of records, or a number
            is not finite; or see `require_bounded_file`.
    """
    try:
        content = read_file(path, backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'LiDAR file {path} is missing') from error
    record = 4 * load_dim
    if len(content) % record:
        raise ValueError(
            f'{path} holds {len(content)} bytes, expected a multiple of '
            f'{record} ({load_dim} float32 per point): the file is truncated '
            'or of another format')
    points = np.frombuffer(content, dtype=np.float32).reshape(-1, load_dim)
    if bad := _not_finite(points):
        raise ValueError(f'{path}: {bad} of {len(points)} points hold NaN or '
                         'infinite values')
    return points.copy()


def _not_finite(points: np.ndarray) -> int:
    """Count the points of which a number is not finite."""
    finite = np.isfinite(points)
    # Reducing rows of a few numbers takes many times as long.
    return 0 if finite.all() else int(np.count_nonzero(~finite.all(axis=1)))


def cloud_of(record: dict, load_dim: int,
             backend_args: dict | None = None) -> np.ndarray:
    """Return the points of a record, its own or those of its file.

    Args:
        record: Has `points`, (n, load_dim) numbers, or else `lidar_path`.
        load_dim: Numbers per point.
        backend_args: Options of mmengine's file backend.

    Returns:
        (n, load_dim) float32, a new array.

    Raises:
        FileNotFoundError, ValueError: see `read_points`, likewise of an array.
    """
    if record.get('points') is None:
        return read_points(record['lidar_path'], load_dim, backend_args)
    points = np.array(record['points'], dtype=np.float32)
    if points.ndim != 2 or points.shape[1] != load_dim:
        raise ValueError(f'points must be (n, {load_dim}) numbers, as the files of the '
                         f'training, got shape {points.shape}')
    if bad := _not_finite(points):
        raise ValueError(f'{bad} of {len(points)} points hold NaN or infinite values')
    return points


@TRANSFORMS.register_module()
class LoadPoints(BaseTransform):
    """Load the LiDAR points of the key frame.

    Args:
        load_dim: Numbers per point in the file; nuScenes: x, y, z (metres,
            LiDAR frame), intensity, ring.
        use_dim: Which of them to keep.
        backend_args: Options of mmengine's file backend.

    Reads: lidar_points.lidar_path, or in its place lidar_points.points, (n, load_dim)
    numbers; lidar_points.lidar2sensor (optional), the (4, 4) from the frame that the
    sample calls the LiDAR's to that of these points. Writes: points (LiDARPoints,
    (n, use_dim) float32; n = 0 for an empty file).

    Raises:
        ValueError: `use_dim` does not fit `load_dim`, a truncated file, or
            values that are not finite.
        FileNotFoundError: the file is missing.
    """

    def __init__(self, load_dim: int = 5, use_dim: int | Sequence[int] = 5,
                 backend_args: dict | None = None) -> None:
        self.load_dim = load_dim
        self.use_dim = (list(range(use_dim)) if isinstance(use_dim, int)
                        else list(use_dim))
        if not self.use_dim or max(self.use_dim) >= load_dim:
            raise ValueError(f'use_dim must name numbers below load_dim = '
                             f'{load_dim}, got {self.use_dim}')
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add `points`."""
        record = results['lidar_points']
        points = cloud_of(record, self.load_dim, self.backend_args)
        if record.get('lidar2sensor') is not None:
            move_to_lidar(points, record['lidar2sensor'])
        points = points[:, self.use_dim]
        results['points'] = get_points_type('LIDAR')(
            points, points_dim=points.shape[1])
        return results


@TRANSFORMS.register_module()
class LoadSweeps(BaseTransform):
    """Add earlier sweeps to the key frame, moved into its LiDAR frame.

    The fifth number of every point becomes its age in seconds, 0 in the key
    frame. `sweeps_num=0` only does that. Use it with `LoadPoints(use_dim=5)`.

    Args:
        sweeps_num: How many to add. A scene's first frames have fewer.
        load_dim: Numbers per point in the files, at least 5.
        remove_close: Drop points of the sweeps within this many metres of the
            sensor in both x and y (the vehicle's roof).
        pad_empty_sweeps: Where there is no sweep at all, repeat the key frame
            `sweeps_num` times, so that the density stays alike.
        test_mode: Take the latest sweeps instead of random ones. By default
            where the data set is in test mode, so that evaluation repeats.
        backend_args: Options of mmengine's file backend.

    Reads: points, timestamp; lidar_sweeps, test_mode (optional). A sweep has its
    points in a file or itself, as `LoadPoints` reads them. Writes: points.

    Source: MIT BEVFusion and mmdet3d's LoadPointsFromMultiSweeps. Departs
    from the latter: a sweep is moved by the exact inverse of its lidar2sensor
    (there the translation misses the rotation, up to decimetres in a turn).
    """

    def __init__(self, sweeps_num: int = 9, load_dim: int = 5, remove_close: float = 1.,
                 pad_empty_sweeps: bool = True, test_mode: bool | None = None,
                 backend_args: dict | None = None) -> None:
        if sweeps_num < 0 or load_dim < 5:
            raise ValueError('sweeps_num must be at least 0 and load_dim at '
                             f'least 5, got {sweeps_num} and {load_dim}')
        self.sweeps_num, self.load_dim = sweeps_num, load_dim
        self.remove_close = float(remove_close)
        self.pad_empty_sweeps = pad_empty_sweeps
        self.test_mode = test_mode
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Replace `points` by those of all chosen sweeps."""
        points = results['points']
        if points.shape[1] < 5:
            raise ValueError('sweeps need points of at least 5 numbers, got '
                             f'{points.shape[1]}; set use_dim=5 in LoadPoints')
        points.tensor[:, 4] = 0
        sweeps = results.get('lidar_sweeps', [])
        clouds = [points]
        if not sweeps and self.pad_empty_sweeps:
            far = points.new_point(self._far(points.tensor.numpy()))
            clouds += [far] * self.sweeps_num
        test_mode = (results.get('test_mode', False)
                     if self.test_mode is None else self.test_mode)
        for index in self._choose(len(sweeps), test_mode):
            cloud = self._load(sweeps[index], results['timestamp'])
            clouds.append(points.new_point(cloud[:, :points.shape[1]]))
        results['points'] = points.cat(clouds)
        return results

    def _choose(self, available: int, test_mode: bool) -> Iterable[int]:
        if available <= self.sweeps_num or test_mode:
            return range(min(available, self.sweeps_num))
        return np.random.choice(available, self.sweeps_num, replace=False)

    def _load(self, sweep: dict, timestamp: float) -> np.ndarray:
        record = sweep['lidar_points']
        points = self._far(cloud_of(record, self.load_dim, self.backend_args))
        move_to_lidar(points, record['lidar2sensor'])
        points[:, 4] = timestamp - sweep['timestamp']
        return points

    def _far(self, points: np.ndarray) -> np.ndarray:
        x, y = np.abs(points[:, 0]), np.abs(points[:, 1])
        return points[(x >= self.remove_close) | (y >= self.remove_close)]
