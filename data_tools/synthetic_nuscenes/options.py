"""What a synthetic set is made from; two sets with equal options are equal."""

from dataclasses import dataclass

from data_tools.synthetic.options import SetOptions


@dataclass(frozen=True)
class Options(SetOptions):
    """Options of a set.

    Attributes:
        seed: Random seed.
        version: 'v1.0-mini' or 'v1.0-trainval', whose scene names and splits
            are used.
        scenes: Train and val together; a fifth are val scenes.
        keyframes: Per scene, 0.5 s apart.
        image_size: Width, height in pixels.
        lidar_sweeps: Sweeps before each key frame, 0 to 9, 0.05 s apart.
        camera_sweeps: Pictures between key frames, 0 to 5.
        beams: LiDAR rings.
        azimuths: LiDAR firings per turn.
        jpeg_quality: 1 to 100.

    Raises:
        ValueError: an option is out of its range.
    """

    GENERATOR = 1
    RANGES = {'keyframes': (1, 400), 'lidar_sweeps': (0, 9),
              'camera_sweeps': (0, 5), 'beams': (2, 128),
              'azimuths': (16, 4096), 'jpeg_quality': (1, 100)}

    seed: int = 0
    version: str = 'v1.0-mini'
    scenes: int = 10
    keyframes: int = 12
    image_size: tuple[int, int] = (480, 270)
    lidar_sweeps: int = 9
    camera_sweeps: int = 0
    beams: int = 32
    azimuths: int = 1080
    jpeg_quality: int = 92
