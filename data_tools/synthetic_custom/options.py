"""What a synthetic set is made from; two sets with equal options are equal."""

from dataclasses import dataclass

from data_tools.synthetic.drives import HELD_OUT
from data_tools.synthetic.options import SetOptions


@dataclass(frozen=True)
class Options(SetOptions):
    """Options of a set.

    Attributes:
        seed: Random seed.
        train_drives, val_drives: Drives, each in a world of its own.
        frames: Per drive, half a second apart.
        image_size: Width, height of the front camera's pictures in pixels; those
            of the others are three quarters of it.
        beams: LiDAR rings.
        azimuths: LiDAR firings per turn.

    Raises:
        ValueError: an option is out of its range.
    """

    GENERATOR = 1
    RANGES = {'train_drives': (1, HELD_OUT - 1), 'val_drives': (1, HELD_OUT - 1),
              'frames': (1, 400), 'beams': (2, 128), 'azimuths': (16, 4096)}

    seed: int = 0
    train_drives: int = 16
    val_drives: int = 4
    frames: int = 6
    image_size: tuple[int, int] = (352, 224)
    beams: int = 24
    azimuths: int = 720

    def record(self) -> dict:
        """JSON-ready description, the generator's number included."""
        return {'dataset': 'custom', **super().record()}
