"""Which worlds a set drives through, and in which weather."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyquaternion import Quaternion

from data_tools.synthetic.sensors import turned
from data_tools.world import World
from data_tools.world.weather import KINDS

#: More drives than a split may have; the second split is numbered from here.
HELD_OUT = 5000


def weather_in_turn(splits: Sequence[Sequence]) -> dict:
    """Drive -> weather; each split meets every kind in turn.

    A few drives drawn at random might leave one kind to the evaluation alone.
    """
    return {name: KINDS[n % len(KINDS)]
            for part in splits for n, name in enumerate(part)}


@dataclass(frozen=True)
class Drive:
    """One drive of a set that is divided into two splits.

    Its world follows from the set's seed and its number alone, so that more
    drives in one split leave all others as they are.

    Attributes:
        dataset: Whose format it is written in.
        split: That it belongs to.
        number: Unique in the set, from 1.
        weather: One of the world's kinds.
    """

    dataset: str
    split: str
    number: int
    weather: str

    @property
    def index(self) -> int:
        """Its place within the split, from 0."""
        return (self.number - 1) % HELD_OUT

    def _seed(self, seed: int) -> tuple[int, ...]:
        return seed, *self.dataset.encode(), self.number

    def world(self, seed: int, duration: float, bustle: float = 1.,
              residential: bool = False) -> World:
        """Its world, the same for every process.

        Args:
            seed: Seed of the set.
            duration: Seconds.
            bustle (float), residential (bool): See `World`.
        """
        return World(self._seed(seed), duration=duration,
                     weather=self.weather, bustle=bustle,
                     residential=residential)

    def lean(self, seed: int, frame: int) -> Quaternion:
        """How the vehicle stands on the road at a frame: ego from body.

        Load and grade differ between drives, springs move between frames.
        """
        degrees: Any = sum(np.random.default_rng(
            [*self._seed(seed), 77, *more]).normal(0, (.3, .9, .6))
                      for more in ((), (frame,)))
        return turned(np.eye(3), degrees)


def plan_drives(dataset: str, splits: dict[str, int]) -> list[Drive]:
    """The drives of a set.

    Args:
        dataset: Whose format they are written in.
        splits: Number of drives (less than `HELD_OUT`) of the training split
            and of the one that is held out, in order.
    """
    numbers = [range(start + 1, start + 1 + count) for start, count in
               zip((0, HELD_OUT), splits.values(), strict=True)]
    weather = weather_in_turn(numbers)
    return [Drive(dataset, split, n, weather[n])
            for split, here in zip(splits, numbers) for n in here]
