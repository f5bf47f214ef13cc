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
        frames: Per drive.
        stride: From one frame to the next, in seventeenths of a second.
        image_size: Width, height in pixels; 2048 x 1024 is that of Cityscapes.

    Raises:
        ValueError: an option is out of its range.
    """

    GENERATOR = 2
    RANGES = {'train_drives': (1, HELD_OUT - 1), 'val_drives': (1, HELD_OUT - 1),
              'frames': (1, 400), 'stride': (1, 170)}

    seed: int = 0
    train_drives: int = 12
    val_drives: int = 4
    frames: int = 5
    stride: int = 20
    image_size: tuple[int, int] = (512, 256)

    def record(self) -> dict:
        """JSON-ready description, the generator's number included."""
        return {'dataset': 'cityscapes', **super().record()}
