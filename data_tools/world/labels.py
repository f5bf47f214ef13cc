"""Semantic label ids of the world's pictures.

They are the label ids of Cityscapes (the ones that its `*_labelIds.png` files
hold, not its train ids), so that a writer of that format needs no table of
its own; `data_tools.cityscapes_ids` maps them to the evaluated classes.
"""

UNLABELED = 0
STATIC = 4
DYNAMIC = 5
GROUND = 6
ROAD = 7
SIDEWALK = 8
PARKING = 9
BUILDING = 11
WALL = 12
FENCE = 13
POLE = 17
TRAFFIC_LIGHT = 19
TRAFFIC_SIGN = 20
VEGETATION = 21
TERRAIN = 22
SKY = 23
PERSON = 24
RIDER = 25
CAR = 26
TRUCK = 27
BUS = 28
TRAILER = 30
MOTORCYCLE = 32
BICYCLE = 33

NAMES = {
    UNLABELED: 'unlabeled', STATIC: 'static', DYNAMIC: 'dynamic',
    GROUND: 'ground', ROAD: 'road', SIDEWALK: 'sidewalk', PARKING: 'parking',
    BUILDING: 'building', WALL: 'wall', FENCE: 'fence', POLE: 'pole',
    TRAFFIC_LIGHT: 'traffic light', TRAFFIC_SIGN: 'traffic sign',
    VEGETATION: 'vegetation', TERRAIN: 'terrain', SKY: 'sky',
    PERSON: 'person', RIDER: 'rider', CAR: 'car', TRUCK: 'truck', BUS: 'bus',
    TRAILER: 'trailer', MOTORCYCLE: 'motorcycle', BICYCLE: 'bicycle',
}
