"""Shapes that do not move: buildings, trees, lamp posts, signals and signs."""

import numpy as np

from data_tools.world import labels
from data_tools.world.solids import (
    BOX,
    CYLINDER,
    ELLIPSOID,
    FACADE,
    FOLIAGE,
    LAMP,
    SIGN,
    solid,
)

WALLS = np.array([
    (196, 182, 160), (168, 112, 88), (206, 204, 198), (148, 150, 152),
    (184, 160, 122), (128, 108, 100), (212, 196, 172), (108, 122, 134)], float)
_METAL = (112, 116, 118)


def building(rng: np.random.Generator, half_x: float, half_y: float,
             height: float) -> np.ndarray:
    """A block with windows, a parapet and sometimes a set-back top."""
    colour = WALLS[rng.integers(len(WALLS))] * rng.uniform(.85, 1.1)
    seed = int(rng.integers(1 << 20))
    rows = [solid(BOX, (0, 0, height / 2), (half_x, half_y, height / 2),
                  labels.BUILDING, colour, material=FACADE, seed=seed),
            solid(BOX, (0, 0, height + .2), (half_x + .15, half_y + .15, .2),
                  labels.BUILDING, colour * .7)]
    if rng.random() < .35:
        extra = rng.uniform(3, 12)
        rows.append(solid(
            BOX, (0, 0, height + .4 + extra / 2),
            (half_x * rng.uniform(.5, .8), half_y * rng.uniform(.5, .8),
             extra / 2), labels.BUILDING, colour * .92, material=FACADE,
            seed=seed + 1))
    return np.array(rows)


def tree(rng: np.random.Generator) -> np.ndarray:
    """A trunk under a crown of two or three ellipsoids."""
    height = rng.uniform(4.5, 9.5)
    radius = rng.uniform(1.2, 2.4)
    bole = height * rng.uniform(.3, .42)
    green = np.array((66, 98, 44)) * rng.uniform(.7, 1.25) + rng.uniform(
        -8, 18, 3)
    seed = int(rng.integers(1 << 20))
    rows = [solid(CYLINDER, (0, 0, .5 * bole + .3), (.09 + .012 * height,) * 2
                  + (.5 * bole + .3,), labels.VEGETATION, (84, 66, 50))]
    rise = height - bole
    for k in range(int(rng.integers(2, 4))):
        offset = rng.normal(0, .28 * radius, 2) * (k > 0)
        size = radius * rng.uniform(.7, 1) * (1 - .18 * k)
        middle = bole + rise * (.42 + .2 * k)
        rows.append(solid(
            ELLIPSOID, (*offset, middle), (size, size, .36 * rise),
            labels.VEGETATION, green * (1 + .08 * k), material=FOLIAGE,
            seed=seed + k))
    return np.array(rows)


def hedge(rng: np.random.Generator, length: float) -> np.ndarray:
    """A low green wall along x."""
    return np.array([solid(
        BOX, (0, 0, .45), (length / 2, .35, .45), labels.VEGETATION,
        np.array((62, 88, 42)) * rng.uniform(.8, 1.2), material=FOLIAGE,
        seed=int(rng.integers(1 << 20)))])


def fence(rng: np.random.Generator, length: float) -> np.ndarray:
    """A low wall or a board fence along x."""
    if rng.random() < .5:
        return np.array([solid(BOX, (0, 0, .5), (length / 2, .1, .5),
                               labels.WALL, (166, 152, 138))])
    return np.array([solid(BOX, (0, 0, .6), (length / 2, .04, .6),
                           labels.FENCE, (104, 86, 70))])


def lamp_post(rng: np.random.Generator) -> np.ndarray:
    """A mast whose arm reaches along +x."""
    height = rng.uniform(6, 8.5)
    return np.array([
        solid(CYLINDER, (0, 0, height / 2), (.08, .08, height / 2),
              labels.POLE, _METAL),
        solid(BOX, (.8, 0, height - .05), (.8, .05, .05), labels.POLE,
              _METAL),
        solid(BOX, (1.5, 0, height - .14), (.35, .12, .06), labels.POLE,
              (190, 190, 184))])


def signal(rng: np.random.Generator) -> np.ndarray:
    """A traffic light that faces +x."""
    return np.array([
        solid(CYLINDER, (0, 0, 1.7), (.07, .07, 1.7), labels.POLE, _METAL),
        solid(BOX, (.12, 0, 3.0), (.12, .17, .46), labels.TRAFFIC_LIGHT,
              (30, 32, 34), material=LAMP, seed=int(rng.integers(3)))])


def sign(rng: np.random.Generator) -> np.ndarray:
    """A plate on a post that faces +x."""
    colour = np.array([(196, 36, 40), (34, 84, 168), (228, 190, 50),
                       (30, 120, 74)])[rng.integers(4)]
    return np.array([
        solid(CYLINDER, (0, 0, 1.15), (.035, .035, 1.15), labels.POLE,
              _METAL),
        solid(BOX, (.05, 0, 2.35), (.02, .32, .32), labels.TRAFFIC_SIGN,
              colour, material=SIGN)])
