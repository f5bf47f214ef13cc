"""Frames of one's own rig, against naive computations and other paths."""
import json

import cv2
import numpy as np
import pytest
import shapely

from data_tools.synthetic_custom import rig
from data_tools.synthetic_custom.options import Options
from data_tools.synthetic_custom.writer import open_world, plan
from data_tools.synthetic_nuscenes.map_expansion import MapExpansion
from ddp_perception.datasets import BEVDataset
from ddp_perception.datasets.bev_dataset import class_palette
from ddp_perception.datasets.own_map import MapSource
from ddp_perception.datasets.transforms import LoadBEVMasks, LoadMapMasks
from ddp_perception.registry import DATASETS
from tests.synthetic import TINY_CUSTOM

from .tiny_rig import FEATURES, SIZES, box, polygon, pose, write_tiny_rig

XBOUND, YBOUND = (-12., 12., .5), (-8., 16., .75)  # 48 x 32 cells


def masks_step(**options):
    return dict(type='ddp.LoadBEVMasks', xbound=XBOUND, ybound=YBOUND,
                classes=['road', 'grass'], **options)


def build(path, *pipeline, **options):
    return DATASETS.build(dict(type='ddp.BEVDataset', data_root=str(path.parent),
                               ann_file=path.name, pipeline=list(pipeline), **options))


def cell_centres(xbound=XBOUND, ybound=YBOUND):
    """Return x and y (X, Y) of the cells' centres."""
    return np.meshgrid(*(np.arange(low + step / 2, high, step)
                         for low, high, step in (xbound, ybound)), indexing='ij')


def global_from_bev(ego2global, x, y):
    """Return global x, y of places x to the right of and y ahead of the vehicle."""
    places = np.stack([y, -x, 0 * x, 1 + 0 * x], -1) @ np.transpose(ego2global)
    return places[..., 0], places[..., 1]


def test_masks_of_a_written_world_equal_those_of_the_nuscenes_path(
        custom_root, tmp_path):
    drive = next(drive for drive in plan(Options(**TINY_CUSTOM)) if drive.index == 1)
    world = open_world(drive, Options(**TINY_CUSTOM))
    expansion = MapExpansion('singapore-onenorth', (640, 640))
    expansion.add_region('region', world.map)
    expansion.write(tmp_path)
    bounds = dict(xbound=(-30, 30, .5), ybound=(-20, 50, .5))
    ours = build(custom_root / 'train.json',
                 dict(type='ddp.GlobalRotScaleTrans'), dict(type='ddp.RandomFlip3D'),
                 dict(type='ddp.LoadBEVMasks', classes=['road', 'walkway'], **bounds))
    theirs = LoadMapMasks(classes=['drivable_area', 'walkway'], map_root=str(tmp_path),
                          **bounds)
    x_right = [[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    for index in (2, 3):
        np.random.seed(index)
        sample = ours[index]
        assert sample['map_location'] == 'train_001'
        expected = theirs(dict(
            map_location='singapore-onenorth', lidar2ego=x_right,
            ego2global=world.ego_pose(.5 * (index - 2)),
            lidar_aug_matrix=sample['lidar_aug_matrix']))['gt_masks_bev']
        np.testing.assert_array_equal(sample['gt_masks_bev'], expected)
        assert sample['gt_masks_bev'].shape == (2, 120, 140)
        assert .02 < expected.mean((1, 2)).min()


def test_written_lidar_points_lie_on_the_ground_and_in_the_cameras(custom_root):
    dataset = build(custom_root / 'train.json',
                    dict(type='ddp.LoadMultiViewImages', cameras=list(rig.CAMERAS)),
                    dict(type='ddp.LoadPoints', load_dim=4, use_dim=4))
    sample = dataset[0]
    points = sample['points'].tensor.double().numpy()
    assert (np.abs(points[:, 2]) < .1).mean() > .3  # z of the ground is 0
    seen = np.zeros(len(points), bool)
    for image, matrix in zip(sample['img'], sample['lidar2img'], strict=True):
        u, v, depth, _ = matrix @ np.c_[points[:, :3], np.ones(len(points))].T
        seen |= ((depth > 0) & (u > 0) & (u < depth * image.shape[1])
                 & (v > 0) & (v < depth * image.shape[0]))
    assert seen.mean() > .5


def naive_pixel(place, ego2global, record):
    """Project a global place into a camera, step by step."""
    ego = np.linalg.solve(np.array(ego2global), [*place, 1.])
    x, y, z, _ = np.linalg.solve(np.array(record['sensor2ego']), ego)
    (fx, _, cx), (_, fy, cy), _ = record['intrinsics']
    return fx * x / z + cx, fy * y / z + cy, z


def test_a_known_place_is_where_each_camera_and_the_lidar_see_it(tmp_path):
    exposure = pose(106.5, 200.3, 33., tilt=1.)

    def change(content):
        content['frames'][1]['cameras']['aside']['ego2global'] = exposure.tolist()
    path = write_tiny_rig(tmp_path, change)
    dataset = build(path, dict(type='ddp.LoadMultiViewImages',
                               cameras=['aside', 'ahead']),
                    dict(type='ddp.LoadPoints', load_dim=4, use_dim=3))
    record = json.loads(path.read_text())['frames'][1]
    sample = dataset[1]
    assert sample['camera_names'] == ('aside', 'ahead')
    assert [image.shape for image in sample['img']] == [(60, 40, 3), (48, 64, 3)]
    ego2global = np.array(record['ego2global'])
    for view, (name, moved) in enumerate((('aside', exposure), ('ahead', ego2global))):
        ahead = np.array(record['cameras'][name]['sensor2ego']) @ [.3, .2, 9., 1.]
        place = (moved @ ahead)[:3]
        ego = np.linalg.solve(ego2global, [*place, 1.])
        u, v, depth, _ = sample['lidar2img'][view] @ [-ego[1], ego[0], ego[2], 1.]
        assert depth == pytest.approx(9., abs=1e-3)
        np.testing.assert_allclose(
            (u / depth, v / depth, depth),
            naive_pixel(place, moved, record['cameras'][name]), atol=1e-2)
    stored = np.fromfile(tmp_path / 'points/1.bin', np.float32).reshape(-1, 4)
    ego = np.c_[stored[:, :3], np.ones(len(stored))] @ np.transpose(
        record['lidar']['sensor2ego'])
    np.testing.assert_allclose(sample['points'].tensor.numpy(),
                               np.stack([-ego[:, 1], ego[:, 0], ego[:, 2]], 1),
                               atol=1e-4)


def test_masks_are_what_lies_below_the_cells(tmp_path):
    path = write_tiny_rig(tmp_path)
    sample = build(path, masks_step())[1]
    record = json.loads(path.read_text())['frames'][1]
    x, y = global_from_bev(record['ego2global'], *cell_centres())
    for mask, feature in zip(sample['gt_masks_bev'], FEATURES, strict=True):
        exterior, *holes = feature['geometry']['coordinates']
        inside = shapely.contains_xy(shapely.Polygon(exterior, holes), x, y)
        edge = shapely.distance(shapely.points(x, y), shapely.MultiLineString(
            [exterior, *holes])) < 1.2
        np.testing.assert_array_equal(mask[~edge], inside[~edge])
        assert inside.mean() > .05 and (~edge).mean() > .4


def test_lines_are_drawn_two_cells_wide(tmp_path):
    path = write_tiny_rig(tmp_path, features=[
        *FEATURES[1:], polygon('road', [100., 200.], [140., 200.], kind='LineString')])
    road = build(path, masks_step())[0]['gt_masks_bev'][0]  # ahead lies global x
    x, y = cell_centres()
    assert road[(np.abs(x) < .4) & (y > 1)].all()
    assert not road[np.abs(x) > 1.2].any()


@pytest.mark.parametrize('augment', [(), (
    dict(type='ddp.GlobalRotScaleTrans', rot_range=(.5, .5),
         scale_ratio_range=(1.2, 1.2), translation_std=0.),
    dict(type='ddp.RandomFlip3D', flip_ratio_bev_horizontal=0.,
         flip_ratio_bev_vertical=1.))])
def test_rasters_say_what_the_polygons_they_were_made_from_say(tmp_path, augment):
    resolution, origin, size = .1, (60., 180.), (1200, 500)  # columns, rows
    x, y = np.meshgrid(origin[0] + resolution * (np.arange(size[0]) + .5),
                       origin[1] + resolution * (np.arange(size[1])[::-1] + .5))
    for feature in FEATURES:
        exterior, *holes = feature['geometry']['coordinates']
        inside = shapely.contains_xy(shapely.Polygon(exterior, holes), x, y)
        cv2.imwrite(str(tmp_path / f'{feature["properties"]["class"]}.png'),
                    inside.astype(np.uint8) * 200)

    def change(content):
        content['maps']['yard'] = {
            'rasters': {'road': 'road.png', 'grass': 'grass.png'},
            'resolution': resolution, 'origin': origin}
    vector = build(write_tiny_rig(tmp_path), *augment, masks_step())
    raster = build(write_tiny_rig(tmp_path, change, name='raster.json'), *augment,
                   masks_step())
    for index in (0, 1):
        ours, theirs = (data[index]['gt_masks_bev'] for data in (raster, vector))
        kernel = np.ones((5, 5), np.uint8)
        for looked_up, drawn in zip(ours, theirs, strict=True):
            # Areas are drawn from rounded corners, up to a cell beyond them.
            assert (drawn >= cv2.erode(looked_up, kernel)).all()
            assert (cv2.dilate(looked_up, kernel) >= drawn).all()
            assert .05 < looked_up.mean() < .9
            assert (looked_up != drawn).mean() < .15
        if not augment:  # a cell is what lies at its centre
            x, y = global_from_bev(raster.get_data_info(index)['ego2global'],
                                   *cell_centres())
            expected = shapely.contains_xy(shapely.Polygon(
                FEATURES[1]['geometry']['coordinates'][0]), x, y)
            assert (expected == ours[1]).mean() > .99


def test_samples_name_what_pictures_and_metrics_read(tmp_path):
    dataset = build(write_tiny_rig(tmp_path), test_mode=True)
    assert dataset.metainfo['map_classes'] == dataset.metainfo['classes'] == (
        'road', 'grass')
    assert len(dataset.metainfo['map_palette']) == 2
    info = dataset.get_data_info(1)
    assert (info['token'], info['scene_name'], info['test_mode']) == (
        'frame1', 'yard', True)
    assert list(info['images']) == list(SIZES)
    palette = class_palette(11)
    assert len(set(palette)) == 11


def test_a_rig_without_lidar_or_without_cameras_has_the_same_masks(tmp_path):
    def without(part):
        def change(content):
            for frame in content['frames']:
                del frame[part]
        return change
    whole = build(write_tiny_rig(tmp_path), masks_step())
    for part in ('lidar', 'cameras'):
        partial = build(write_tiny_rig(tmp_path, without(part), name=f'{part}.json'),
                        masks_step())
        np.testing.assert_array_equal(partial[1]['gt_masks_bev'],
                                      whole[1]['gt_masks_bev'])


def test_frames_without_a_map_are_for_prediction(tmp_path):
    def change(content):
        del content['frames'][1]['map']
    path = write_tiny_rig(tmp_path, change)
    with pytest.raises(ValueError, match=r"frame 1 \(id 'frame1'\): map is missing"):
        build(path, masks_step())
    dataset = build(path, masks_step(optional=True))
    assert 'gt_masks_bev' in dataset[0] and 'gt_masks_bev' not in dataset[1]
    with pytest.raises(ValueError, match='sample frame1 has no map'):
        LoadBEVMasks(XBOUND, YBOUND, ['road'])(dataset.get_data_info(1))


def edit(*path, value):
    """Return a change of a list of frames: set a field, or delete it (None)."""
    def change(content):
        node = content
        for key in path[:-1]:
            node = node[key]
        if value is None:
            del node[path[-1]]
        else:
            node[path[-1]] = value
    return change


SECOND = ('frames', 1)
AHEAD = (*SECOND, 'cameras', 'ahead')
MIRROR = np.diag([1., -1., 1., 1.]).tolist()
WRONG = [
    (edit('format', value='ddp-bev-9'), r"\"format\": \"ddp-bev-1\", got 'ddp-bev-9'"),
    (edit('frames', value=None), 'frames must be a list that is not empty, got None'),
    (edit('classes', value=['road', 'road']), 'classes must be different names'),
    (edit('calibration', value={}), 'the list.calibration is no field that is known'),
    (edit(*AHEAD, 'intrinsics', value=[[40., 0], [0, 40.]]),
     r"frame 1 \(id 'frame1'\): cameras.ahead.intrinsics must be 3x3 finite numbers"),
    (edit(*AHEAD, 'sensor2ego', value=MIRROR),
     r"frame 1 \(id 'frame1'\): cameras.ahead.sensor2ego must be 4x4 finite numbers: a "
     r'rotation'),
    (edit(*SECOND, 'lidar', 'sensor2ego', value=(2 * np.eye(4)).tolist()),
     'lidar.sensor2ego must be 4x4'),
    (edit(*AHEAD, 'sensor2ego', value=None), 'cameras.ahead.sensor2ego is missing'),
    (edit(*AHEAD, 'extrinsics', value=MIRROR), 'cameras.ahead.extrinsics is no field'),
    (edit(*SECOND, 'cameras', 'aside', value=None),
     r"frame 1 \(id 'frame1'\): cameras must hold the cameras of frame 0, they differ "
     r"in \['aside'\]"),
    (edit(*SECOND, 'ego2global', value=[1, 2, 3]), r"'frame1'\): ego2global must be"),
    (edit(*SECOND, 'id', value='frame0'), 'id must be different for every frame'),
    (edit(*SECOND, 'map', value='garden'),
     r"map must be one of the maps \(yard\), got 'garden'"),
    (edit(*SECOND, 'lidar', 'values', value=5), 'lidar must have as many values as'),
    (edit(*SECOND, 'ego2global', value=pose(5000, 200, 0).tolist()),
     r"'frame1'\): ego2global is at x 5000.0, y 200.0, more than 1000 m from its map"),
    (edit('maps', 'yard', value={'rasters': {'road': 'road.png'}, 'resolution': .1,
                                 'origin': [0, 0]}),
     'maps.yard.rasters.grass is missing'),
    (edit('maps', 'yard', value={'polygons': 'yard.geojson', 'origin': [0, 0]}),
     'maps.yard must have either polygons or rasters'),
    (edit('maps', 'yard', 'polygons', value='nowhere.geojson'),
     'nowhere.geojson is missing'),
]


@pytest.mark.parametrize('change, message', WRONG)
def test_what_is_wrong_is_named_with_its_frame_and_field(tmp_path, change, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        build(write_tiny_rig(tmp_path, change), masks_step())
    if isinstance(caught.value, ValueError):
        assert str(caught.value).startswith(f'{tmp_path / "frames.json"}: ')


@pytest.mark.parametrize('feature, message', [
    (polygon('water', box(80, 195, 60, 12)),
     r"features\[1\].properties.class must be one of road, grass, got 'water'"),
    (polygon('road', [[0, 0], [9, 9], [9, 0], [0, 9], [0, 0]]),
     r'features\[1\].geometry: the outline is no valid polygon \(Self-intersection'),
    (polygon('road', [1, 2], kind='Point'),
     r"features\[1\].geometry.type must be one of Polygon, .*, got 'Point'"),
    (polygon('road', [['a', 'b']] * 4), r'features\[1\].geometry.coordinates are not'),
    ({'type': 'Feature', 'properties': {}, 'geometry': {}},
     r'features\[1\].properties.class is missing')])
def test_what_is_wrong_with_a_map_is_named(tmp_path, feature, message):
    with pytest.raises(ValueError, match=message) as caught:
        build(write_tiny_rig(tmp_path, features=[FEATURES[0], feature]), masks_step())
    assert str(tmp_path / 'yard.geojson') in str(caught.value)


@pytest.mark.parametrize('step, message', [
    (dict(type='ddp.LoadMultiViewImages', cameras=['ahead', 'behind']),
     'cameras of ddp.LoadMultiViewImages must be out of ahead, aside, got behind'),
    (dict(type='ddp.LoadPoints', load_dim=5),
     r"frame 0 \(id 'frame0'\): lidar.values is 4, load_dim of ddp.LoadPoints is 5"),
    (dict(type='ddp.LoadBEVMasks', xbound=XBOUND, ybound=YBOUND, classes=['sea']),
     'classes of ddp.LoadBEVMasks must be out of road, grass, got sea')])
def test_a_pipeline_for_another_rig_is_refused_when_built(tmp_path, step, message):
    with pytest.raises(ValueError, match=message):
        build(write_tiny_rig(tmp_path), step)


def test_rasters_must_be_single_channels_of_one_size(tmp_path):
    def change(content):
        content['maps']['yard'] = {'rasters': {'road': 'a.png', 'grass': 'b.png'},
                                   'resolution': .1, 'origin': [90, 190]}
    path = write_tiny_rig(tmp_path, change)
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 5), np.uint8))
    cv2.imwrite(str(tmp_path / 'b.png'), np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(ValueError, match='b.png must have a single channel'):
        build(path, masks_step())
    cv2.imwrite(str(tmp_path / 'b.png'), np.zeros((5, 4), np.uint8))
    with pytest.raises(ValueError, match='must be of one size'):
        build(path, masks_step())


def test_a_palette_of_another_length_is_refused(tmp_path):
    path = write_tiny_rig(tmp_path)
    with pytest.raises(ValueError, match='palette must hold 2 colours'):
        BEVDataset(tmp_path, path.name, palette=[(1, 2, 3)])


def test_a_map_whose_file_is_missing_is_named_with_its_file(tmp_path):
    source = MapSource.of(dict(polygons='none.geojson'), tmp_path, ('road', ), 'yard')
    with pytest.raises(FileNotFoundError, match='geojson is missing; maps.yard'):
        source.load()
