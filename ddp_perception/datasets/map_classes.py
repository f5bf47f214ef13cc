"""The map classes of nuScenes BEV segmentation, in the order of the masks.

Source: MIT BEVFusion's map segmentation protocol (arXiv:2205.13542).
"""
from collections.abc import Collection, Sequence

MAP_LAYERS = {
    'drivable_area': ('drivable_area', ),
    'ped_crossing': ('ped_crossing', ),
    'walkway': ('walkway', ),
    'stop_line': ('stop_line', ),
    'carpark_area': ('carpark_area', ),
    'divider': ('road_divider', 'lane_divider'),
}
"""Layers of the nuScenes map expansion that make up each class."""

MAP_CLASSES = tuple(MAP_LAYERS)

MAP_PALETTE = (
    (138, 189, 236),
    (239, 96, 146),
    (158, 7, 0),
    (254, 207, 110),
    (17, 113, 89),
    (46, 10, 141),
)
"""RGB, 0 to 255, one colour per class in the order of `MAP_CLASSES`.

Any two of them, and any of them and white or black, differ by 20 or more in CIEDE2000,
for readers with normal vision and without long, middle or short wave cones.
"""

LINE_LAYERS = ('road_divider', 'lane_divider')
"""Layers that hold lines; every other layer holds polygons."""


def check_map_classes(classes: Sequence[str],
                      known: Collection[str] = MAP_CLASSES) -> tuple[str, ...]:
    """Return `classes` as a tuple.

    Args:
        classes: Names.
        known: Out of which.

    Raises:
        ValueError: a name is unknown or given twice, or there is none.
    """
    classes = tuple(classes)
    unknown = [name for name in classes if name not in known]
    if unknown or not classes:
        raise ValueError(
            f'unknown map class {", ".join(map(repr, unknown))}; the classes '
            f'are {", ".join(known)}' if unknown else
            'no map class given, expected at least one of '
            f'{", ".join(known)}')
    if len(set(classes)) != len(classes):
        raise ValueError(f'map classes must differ, got {classes}')
    return classes
