"""What a vehicle records at one moment, in memory or in files."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import ArrayLike

from ddp_perception.apis.calibration import Calibration

Image = np.ndarray | PIL.Image.Image | str | Path
Points = ArrayLike | str | Path


@dataclass(frozen=True, eq=False)
class Sweep:
    """Points of a moment before the frame.

    Args:
        points: As those of a `Frame`, where the LiDAR was then.
        lidar2sensor: (4, 4), from the LiDAR frame of the frame to these points'.
        seconds: How long before the frame.
    """

    points: Points
    lidar2sensor: ArrayLike
    seconds: float


@dataclass(frozen=True, eq=False)
class Frame:
    """What a map is predicted from; what a model does not read may be left out.

    Args:
        images: Per camera, or in the order of the model's cameras: an array (H, W, 3)
            uint8, an image of Pillow, or a file.
        points: (n, F) numbers, x, y, z in metres first, or a file of float32 records.
            F is that of the training's files; nuScenes: intensity 0 to 255 and ring.
        calibration: See `Calibration.of`.
        sweeps: Points of earlier moments, the latest first, for models that read them.
        prior: (P, X, Y), the sketch of the map that a model of `ddp.MapPriorSegmentor`
            starts from.
        name: Of the frame, for pictures and messages.
        channel_order: Of images that are arrays, 'bgr' or 'rgb'.
    """

    images: Mapping[str, Image] | Sequence[Image] | None = None
    points: Points | None = None
    calibration: Calibration | Mapping[str, Any] | None = None
    sweeps: Sequence[Sweep] = ()
    prior: ArrayLike | None = None
    name: str = ''
    channel_order: str = 'bgr'
