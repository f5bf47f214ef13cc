"""nuScenes' categories, attributes and visibility levels."""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_tools.world.actors import Actor

CATEGORIES = (
    'human.pedestrian.adult', 'human.pedestrian.child',
    'human.pedestrian.wheelchair', 'human.pedestrian.stroller',
    'human.pedestrian.personal_mobility', 'human.pedestrian.police_officer',
    'human.pedestrian.construction_worker', 'animal', 'vehicle.car',
    'vehicle.motorcycle', 'vehicle.bicycle', 'vehicle.bus.bendy',
    'vehicle.bus.rigid', 'vehicle.truck', 'vehicle.construction',
    'vehicle.emergency.ambulance', 'vehicle.emergency.police',
    'vehicle.trailer', 'movable_object.barrier',
    'movable_object.trafficcone', 'movable_object.pushable_pullable',
    'movable_object.debris', 'static_object.bicycle_rack')

ATTRIBUTES = (
    'vehicle.moving', 'vehicle.stopped', 'vehicle.parked',
    'cycle.with_rider', 'cycle.without_rider',
    'pedestrian.sitting_lying_down', 'pedestrian.standing',
    'pedestrian.moving')

#: level -> (name, least visible share)
VISIBILITY = {'1': ('v0-40', 0.), '2': ('v40-60', .4), '3': ('v60-80', .6),
              '4': ('v80-100', .8)}

_CATEGORY = {
    'car': 'vehicle.car', 'truck': 'vehicle.truck',
    'bus': 'vehicle.bus.rigid', 'trailer': 'vehicle.trailer',
    'construction': 'vehicle.construction', 'bicycle': 'vehicle.bicycle',
    'motorcycle': 'vehicle.motorcycle',
    'pedestrian': 'human.pedestrian.adult',
    'cone': 'movable_object.trafficcone', 'barrier': 'movable_object.barrier',
}


def category_of(actor: Actor) -> str:
    """nuScenes category of a world actor."""
    return _CATEGORY[actor.category]


def attribute_of(actor: Actor) -> str | None:
    """nuScenes attribute of a world actor, None where it has none."""
    if actor.category == 'pedestrian':
        return f'pedestrian.{actor.state}'
    if actor.category in ('bicycle', 'motorcycle'):
        return f'cycle.{"with" if actor.rider else "without"}_rider'
    if actor.category in ('cone', 'barrier'):
        return None
    return f'vehicle.{actor.state}'


def visibility_of(share: float) -> str:
    """Visibility token of a visible share in [0, 1]."""
    return max(level for level, (_, least) in VISIBILITY.items()
               if share >= least)
