"""Made cities: straight roads, and a sketch of them that is off."""
import numpy as np

from ddp_perception.datasets.drivable_files import CELLS, write_city


def offset_roads(count, seed=0, most_off=10, half_width=8):
    """Roads ahead of the vehicle, and their centre lines up to 5 m aside.

    Returns (n, 200, 200) and (n, 3, 200, 200), bool.
    """
    draw = np.random.default_rng(seed)
    drivable = np.zeros((count, CELLS, CELLS), bool)
    roads = np.zeros((count, 3, CELLS, CELLS), bool)
    for index in range(count):
        middle = int(draw.integers(40, CELLS - 40))
        drivable[index, middle - half_width:middle + half_width] = True
        line = middle + int(draw.integers(-most_off, most_off + 1))
        roads[index, draw.integers(3), line] = True
    return drivable, roads


def write_cities(root, **counts):
    """Write made cities by name; returns their maps by name."""
    root.mkdir(parents=True, exist_ok=True)
    maps = {}
    for seed, (name, count) in enumerate(counts.items()):
        maps[name] = offset_roads(count, seed)
        write_city(root / f'{name}.npz', *maps[name],
                   scene=[f'scene-{name}-{index // 2}' for index in range(count)],
                   token=[f'{name}{index}' for index in range(count)])
    return maps
