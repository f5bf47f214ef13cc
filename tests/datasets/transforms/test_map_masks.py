"""The map masks of augmented samples."""
import json

import numpy as np
import pytest
import shapely

from benchmarks.map_masks import expansion_records
from ddp_perception.datasets.transforms import (
    GlobalRotScaleTrans,
    LoadMapMasks,
    RandomFlip3D,
)
from ddp_perception.registry import TRANSFORMS

from ..tiny_nuscenes import matrix, sensor_calibration, vehicle_pose

SHAPES = {'drivable_area': (0, [(604., 806.), (660., 812.), (655., 850.),
                                (610., 841.)]),
          'stop_line': (3, [(628., 800.), (640., 797.), (634., 830.)])}
BOTH_FLIPS = dict(flip_ratio_bev_horizontal=1., flip_ratio_bev_vertical=1.)


@pytest.fixture
def sample(tmp_path):
    """A frame at an odd pose, with a map of two areas around it."""
    folder = tmp_path / 'maps' / 'expansion'
    folder.mkdir(parents=True)
    (folder / 'boston-seaport.json').write_text(json.dumps(expansion_records(
        {name: [(shape, [])] for name, (_, shape) in SHAPES.items()})))
    return {'token': 'frame', 'map_location': 'boston-seaport',
            'map_root': str(tmp_path),
            'ego2global': matrix(vehicle_pose(0.7)).tolist(),
            'lidar2ego': matrix(sensor_calibration('LIDAR_TOP')).tolist()}


@pytest.mark.parametrize('scale', [0.9, 1.0, 1.1])
@pytest.mark.parametrize('flips', [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_masks_follow_the_points_under_strong_augmentation(sample, scale,
                                                           flips):
    np.random.seed(5)
    for angle in (np.pi / 4, -0.6):
        results = dict(sample)
        GlobalRotScaleTrans((angle, angle), (scale, scale), 2.)(results)
        RandomFlip3D(*flips)(results)
        LoadMapMasks()(results)
        global_from_lidar = (np.asarray(sample['ego2global'])
                             @ sample['lidar2ego'])
        bev_from_global = (results['lidar_aug_matrix']
                           @ np.linalg.inv(global_from_lidar))
        world = np.random.uniform((560, 740), (710, 890), (20000, 2))
        points = np.column_stack([world, np.zeros(len(world)),
                                  np.ones(len(world))])
        cells = np.floor((points @ bev_from_global.T)[:, :2] / .5 + 100
                         ).astype(int)
        on_grid = ((cells >= 0) & (cells < 200)).all(1)
        for index, corners in SHAPES.values():
            area = shapely.Polygon(corners)
            places = shapely.points(world)
            # Clear of the border by a cell and its rounding. (Ignoring the
            # scale would be wrong by up to ten cells.)
            clear = shapely.distance(area.exterior, places) * scale > .9
            checked = on_grid & clear
            inside = shapely.contains(area, places)[checked]
            drawn = results['gt_masks_bev'][index][tuple(cells[checked].T)]
            assert inside.sum() > 100
            np.testing.assert_array_equal(drawn.astype(bool), inside)


def test_place_in_the_pipeline_does_not_matter_but_after_augmentation(sample):
    results = LoadMapMasks()(dict(sample))
    with pytest.raises(ValueError, match='LoadMapMasks'):
        RandomFlip3D(**BOTH_FLIPS)(results)


def test_a_sample_of_no_place_stays_without_masks_and_half_a_place_is_named(sample):
    cloud = {'points': 'of an array', 'timestamp': 1}  # mmdet3d's inference API
    assert LoadMapMasks()(dict(cloud)) == cloud
    del sample['map_location']
    with pytest.raises(ValueError, match='frame has no map_location'):
        LoadMapMasks()(sample)


def test_fewer_classes_and_another_grid(sample):
    everything = LoadMapMasks()(dict(sample))['gt_masks_bev']
    step = TRANSFORMS.build(dict(
        type='ddp.LoadMapMasks', classes=['stop_line'],
        xbound=[-50., 50., .5], ybound=[-25., 25., .5]))
    masks = step(dict(sample))['gt_masks_bev']
    assert masks.shape == (1, 200, 100)
    # Drawn within one cell of the larger grid's: the border clips elsewhere.
    assert np.mean(masks[0] != everything[3][:, 50:150]) < 2e-3
    assert masks.any()


def test_bad_input_is_named(sample, tmp_path):
    with pytest.raises(ValueError, match="'kerb'.*drivable_area"):
        LoadMapMasks(classes=['kerb'])
    with pytest.raises(ValueError, match='frame has no map_location'):
        LoadMapMasks()({**sample, 'map_location': None})
    with pytest.raises(ValueError, match='no map_root'):
        LoadMapMasks()({**sample, 'map_root': None})
    with pytest.raises(FileNotFoundError, match='singapore-onenorth.json'):
        LoadMapMasks()({**sample, 'map_location': 'singapore-onenorth'})
    assert LoadMapMasks(map_root=str(tmp_path))(
        {**sample, 'map_root': '/nowhere'})['gt_masks_bev'].any()
