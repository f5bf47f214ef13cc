"""Time the map ground truth against nuscenes-devkit's `get_map_mask`.

Run ``python -m benchmarks.map_masks``. Both draw the six classes for random
poses on one generated town of real size (2 km square, about 187,000 nodes),
first checked to give equal masks. Polygons of a layer do not overlap there,
as the devkit would let the holes of one erase the other.
"""
import argparse
import json
import math
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import compare, report
from ddp_perception.datasets.map_classes import LINE_LAYERS, MAP_LAYERS
from ddp_perception.datasets.map_rasterizer import MapRasterizer
from ddp_perception.datasets.vector_map import load_vector_map

POLYGON_LAYERS = ('road_segment', 'road_block', 'lane', 'ped_crossing',
                  'walkway', 'stop_line', 'carpark_area', 'lane_connector')


def expansion_records(polygons=None, lines=None, canvas_edge=(2000., 2000.)):
    """Write geometry as the tables of a map expansion file, version 1.3.

    Args:
        polygons (dict): Per layer a list of (exterior, holes), each ring a
            list of (x, y) in metres, not closed.
        lines (dict): Per layer a list of lists of (x, y).
        canvas_edge (tuple[float, float]): Width and height in metres.

    Returns:
        dict: What `NuScenesMap` reads from JSON.
    """
    tables = {name: [] for name in (
        'node', 'line', 'polygon', 'drivable_area', 'traffic_light',
        *POLYGON_LAYERS, *LINE_LAYERS)}

    def add(table, **fields):
        token = f'{table}-{len(tables[table])}'
        tables[table].append({'token': token, **fields})
        return token

    def nodes(ring):
        return [add('node', x=float(x), y=float(y)) for x, y in ring]

    for layer, items in (polygons or {}).items():
        tokens = [add('polygon', exterior_node_tokens=nodes(exterior),
                      holes=[{'node_tokens': nodes(hole)} for hole in holes])
                  for exterior, holes in items]
        if layer == 'drivable_area':
            add(layer, polygon_tokens=tokens)
            continue
        extra = {'stop_line': {'stop_line_type': 'YIELD'},
                 'lane': {'left_lane_divider_segments': [],
                          'right_lane_divider_segments': []}}.get(layer, {})
        for token in tokens:
            add(layer, polygon_token=token, **extra)
    for layer, items in (lines or {}).items():
        for points in items:
            add(layer, line_token=add('line', node_tokens=nodes(points)))
    return {'version': '1.3', 'canvas_edge': list(canvas_edge),
            'arcline_path_3': {}, 'connectivity': {}, **tables}


def town(side=2000., block=100., seed=0):
    """Return the map records of a town of blocks of wavy streets.

    Args:
        side (float): Edge of the square town in metres.
        block (float): Distance between streets in metres.
        seed (int): Of the shapes.
    """
    rng = np.random.default_rng(seed)
    polygons = {layer: [] for layer in ('drivable_area', *POLYGON_LAYERS)}
    lines = {layer: [] for layer in LINE_LAYERS}
    corners = np.arange(0, side, block)
    for x in corners:
        for y in corners:
            centre = np.array([x, y]) + block / 2
            for layer, inner, outer in (('drivable_area', .34, .45),
                                        ('walkway', .27, .31)):
                polygons[layer].append(
                    (_blob(rng, centre, outer * block, 90),
                     [_blob(rng, centre, inner * block, 70)]))
            polygons['carpark_area'].append(
                (_blob(rng, centre, .12 * block, 20), []))
            for turn in range(4):
                arm = block * _turned(
                    np.array([[.36, -.04], [.4, -.04], [.4, .04], [.36, .04]]),
                    turn * math.pi / 2) + centre
                polygons['ped_crossing'].append((arm, []))
                polygons['stop_line'].append((arm + (3, 3), []))
            for layer, radius in (('road_divider', .38), ('lane_divider', .42)):
                loop = _blob(rng, centre, radius * block, 48)
                lines[layer].extend(np.split(loop, 8))
    return expansion_records(polygons, lines, (side, side))


def _blob(rng, centre, radius, count):
    angles = np.linspace(0, 2 * math.pi, count, endpoint=False)
    radii = radius * (1 + 0.02 * rng.uniform(-1, 1, count))
    return centre + radii[:, None] * np.stack(
        [np.cos(angles), np.sin(angles)], 1)


def _turned(points, angle):
    cos, sin = math.cos(angle), math.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def devkit_masks(nuscenes_map, pose, size=100., cells=200):
    """Draw the six classes with the devkit, layer by layer, [class, x, y]."""
    heading = math.atan2(pose[1, 0], pose[0, 0]) / math.pi * 180
    box = (pose[0, 3], pose[1, 3], size, size)
    layers = [layer for group in MAP_LAYERS.values() for layer in group]
    masks = nuscenes_map.get_map_mask(box, heading, layers, (cells, cells))
    masks = dict(zip(layers, masks.transpose(0, 2, 1), strict=True))
    return np.stack([np.any([masks[layer] for layer in group], axis=0)
                     for group in MAP_LAYERS.values()]).astype(np.uint8)


def random_pose(rng, side):
    """Return a (4, 4) pose with any heading on a square of `side` metres."""
    angle = rng.uniform(-math.pi, math.pi)
    pose = np.eye(4)
    pose[:2, :2] = _turned(np.eye(2), angle).T
    pose[:2, 3] = rng.uniform(0, side, 2)
    return pose


def main(argv=None):
    """Run the comparison and print it; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=10, help='timed calls')
    parser.add_argument('--side', type=float, default=2000., metavar='METRES',
                        help='edge of the town')
    parser.add_argument('--block', type=float, default=100., metavar='METRES',
                        help='distance of its streets')
    args = parser.parse_args(argv)
    from nuscenes.map_expansion.map_api import NuScenesMap
    rng = np.random.default_rng(1)
    records = town(args.side, args.block)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / 'maps' / 'expansion'
        folder.mkdir(parents=True)
        (folder / 'singapore-onenorth.json').write_text(json.dumps(records))
        ours_map = load_vector_map(root, 'singapore-onenorth')
        theirs = NuScenesMap(root, 'singapore-onenorth')
    print(f'{len(records["node"])} nodes on {args.side:g} m square')
    draw = MapRasterizer([-50, 50, .5], [-50, 50, .5])
    poses = [_working_pose(rng, theirs, args.side)
             for _ in range(args.rounds + 3)]
    # Both walk through the same poses; compare() calls them alike often.
    turns = {'ours': 0, 'devkit': 0}

    def next_pose(who):
        turns[who] += 1
        return poses[turns[who] % len(poses)]

    return report([compare(
        'map masks, six classes, 200x200',
        lambda: draw(ours_map, next_pose('ours')),
        lambda: devkit_masks(theirs, next_pose('devkit')),
        rounds=args.rounds, check=_check_overlaps, dtype='uint8')])
    return 0


def _check_overlaps(ours, devkit):
    np.testing.assert_array_equal(ours, devkit)


def _working_pose(rng, nuscenes_map, side):
    """Return a pose for which the devkit does not raise."""
    while True:
        pose = random_pose(rng, side)
        try:
            devkit_masks(nuscenes_map, pose)
        except TypeError:  # a divider clipped into several parts
            continue
        return pose


if __name__ == '__main__':
    raise SystemExit(main())
