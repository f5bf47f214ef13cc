"""A tiny synthetic nuScenes root for tests."""

from pathlib import Path

from data_tools.synthetic_nuscenes import write_synthetic_nuscenes

#: Three scenes (scene-0103 is the val scene), two key frames each.
TINY = dict(seed=3, scenes=3, keyframes=2, image_size=(160, 90),
            lidar_sweeps=2, beams=16, azimuths=360)


def make_synthetic_root(folder: Path) -> Path:
    """Write the tiny set to `folder`, or reuse it; takes a few seconds."""
    return write_synthetic_nuscenes(folder, **TINY, progress=False)
