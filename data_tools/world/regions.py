"""The plan of one region: roads, what lies between, and its vector map."""
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data_tools.world.blocks import Block, random_blocks
from data_tools.world.lanes import LaneGraph
from data_tools.world.layers import MapLayers, build_layers
from data_tools.world.layout import Layout, random_layout
from data_tools.world.warp import Warp, random_warp

#: Half the side of the square that any region's plan fits in, metres.
HALF_REGION = 320.0


@dataclass(frozen=True)
class Region:
    """A region without anything that moves or shines.

    Attributes:
        layout (Layout), blocks (list[Block]), graph (LaneGraph): The plan,
            in the layout plane.
        warp: From the layout plane to the world.
        map: The vector map, in the world.
    """

    layout: Layout
    blocks: list[Block]
    graph: LaneGraph
    warp: Warp
    map: MapLayers


def plan_region(seed: int | Sequence[int], centre: tuple[float, float], side: int,
                residential: bool = False) -> Region:
    """Draw the plan of a region; treat it as read-only, it may be shared.

    Args:
        seed: Random seed of the region.
        centre: World position of the plan's middle.
        side: +1 where traffic keeps right, -1 where it keeps left.
        residential: One lane each way, with room to park at the kerb.
    """
    if side not in (-1, 1):
        raise ValueError(f'side must be -1 or 1, got {side}')
    numbers = (tuple(map(int, seed)) if isinstance(seed, Sequence) else int(seed))
    return _plan(numbers, (float(centre[0]), float(centre[1])), side,
                 residential)


# A writer needs a region twice: to drive through it and to write its map.
@lru_cache(maxsize=8)
def _plan(seed: int | Sequence[int], centre: tuple[float, float], side: int,
          residential: bool) -> Region:
    plan, fill = (np.random.default_rng(s)
                  for s in np.random.SeedSequence(seed).spawn(2))
    layout = random_layout(plan, side, residential)
    warp = random_warp(plan, centre)
    blocks = random_blocks(fill, layout)
    graph = LaneGraph(layout)
    return Region(layout, blocks, graph, warp,
                  build_layers(layout, blocks, graph, warp))
