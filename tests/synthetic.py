"""Tiny synthetic data sets for tests."""

from pathlib import Path

from data_tools.synthetic_cityscapes import write_synthetic_cityscapes
from data_tools.synthetic_custom import write_synthetic_custom
from data_tools.synthetic_kitti import write_synthetic_kitti
from data_tools.synthetic_nuscenes import write_synthetic_nuscenes

#: Three scenes (scene-0103 is the val scene), two key frames each.
TINY = dict(seed=3, scenes=3, keyframes=2, image_size=(160, 90),
            lidar_sweeps=2, beams=16, azimuths=360)


def make_synthetic_root(folder: Path) -> Path:
    """Write the tiny set to `folder`, or reuse it; takes a few seconds."""
    return write_synthetic_nuscenes(folder, **TINY, progress=False)

#: One training and one test drive of two frames each.
TINY_KITTI = dict(seed=3, train_drives=1, test_drives=1, frames=2, stride=2,
                  image_size=(320, 96))


def make_synthetic_kitti(folder: Path) -> Path:
    """Write the tiny KITTI set to `folder`, or reuse it; a few seconds."""
    return write_synthetic_kitti(folder, **TINY_KITTI, progress=False)


#: One training and one validation drive of two frames each.
TINY_CITYSCAPES = dict(seed=3, train_drives=1, val_drives=1, frames=2,
                       stride=9, image_size=(256, 128))


def make_synthetic_cityscapes(folder: Path) -> Path:
    """Write the tiny Cityscapes set to `folder`, or reuse it; a few seconds."""
    return write_synthetic_cityscapes(folder, **TINY_CITYSCAPES,
                                      progress=False)


#: Two training drives and one validation drive of two frames each.
TINY_CUSTOM = dict(seed=3, train_drives=2, val_drives=1, frames=2,
                   image_size=(128, 80), beams=12, azimuths=180)


def make_synthetic_custom(folder: Path) -> Path:
    """Write the tiny set of a rig of its own to `folder`; a few seconds."""
    return write_synthetic_custom(folder, **TINY_CUSTOM, progress=False)
