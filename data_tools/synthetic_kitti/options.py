"""What a synthetic set is made from; two sets with equal options are equal."""

from dataclasses import dataclass

from data_tools.synthetic.drives import HELD_OUT
from data_tools.synthetic.options import SetOptions


@dataclass(frozen=True)
class Options(SetOptions):
    """Options of a set.

    Attributes:
        seed: Random seed.
        train_drives, test_drives: Drives, each in a world of its own.
        frames: Per drive.
        stride: From one frame to the next, in tenths of a second.
        image_size: Width, height in pixels.
        sweeps: LiDAR sweeps behind each depth map, an odd number: the frame's
            own and as many before as after it, 0.1 s apart. 1 is about as
            dense as a raw sweep, 5 as KITTI's annotated maps.
        beams: LiDAR rings over the sensor's 26.3 degrees; 0 is 64 at 375 rows
            and in proportion at other heights, so that maps are equally sparse
            at any size.
        azimuths: LiDAR firings per turn; 0 is 2083 at 1242 columns and in
            proportion.

    Raises:
        ValueError: an option is out of its range.
    """

    GENERATOR = 2
    RANGES = {'train_drives': (1, HELD_OUT - 1),
              'test_drives': (1, HELD_OUT - 1), 'frames': (1, 400),
              'stride': (1, 100), 'sweeps': (1, 11), 'beams': (0, 512),
              'azimuths': (0, 16384)}

    seed: int = 0
    train_drives: int = 12
    test_drives: int = 4
    frames: int = 5
    stride: int = 10
    image_size: tuple[int, int] = (1242, 375)
    sweeps: int = 5
    beams: int = 0
    azimuths: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sweeps % 2 == 0:
            raise ValueError(f'sweeps must be odd, got {self.sweeps}')
        for name, least in (('beams', 2), ('azimuths', 16)):
            if 0 < getattr(self, name) < least:
                raise ValueError(f'{name} must be 0 or at least {least}, got '
                                 f'{getattr(self, name)}')

    def record(self) -> dict:
        """JSON-ready description, the generator's number included."""
        return {'dataset': 'kitti', **super().record()}
