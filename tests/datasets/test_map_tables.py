"""Wrong map expansions: bounded time, and one line that names what is wrong."""
import json
import math
import time

import numpy as np
import pytest

from benchmarks.map_masks import expansion_records
from ddp_perception.datasets import map_rasterizer
from ddp_perception.datasets.vector_map import load_vector_map

LOCATION = 'boston-seaport'
SQUARE = [(0., 0.), (40., 0.), (40., 40.), (0., 40.)]
HOLE = [(10., 10.), (20., 10.), (20., 20.), (10., 20.)]


def good():
    return expansion_records(
        {'drivable_area': [(SQUARE, [HOLE])], 'walkway': [(SQUARE, [])]},
        {'lane_divider': [[(0., 5.), (40., 5.)]]})


def write(root, records):
    path = root / 'maps' / 'expansion' / f'{LOCATION}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(records if isinstance(records, str) else json.dumps(records))
    return root


def draw(root):
    pose = np.eye(4)
    pose[:2, 3] = 20., 20.
    return map_rasterizer.MapRasterizer([-50, 50, .5], [-50, 50, .5])(
        load_vector_map(root, LOCATION), pose)


def shuffled_ring(size, seed=0):
    angles = np.random.default_rng(seed).permutation(size) * 2 * math.pi / size
    return (30 * np.stack([np.cos(angles), np.sin(angles)], 1)).tolist()


@pytest.mark.parametrize('size', [150, 5000])
@pytest.mark.parametrize('kind', ['drivable_area', 'lane_divider'])
def test_outline_in_random_order_is_refused_quickly(tmp_path, kind, size):
    ring = shuffled_ring(size)
    records = (expansion_records({kind: [(SQUARE, []), (ring, [])]})
               if kind == 'drivable_area' else
               expansion_records(lines={kind: [SQUARE, ring]}))
    start = time.perf_counter()
    with pytest.raises(ValueError, match=f'{LOCATION}.json.*{kind} record.*-1.*'
                       'crosses or touches itself at more than 1000 places'):
        load_vector_map(write(tmp_path, records), LOCATION)
    assert time.perf_counter() - start < 10


def test_many_outlines_in_random_order_are_refused_together(tmp_path):
    records = expansion_records({'drivable_area': [
        (shuffled_ring(60, seed), []) for seed in range(12)]})
    with pytest.raises(ValueError, match='more than 3000 places'):
        load_vector_map(write(tmp_path, records), LOCATION)


def test_polygon_that_is_referred_to_often_is_drawn_once(tmp_path):
    records = good()
    expected = draw(write(tmp_path / 'once', records))
    area, = records['drivable_area']
    area['polygon_tokens'] = area['polygon_tokens'] * 1000
    records['walkway'] = [{**records['walkway'][0], 'token': f'w{i}'}
                          for i in range(1000)]
    root = write(tmp_path / 'often', records)
    np.testing.assert_array_equal(draw(root), expected)
    shapes = load_vector_map(root, LOCATION).geometries
    assert len(shapes['drivable_area']) == len(shapes['walkway']) == 1


def change(table, key, value, index=0):
    def apply(records):
        records[table][index][key] = value
    return apply


def drop(table, key):
    def apply(records):
        del records[table][0][key]
    return apply


def replace(table, value):
    def apply(records):
        records[table] = value
    return apply


@pytest.mark.parametrize('edit,message', [
    (change('node', 'x', math.nan), r"node record 0 \(token 'node-0'\): x .*nan"),
    (change('node', 'y', math.inf, 3), r'node record 3 .*: y must be a number.*inf'),
    (change('node', 'x', 1e18), 'node record 0 .*: x must be .*1e'),
    (change('node', 'x', '5'), "node record 0 .*: x must be .*'5'"),
    (change('node', 'x', True), 'node record 0 .*: x must be .*True'),
    (change('node', 'token', ['a']), r'node record 0 .*: token must be'),
    (change('node', 'token', 'node-1'), r'node record 1 .*token of record 0'),
    (drop('node', 'y'), 'node record 0 .*: y is missing'),
    (replace('node', {}), 'node must be a list of records'),
    (replace('walkway', [7]), 'walkway record 0 .*must be a record.*got 7'),
    (change('polygon', 'exterior_node_tokens', 5),
     r"drivable_area record 0 .*polygon \(token 'polygon-0'\): "
     'exterior_node_tokens must be a list of texts, got 5'),
    (change('polygon', 'exterior_node_tokens', ['node-0', 'gone']),
     "drivable_area record 0 .*exterior_node_tokens names the node 'gone'"),
    (change('polygon', 'holes', None), 'holes must be a list'),
    (change('polygon', 'holes', [{'node_tokens': [None]}]),
     r'polygon .*: holes\[0\].node_tokens must be a list of texts'),
    (change('walkway', 'polygon_token', 'gone'),
     "walkway record 0 .*polygon_token names the polygon 'gone'"),
    (change('lane_divider', 'line_token', None),
     'lane_divider record 0 .*: line_token must be a text'),
    (drop('line', 'node_tokens'),
     r"lane_divider record 0 .*line \(token 'line-0'\): node_tokens is missing"),
    (change('drivable_area', 'polygon_tokens', 'polygon-0'),
     'drivable_area record 0 .*: polygon_tokens must be a list'),
])
def test_wrong_record_is_named(tmp_path, edit, message):
    records = good()
    edit(records)
    with pytest.raises(ValueError, match=message) as raised:
        draw(write(tmp_path, records))
    assert f'{LOCATION}.json' in str(raised.value)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize('text', ['[]', '7', '[' * 100_000, 'null', '"a"'])
def test_file_that_is_no_object_is_named(tmp_path, text):
    with pytest.raises(ValueError, match=f'{LOCATION}.json'):
        load_vector_map(write(tmp_path, text), LOCATION)
