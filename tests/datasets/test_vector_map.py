"""Reading map expansion files."""
import json

import pytest
import shapely

from benchmarks.map_masks import expansion_records
from ddp_perception.datasets.vector_map import (
    VectorMap,
    load_vector_map,
    require_map_files,
)

SQUARES = [([(x, 0.), (x + 5., 0.), (x + 5., 5.), (x, 5.)], [])
           for x in (0., 100., 20.)]


def write(root, records, location='boston-seaport'):
    folder = root / 'maps' / 'expansion'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{location}.json').write_text(json.dumps(records))


def test_near_returns_what_meets_the_area_in_map_order():
    vector_map = VectorMap.from_records(expansion_records(
        {'walkway': SQUARES}))
    found = vector_map.near('walkway', shapely.box(-1., -1., 30., 1.))
    assert [shape.bounds[0] for shape in found] == [0., 20.]
    assert len(vector_map.near('road_divider', shapely.box(0, 0, 1, 1))) == 0


def test_map_is_read_once_and_again_after_a_change(tmp_path):
    write(tmp_path, expansion_records({'walkway': SQUARES}))
    first = load_vector_map(tmp_path, 'boston-seaport')
    assert load_vector_map(str(tmp_path), 'boston-seaport') is first
    write(tmp_path, expansion_records({'walkway': SQUARES[:1]}))
    again = load_vector_map(tmp_path, 'boston-seaport')
    assert len(again.geometries['walkway']) == 1


def test_missing_file_is_named_with_where_to_get_it(tmp_path):
    write(tmp_path, expansion_records())
    with pytest.raises(FileNotFoundError,
                       match='singapore-queenstown.json.*nuscenes.org'):
        require_map_files(tmp_path, ['boston-seaport', 'singapore-queenstown'])
    with pytest.raises(FileNotFoundError, match='boston-unknown.json'):
        load_vector_map(tmp_path, 'boston-unknown')


def test_old_or_broken_files_are_named(tmp_path):
    write(tmp_path, {**expansion_records(), 'version': '1.2'})
    with pytest.raises(ValueError, match='boston-seaport.json.*1.3, got 1.2'):
        load_vector_map(tmp_path, 'boston-seaport')
    records = expansion_records()
    del records['walkway']
    write(tmp_path, records)
    with pytest.raises(ValueError, match='walkway'):
        load_vector_map(tmp_path, 'boston-seaport')
    (tmp_path / 'maps' / 'expansion' / 'boston-seaport.json').write_text('{"a')
    with pytest.raises(ValueError, match='boston-seaport.json'):
        load_vector_map(tmp_path, 'boston-seaport')


def test_records_without_enough_nodes_are_skipped():
    vector_map = VectorMap.from_records(expansion_records(
        {'drivable_area': [([], []), ([(0., 0.), (1., 0.)], []), SQUARES[0]]},
        {'road_divider': [[], [(0., 0.)], [(0., 0.), (1., 1.)]]}))
    assert len(vector_map.geometries['drivable_area']) == 1
    assert len(vector_map.geometries['road_divider']) == 1


def test_spike_of_a_drivable_polygon_is_cut_off():
    spiked = [(0., 0.), (5., 0.), (5., 5.), (9., 5.), (5., 5.), (0., 5.)]
    bow_tie = [(0., 0.), (2., 2.), (2., 0.), (0., 2.)]
    vector_map = VectorMap.from_records(expansion_records(
        {'drivable_area': [(spiked, []), (bow_tie, [])]}))
    areas = [shape.area for shape in vector_map.geometries['drivable_area']]
    assert areas == [25., 2.]
    for shape in vector_map.geometries['drivable_area']:
        assert shape.is_valid and shape.bounds[2] <= 5.
