"""Checks and record that the options of every set share."""

from dataclasses import asdict
from typing import Any, ClassVar, cast


class SetOptions:
    """Base of frozen dataclasses with the options of a set.

    Attributes:
        GENERATOR: Rises whenever the same options give other bytes than
            before.
        RANGES: Field -> least and greatest value.
    """

    seed: int
    image_size: tuple[int, int]
    GENERATOR: ClassVar[int]
    RANGES: ClassVar[dict[str, tuple[int, int]]]

    def __post_init__(self) -> None:
        object.__setattr__(self, 'image_size', tuple(self.image_size))
        ranges = {'seed': (0, 2**31 - 1), **self.RANGES}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f'{name} must lie in {low}..{high}, '
                                 f'got {value}')
        if len(self.image_size) != 2 or min(self.image_size) < 16:
            raise ValueError('image_size must be (width, height) of at least '
                             f'16 pixels, got {self.image_size}')

    def record(self) -> dict:
        """JSON-ready description, the generator's number included."""
        values = asdict(cast(Any, self))
        values['image_size'] = list(self.image_size)
        return {'generator': self.GENERATOR, **values}
