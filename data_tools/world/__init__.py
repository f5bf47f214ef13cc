"""A procedural road world, apart from any data set's format.

`World` draws a region from a seed: roads, map layers, buildings, vehicles,
people, weather, and the ego vehicle's drive. It renders pinhole cameras
(picture, metric depth, Cityscapes label ids, objects) and spinning LiDARs
from any pose; writers of data sets store what they need of it.
"""

from data_tools.world.actors import Actor
from data_tools.world.camera import Shot
from data_tools.world.lidar import BeamPattern, Sweep
from data_tools.world.regions import HALF_REGION, Region, plan_region
from data_tools.world.world import World

__all__ = ['Actor', 'BeamPattern', 'HALF_REGION', 'Region', 'Shot', 'Sweep',
           'World', 'plan_region']
