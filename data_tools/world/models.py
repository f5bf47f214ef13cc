"""Shapes of vehicles and people, built from solids.

A model stands on z = 0 about the origin and faces +x; it fits its box (length,
width, height), which is what its annotation says.
"""
from collections.abc import Sequence

import numpy as np

from data_tools.world import labels
from data_tools.world.solids import (
    BOX,
    BUS_BODY,
    CABIN,
    CAR_BODY,
    ELLIPSOID,
    PLAIN,
    WHEEL,
    solid,
)

CAR_COLOURS = np.array([
    (225, 225, 226), (205, 206, 208), (120, 123, 128), (60, 62, 66),
    (28, 28, 31), (150, 28, 30), (36, 62, 120), (42, 84, 66), (188, 172, 140),
    (210, 120, 40)], float)
CLOTHES = np.array([
    (180, 50, 48), (48, 78, 140), (210, 206, 198), (52, 54, 60), (70, 110, 72),
    (196, 160, 66), (128, 90, 130), (90, 72, 58)], float)
_DARK, _TYRE = (38, 40, 44), (24, 24, 26)
_SKIN = np.array([(224, 180, 150), (186, 134, 100), (120, 82, 60)], float)


def _wheels(length: float, width: float, radius: float, label: int,
            overhang: float = .18) -> list[np.ndarray]:
    x, y = length * (.5 - overhang), width / 2 - .13
    return [solid(WHEEL, (sx * x, sy * y, radius), (radius, .12, radius),
                  label, _TYRE, lidar=6.) for sx in (-1, 1) for sy in (-1, 1)]


def car(rng: np.random.Generator, size: Sequence[float],
        label: int = labels.CAR) -> np.ndarray:
    """Sedan, hatchback or van, by its height."""
    length, width, height = size
    colour = CAR_COLOURS[rng.integers(len(CAR_COLOURS))]
    van = height > 1.75
    belt = height * (.52 if van else .58)
    long = length * rng.uniform(.62, .78) if van else length * rng.uniform(
        .48, .6)
    back = -length / 2 + long / 2 + (.06 if van else rng.uniform(.1, .5))
    top = height - belt
    # The roof starts behind the slanting windscreen: taper plus shear.
    return np.array([
        solid(BOX, (0, 0, (.22 + belt) / 2), (length / 2, width / 2,
                                              (belt - .22) / 2), label,
              colour, material=CAR_BODY, taper=(.06, .05)),
        solid(BOX, (back, 0, belt + top / 2), (long / 2, width / 2 - .06,
                                               top / 2), label, colour,
              material=CABIN, taper=(.32 if van else .42, .16),
              shear=-.12),
        *_wheels(length, width, .32, label)])


def truck(rng: np.random.Generator, size: Sequence[float],
          label: int = labels.TRUCK) -> np.ndarray:
    """A cab in front of a closed body."""
    length, width, height = size
    colour = CAR_COLOURS[rng.integers(len(CAR_COLOURS))]
    body = np.array((224, 224, 220)) * rng.uniform(.6, 1)
    cab = min(2.0, .3 * length)
    rest = length - cab - .15
    return np.array([
        solid(BOX, (length / 2 - cab / 2, 0, 1.15),
              (cab / 2, width / 2 - .06, .75), label, colour,
              material=CAR_BODY),
        solid(BOX, (length / 2 - cab / 2, 0, 2.15),
              (cab / 2, width / 2 - .06, .25), label, colour, material=CABIN,
              taper=(.12, .05)),
        solid(BOX, (-length / 2 + rest / 2, 0, (height + .9) / 2),
              (rest / 2, width / 2, (height - .9) / 2), label, body),
        solid(BOX, (0, 0, .7), (length / 2 - .1, .42, .18), label, _DARK),
        *_wheels(length, width, .46, label)])


def bus(rng: np.random.Generator, size: Sequence[float]) -> np.ndarray:
    """One long glazed body."""
    length, width, height = size
    colour = np.array([(176, 40, 44), (232, 232, 226), (58, 128, 92),
                       (40, 84, 150)])[rng.integers(4)]
    return np.array([
        solid(BOX, (0, 0, (height + .35) / 2),
              (length / 2, width / 2, (height - .35) / 2), labels.BUS, colour,
              material=BUS_BODY),
        *_wheels(length, width, .48, labels.BUS, .2)])


def trailer(rng: np.random.Generator, size: Sequence[float]) -> np.ndarray:
    """A closed box on one pair of axles."""
    length, width, height = size
    body = np.array((210, 208, 200)) * rng.uniform(.6, 1)
    return np.array([
        solid(BOX, (0, 0, (height + .95) / 2),
              (length / 2, width / 2, (height - .95) / 2), labels.TRAILER,
              body),
        *_wheels(length, width, .46, labels.TRAILER, .3)])


def excavator(rng: np.random.Generator, size: Sequence[float]) -> np.ndarray:
    """Tracks, a cab and a raised arm."""
    length, width, height = size
    colour = np.array((226, 172, 38)) * rng.uniform(.85, 1)
    label = labels.TRUCK
    return np.array([
        solid(BOX, (-.1 * length, .38 * width, .45),
              (.36 * length, .12 * width, .45), label, _DARK),
        solid(BOX, (-.1 * length, -.38 * width, .45),
              (.36 * length, .12 * width, .45), label, _DARK),
        solid(BOX, (-.18 * length, 0, 1.35), (.3 * length, .44 * width, .5),
              label, colour, material=CAR_BODY),
        solid(BOX, (-.05 * length, .2 * width, 1.85 + .35),
              (.14 * length, .2 * width, .45), label, colour, material=CABIN),
        solid(BOX, (.28 * length, -.1 * width, .5 * height + .6),
              (.2 * length, .12, .5 * height - .6), label, colour,
              taper=(.15 * length, 0.))])


def person(rng: np.random.Generator, size: Sequence[float], seated: bool = False,
           label: int = labels.PERSON) -> np.ndarray:
    """Legs, coat and head; `seated` leaves the legs to the vehicle."""
    length, width, height = size
    shirt = CLOTHES[rng.integers(len(CLOTHES))]
    trousers = CLOTHES[rng.integers(len(CLOTHES))] * .55
    head, hip = .12, .0 if seated else .47 * height
    shoulder = height - 2 * head - .03
    rows = [
        solid(BOX, (0, 0, (hip + shoulder) / 2),
              (length * .3, width * .42, (shoulder - hip) / 2), label, shirt,
              taper=(.02, .05)),
        solid(ELLIPSOID, (0, 0, height - head), (.1, .085, head), label,
              _SKIN[rng.integers(3)])]
    if not seated:
        stride = rng.uniform(.02, .14)
        rows += [solid(BOX, (side * stride, side * .2 * width, hip / 2),
                       (.08, .08, hip / 2), label, trousers)
                 for side in (-1, 1)]
    return np.array(rows)


def two_wheeler(rng: np.random.Generator, size: Sequence[float], motor: bool,
                rider: bool) -> np.ndarray:
    """Bicycle or motorcycle; the rider is part of its box."""
    length, width, height = size
    label = labels.MOTORCYCLE if motor else labels.BICYCLE
    colour = CAR_COLOURS[rng.integers(len(CAR_COLOURS))]
    radius, tyre = (.31, .07) if motor else (.34, .03)
    x = length / 2 - radius
    seat = .82 if motor else .9
    rows = [solid(WHEEL, (side * x, 0, radius), (radius, tyre, radius), label,
                  _TYRE, lidar=8.) for side in (-1, 1)]
    rows.append(solid(BOX, (0, 0, .62), (x, .15 if motor else .04, .2), label,
                      colour, material=PLAIN))
    rows.append(solid(BOX, (x - .12, 0, seat + .08), (.04, width / 2 - .03,
                                                      .06), label, _DARK))
    if rider:
        body = person(rng, (.5, .5, height - seat), True, labels.RIDER)
        body[:, 3] += seat
        rows += list(body)
    return np.array(rows)


def cone(rng: np.random.Generator, size: Sequence[float]) -> np.ndarray:
    """An orange cone with a reflecting band."""
    length, width, height = size
    return np.array([
        solid(BOX, (0, 0, .03), (length / 2, width / 2, .03), labels.DYNAMIC,
              _DARK),
        solid(BOX, (0, 0, .06 + .3 * (height - .06)),
              (.14, .14, .3 * (height - .06)), labels.DYNAMIC, (236, 96, 26),
              taper=(.05, .05)),
        solid(BOX, (0, 0, height - .2 * (height - .06)),
              (.09, .09, .2 * (height - .06)), labels.DYNAMIC,
              (238, 234, 228), taper=(.05, .05), lidar=150.)])


def barrier(rng: np.random.Generator, size: Sequence[float]) -> np.ndarray:
    """A road barrier, red and white."""
    length, width, height = size
    return np.array([
        solid(BOX, (0, 0, .3 * height), (length / 2, width / 2, .3 * height),
              labels.DYNAMIC, (204, 52, 44), taper=(0., .06)),
        solid(BOX, (0, 0, .8 * height),
              (length / 2, width / 2 - .08, .2 * height), labels.DYNAMIC,
              (232, 230, 226), taper=(0., .03), lidar=90.)])
