"""Write depth maps in the format of the KITTI depth benchmark."""
from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ddp_perception.file_names import output_name

if TYPE_CHECKING:
    from torch import Tensor

_RAW = re.compile(r'(?:^|/)([^/]+_sync)/(image_\d\d)/data/([^/]+)\.\w+$')


def benchmark_name(img_path: str | Path) -> str:
    """Return the file name of a prediction in one flat folder.

    A frame of KITTI raw, <drive>_sync/image_02/data/<frame>.png, gets the
    name that the benchmark's own selection of validation frames gives it:
    <drive>_sync_image_<frame>_image_02.png. Other files, such as those of
    the anonymous test set, keep their base name; see `output_name`.

    Args:
        img_path: Path of the image.

    Returns:
        Name ending in .png.
    """
    path = str(img_path).replace('\\', '/')
    raw = _RAW.search(path)
    if raw:
        drive, camera, frame = raw.groups()
        name = f'{drive}_image_{frame}_{camera}'
    else:
        name = Path(path).stem
    return f'{output_name(name)}.png'


def to_benchmark(depth: np.ndarray, min_depth: float = 1e-3,
                 max_depth: float = 80.) -> np.ndarray:
    """Return metres as the benchmark stores them.

    Args:
        depth: (H, W) metres.
        min_depth, max_depth: Depths are clamped to these.

    Returns:
        (H, W) uint16, depth x 256 rounded, at least 1 (0 would mean that there
        is no prediction).

    Raises:
        ValueError: a depth is NaN, or max_depth does not fit into 16 bits.
    """
    if max_depth * 256 > 65535:
        raise ValueError('16 bits hold depths below 256 m, got max_depth = '
                         f'{max_depth}')
    depth = np.asarray(depth, dtype=np.float64)
    if np.isnan(depth).any():
        raise ValueError(f'{int(np.isnan(depth).sum())} of {depth.size} '
                         'depths are NaN')
    stored = np.rint(np.clip(depth, min_depth, max_depth) * 256)
    return np.maximum(stored, 1).astype(np.uint16)


class DepthExport:
    """Write predictions into one folder, never one over another.

    Files are named by `benchmark_name` and hold `to_benchmark`. The KITTI
    server takes the files of its 500 test images in one archive.

    Args:
        output_dir: Folder, created if need be.
        min_depth, max_depth: Metres.

    Raises:
        ValueError: two images would get the same name.
    """

    def __init__(self, output_dir: str, min_depth: float = 1e-3,
                 max_depth: float = 80.) -> None:
        self.output_dir = Path(output_dir)
        self.min_depth = min_depth
        self.max_depth = max_depth
        self._owners: dict[str, str] = {}

    def __call__(self, depth: Tensor, img_path: str) -> Path:
        """Write one map.

        Args:
            depth: (H, W) metres.
            img_path: Image that it belongs to.

        Returns:
            The file.
        """
        path = self.output_dir / self._claim(self._owners, img_path)
        stored = to_benchmark(depth.detach().cpu().float().numpy(),
                              self.min_depth, self.max_depth)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), stored):
            raise OSError(f'cannot write {path}')
        return path

    def check_names(self, img_paths: Iterable[str | Path]) -> None:
        """Raise if two of these images, of any process, share a name."""
        owners: dict[str, str] = {}
        for img_path in img_paths:
            self._claim(owners, img_path)

    @staticmethod
    def _claim(owners: dict[str, str], img_path: str | Path) -> str:
        name = benchmark_name(img_path)
        owner = owners.setdefault(name, str(img_path))
        if owner != str(img_path):
            raise ValueError(f'{owner} and {img_path} would both be written '
                             f'to {name}')
        return name
