"""Map masks against nuscenes-devkit and against closed forms."""
import json
import math

import numpy as np
import pytest
from nuscenes.map_expansion.map_api import NuScenesMap

from benchmarks.map_masks import devkit_masks, expansion_records, random_pose, town
from ddp_perception.datasets.map_classes import MAP_CLASSES
from ddp_perception.datasets.map_rasterizer import (
    MapRasterizer,
    planar_similarity,
)
from ddp_perception.datasets.vector_map import VectorMap

GRID = [-50., 50., .5]
DRIVABLE, CROSSING, WALKWAY, STOP, PARKING, DIVIDER = range(6)


def square(x, y, side):
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


def draw(records, pose, xbound=GRID, ybound=GRID):
    return MapRasterizer(xbound, ybound)(VectorMap.from_records(records), pose)


def devkit_map(tmp_path, records):
    folder = tmp_path / 'maps' / 'expansion'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'singapore-onenorth.json').write_text(json.dumps(records))
    return NuScenesMap(str(tmp_path), 'singapore-onenorth')


def pose_at(x, y, degrees=0.):
    angle = math.radians(degrees)
    pose = np.eye(4)
    pose[:2, :2] = [[math.cos(angle), -math.sin(angle)],
                    [math.sin(angle), math.cos(angle)]]
    pose[:2, 3] = x, y
    return pose


def test_town_masks_equal_the_devkits_for_random_poses(tmp_path):
    records = town(side=300., block=75.)
    nuscenes_map = devkit_map(tmp_path, records)
    vector_map = VectorMap.from_records(nuscenes_map.json_obj)
    rasterize = MapRasterizer(GRID, GRID)
    rng = np.random.default_rng(3)
    compared = 0
    for _ in range(20):
        pose = random_pose(rng, 300.)
        try:
            theirs = devkit_masks(nuscenes_map, pose)
        except TypeError:  # the devkit's fault, see the next tests
            continue
        np.testing.assert_array_equal(rasterize(vector_map, pose), theirs)
        compared += 1
    assert compared >= 12
    assert all(theirs[index].any() for index in (DRIVABLE, WALKWAY, DIVIDER))


def test_tilted_pose_equals_the_devkit(tmp_path):
    records = town(side=300., block=75.)
    pose = pose_at(140., 160., 33.)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[math.cos(.03), -math.sin(.03)],
                      [math.sin(.03), math.cos(.03)]]
    pose = pose @ tilt
    np.testing.assert_array_equal(
        draw(records, pose), devkit_masks(devkit_map(tmp_path, records), pose))


def test_axes_are_class_then_x_then_y():
    # 10 m right of the sensor and 20 to 30 m ahead: x right, y forward.
    records = expansion_records({'stop_line': [(square(110., 220., 10.), [])]})
    masks = draw(records, pose_at(100., 200.))
    assert masks.shape == (6, 200, 200) and masks.dtype == np.uint8
    assert not masks[[DRIVABLE, CROSSING, WALKWAY, PARKING, DIVIDER]].any()
    columns, rows = np.nonzero(masks[STOP])
    # Pixels 120..140 and 140..160, the border included as in the devkit.
    assert (columns.min(), columns.max()) == (120, 140)
    assert (rows.min(), rows.max()) == (140, 160)
    assert masks[STOP].sum() == 21 * 21


def test_rotated_pose_turns_the_map_the_other_way():
    records = expansion_records({'walkway': [(square(120., 195., 10.), [])]})
    # Heading 90 degrees: the grid's x points north, so east is its -y.
    columns, rows = np.nonzero(draw(records, pose_at(100., 200., 90.))[WALKWAY])
    assert (columns.min(), columns.max()) == (90, 110)
    assert (rows.min(), rows.max()) == (40, 60)


def test_grid_may_be_neither_square_nor_centred():
    records = expansion_records({'walkway': [(square(100., 200., 4.), [])]})
    masks = draw(records, pose_at(100., 200.), [-10., 30., .5], [-5., 15., 1.])
    assert masks.shape == (6, 80, 20)
    columns, rows = np.nonzero(masks[WALKWAY])
    assert (columns.min(), columns.max()) == (20, 28)
    assert (rows.min(), rows.max()) == (5, 9)


def test_divider_clipped_into_parts_is_drawn_where_the_devkit_raises(tmp_path):
    inside = [(90., 200.), (110., 200.)]
    around = [(60., 190.), (200., 190.), (200., 210.), (60., 210.)]
    records = expansion_records(lines={'lane_divider': [around]})
    with pytest.raises(TypeError):
        devkit_masks(devkit_map(tmp_path, records), pose_at(100., 200.))
    mask = draw(records, pose_at(100., 200.))[DIVIDER]
    assert mask[30, 80] and mask[30, 120]  # both crossings of the patch
    assert not mask[:, 100].any()
    both = expansion_records(lines={'lane_divider': [around],
                                    'road_divider': [inside]})
    assert draw(both, pose_at(100., 200.))[DIVIDER][:, 100].any()


def test_hole_does_not_erase_an_overlapping_polygon(tmp_path):
    ring = (square(80., 180., 40.), [square(90., 190., 20.)])
    island = (square(95., 195., 8.), [])
    for order in ([island, ring], [ring, island]):
        records = expansion_records({'walkway': order})
        mask = draw(records, pose_at(100., 200.))[WALKWAY]
        assert mask[92:106, 92:106].all()  # the island
        assert not mask[82:88, 82:88].any()  # the hole around it
        assert mask[62:78, 62:138].all()  # the ring
    theirs = devkit_masks(devkit_map(tmp_path, expansion_records(
        {'walkway': [island, ring]})), pose_at(100., 200.))[WALKWAY]
    assert not theirs[92:106, 92:106].any()  # the fault that ours lacks


def test_hole_borders_equal_the_devkits(tmp_path):
    triangle = [(93.3, 191.2), (110.9, 195.1), (99.7, 212.6)]
    records = expansion_records(
        {'carpark_area': [(square(80., 180., 40.), [triangle])]})
    nuscenes_map = devkit_map(tmp_path, records)
    for degrees in (0., 17., 140.):
        pose = pose_at(101.3, 198.2, degrees)
        np.testing.assert_array_equal(draw(records, pose),
                                      devkit_masks(nuscenes_map, pose))


def test_invalid_drivable_polygon_is_repaired_where_the_devkit_raises(tmp_path):
    bow_tie = [(90., 190.), (110., 210.), (110., 190.), (90., 210.)]
    records = expansion_records({'drivable_area': [(bow_tie, [])],
                                 'walkway': [(bow_tie, [])]})
    mask = draw(records, pose_at(100., 200.))
    assert mask[DRIVABLE][84, 100] and mask[DRIVABLE][116, 100]
    assert not mask[DRIVABLE][100, 110]
    assert not mask[WALKWAY].any()  # as the devkit: skipped


def test_geometry_that_only_touches_the_patch_is_left_out():
    records = expansion_records(
        {'walkway': [(square(150., 200., 10.), [])]},
        {'road_divider': [[(150., 200.), (170., 200.)]]})
    assert not draw(records, pose_at(100., 200.)).any()


def test_empty_map_gives_empty_masks():
    masks = draw(expansion_records(), pose_at(0., 0.))
    assert masks.shape == (6, 200, 200) and not masks.any()


def test_scaled_grid_spans_less_of_the_world():
    records = expansion_records({'walkway': [(square(130., 200., 5.), [])]})
    # Points are enlarged by 1.1: 30 m becomes 33 m, so cell 166.
    pose = pose_at(100., 200.) @ np.diag([1 / 1.1, 1 / 1.1, 1 / 1.1, 1.])
    columns, rows = np.nonzero(draw(records, pose)[WALKWAY])
    assert (columns.min(), columns.max()) == (166, 177)
    assert (rows.min(), rows.max()) == (100, 111)


@pytest.mark.parametrize('mirror', [(-1, 1), (1, -1), (-1, -1)])
def test_mirrored_grid_is_the_mirrored_map(mirror):
    # The same world, mirrored by hand about the pose, must look the same.
    shape = np.array([(7.3, 11.1), (31.7, 14.2), (12.9, 33.4)])
    line = np.array([(-20.3, 5.2), (-3.1, 30.8)])
    centre = np.array([100., 200.])

    def records(points, divider):
        return expansion_records(
            {'walkway': [((points + centre).tolist(), [])]},
            {'road_divider': [(divider + centre).tolist()]})

    mirrored = draw(records(shape, line),
                    pose_at(*centre) @ np.diag([*mirror, 1., 1.]))
    expected = draw(records(shape * mirror, line * mirror), pose_at(*centre))
    assert expected[WALKWAY].sum() > 500 and expected[DIVIDER].sum() > 50
    np.testing.assert_array_equal(mirrored, expected)


def test_planar_similarity_of_a_composition():
    turn = pose_at(3., 4., 30.)
    for scale, mirror, heading in ((1.1, 1, 30.), (.9, -1, 30.)):
        matrix = turn @ np.diag([scale, mirror * scale, scale, 1.])
        found = planar_similarity(matrix)
        assert found[0] == pytest.approx(scale)
        assert found[1] == pytest.approx(heading)
        assert found[2] == (mirror < 0)
    assert planar_similarity(turn.astype(np.float32))[0] == 1.


def test_planar_similarity_rejects_shear_and_nan():
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(ValueError, match='uniform scale'):
        planar_similarity(sheared)
    with pytest.raises(ValueError, match='finite'):
        planar_similarity(np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match=r'\(3, 3\)'):
        planar_similarity(np.eye(3))


def test_unknown_class_lists_the_valid_ones():
    with pytest.raises(ValueError, match="'sidewalk'.*" + ', '.join(
            MAP_CLASSES)):
        MapRasterizer(GRID, GRID, ('walkway', 'sidewalk'))
    with pytest.raises(ValueError, match='differ'):
        MapRasterizer(GRID, GRID, ('walkway', 'walkway'))
    with pytest.raises(ValueError, match='no map class'):
        MapRasterizer(GRID, GRID, ())


def test_chosen_classes_keep_their_order():
    records = expansion_records({'walkway': [(square(100., 200., 4.), [])],
                                 'stop_line': [(square(80., 200., 4.), [])]})
    vector_map = VectorMap.from_records(records)
    everything = MapRasterizer(GRID, GRID)(vector_map, pose_at(100., 200.))
    chosen = MapRasterizer(GRID, GRID, ('stop_line', 'walkway'))(
        vector_map, pose_at(100., 200.))
    np.testing.assert_array_equal(chosen, everything[[STOP, WALKWAY]])


def test_bounds_that_do_not_fit_are_rejected():
    assert MapRasterizer([-51.2, 51.2, .8], [-50., 50., .5]).shape == (128, 200)
    with pytest.raises(ValueError, match='xbound.*whole number'):
        MapRasterizer([-50., 50., .3], [-50., 50., .5])
    with pytest.raises(ValueError, match='ybound'):
        MapRasterizer([-50., 50., .5], [50., -50., .5])
