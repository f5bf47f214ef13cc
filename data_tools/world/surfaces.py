"""What the ground is made of: label, height, colour and LiDAR return.

Heights are in metres over the road. `lidar` is the mean return of a beam at
moderate incidence on the 0 to 255 scale of nuScenes' intensity; road paint
holds glass beads and reflects the beam back to the sensor, so it stands out
from asphalt (in the published key frame asphalt returns about 4 to 19 and
paint 50 to 100).
"""

from dataclasses import dataclass

import numpy as np

from data_tools.world import labels

KERB_HEIGHT = 0.15


@dataclass(frozen=True)
class Surface:
    """One ground material; colours are RGB in 0..255."""

    name: str
    label: int
    height: float
    colour: tuple[float, float, float]
    grain: float  # contrast of the texture, 0..1
    lidar: float
    lidar_spread: float


SURFACES = (
    Surface('grass', labels.TERRAIN, KERB_HEIGHT, (84, 104, 52), .30, 40, 14),
    Surface('asphalt', labels.ROAD, 0., (90, 90, 94), .10, 9, 2.5),
    Surface('parking', labels.PARKING, 0., (122, 106, 96), .12, 19, 3.5),
    Surface('walkway', labels.SIDEWALK, KERB_HEIGHT, (172, 166, 156), .08, 29,
            4),
    Surface('white_paint', labels.ROAD, 0., (226, 226, 222), .06, 96, 10),
    Surface('yellow_paint', labels.ROAD, 0., (214, 176, 62), .06, 74, 9),
    Surface('bay_paint', labels.PARKING, 0., (222, 222, 216), .06, 90, 10),
    Surface('yard', labels.GROUND, KERB_HEIGHT, (132, 96, 82), .14, 13, 4),
    Surface('kerb', labels.SIDEWALK, KERB_HEIGHT, (188, 186, 180), .06, 34, 4),
    Surface('repair', labels.ROAD, 0., (70, 70, 74), .08, 7, 2),
)
INDEX = {surface.name: i for i, surface in enumerate(SURFACES)}

LABELS = np.array([s.label for s in SURFACES], np.uint8)
HEIGHTS = np.array([s.height for s in SURFACES], np.float64)
COLOURS = np.array([s.colour for s in SURFACES], np.float32)
GRAINS = np.array([s.grain for s in SURFACES], np.float32)
LIDAR = np.array([(s.lidar, s.lidar_spread) for s in SURFACES], np.float32)
