"""Map, points and boxes stay together in pipelines of mmdet3d."""
import numpy as np
import pytest
from mmdet3d.datasets import NuScenesDataset
from mmengine.dataset import Compose
from mmengine.fileio import dump, load
from mmengine.registry import init_default_scope
from scipy.ndimage import maximum_filter, minimum_filter

from ddp_perception.datasets.map_classes import MAP_CLASSES
from tests.datasets.bevfusion_steps import BEVFusionRandomFlip3D
from tests.datasets.test_lidar_frame import ACCEPTED, FLIPS, flip, turn

CLASSES = ['car', 'truck', 'bus', 'pedestrian', 'bicycle', 'motorcycle']


def open_dataset(root, infos, classes):
    """Return mmdet3d's own data set of the synthetic set, with annotated boxes."""
    init_default_scope('mmdet3d')
    return NuScenesDataset(
        str(root), str(infos['train']), pipeline=[],
        data_prefix=dict(pts='samples/LIDAR_TOP', sweeps='sweeps/LIDAR_TOP'),
        metainfo=dict(classes=classes, version='v1.0-mini'),
        modality=dict(use_lidar=True, use_camera=False))


@pytest.fixture(scope='module')
def dataset(synthetic_root, synthetic_infos):
    return open_dataset(synthetic_root, synthetic_infos, CLASSES)


def run(dataset, index, steps, root):
    init_default_scope('mmdet3d')
    return Compose([
        dict(type='LoadPointsFromFile', coord_type='LIDAR', load_dim=5, use_dim=5),
        dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
        *steps, dict(type='ddp.PackMapInputs')])({
            **dataset.get_data_info(index), 'map_root': str(root)})


def load_map():
    return dict(type='ddp.LoadMapMasks')


def cells(xy):
    return np.floor(xy * 2 + 100).astype(int)


def places(packed):
    """Centres of the boxes and every 20th point, in metres."""
    boxes = packed['data_samples'].gt_instances_3d.bboxes_3d
    return (boxes.gravity_center[:, :2].numpy(),
            packed['inputs']['points'][::20, :2].numpy())


def count_same_ground(before, after, source, target):
    """Assert that places stand on what they stood on; return on how many classes.

    Where a map is uniform around a place before, it says the same at the place's
    new one, within one cell.

    Args:
        before, after: (classes, 200, 200) maps.
        source, target: (n, 2) the same places before and after, metres.
    """
    assert len(source) == len(target)
    kept = np.linalg.norm(source, axis=1) < 40  # on the map either way
    old = cells(source[kept]).T
    new = cells(target[kept])
    inside = ((new >= 0) & (new < 200)).all(1)
    old, new = old[:, inside], new[inside].T
    counted = 0
    for layer in range(len(MAP_CLASSES)):
        value = before[layer][tuple(old)]
        least, most = (keep(before[layer], 5)[tuple(old)]
                       for keep in (minimum_filter, maximum_filter))
        found = np.where(value, maximum_filter(after[layer], 3)[tuple(new)],
                         minimum_filter(after[layer], 3)[tuple(new)])
        sure = least == most
        np.testing.assert_array_equal(value[sure], found[sure],
                                      err_msg=MAP_CLASSES[layer])
        counted += (value[sure] > 0).sum()
    return counted


@pytest.mark.parametrize('scale', [.9, 1.1])
@pytest.mark.parametrize('name', ACCEPTED)
def test_vehicles_and_points_stay_on_what_they_stand_on(
        dataset, synthetic_root, name, scale):
    np.random.seed(2)
    counted = 0
    for index, flips in enumerate(FLIPS):
        index %= len(dataset)
        plain = run(dataset, index, [load_map()], synthetic_root)
        steps = ACCEPTED[name](flips)
        for step in steps:
            if getattr(step, 'scale_ratio_range', None):
                step.scale_ratio_range = (scale, scale)
        augmented = run(dataset, index, [*steps, load_map()], synthetic_root)
        before, after = (packed['data_samples'].gt_map_seg.data.numpy()
                         for packed in (plain, augmented))
        for source, target in zip(places(plain), places(augmented), strict=True):
            counted += count_same_ground(before, after, source, target)
    assert counted > 300  # of places that stand on something


@pytest.mark.parametrize('late', [flip(1, 0), turn(), BEVFusionRandomFlip3D(0, 1)])
def test_augmentation_after_the_map_is_refused(dataset, synthetic_root, late):
    with pytest.raises(ValueError, match='after gt_masks_bev was drawn; move .*'
                                         'ddp.LoadMapMasks'):
        run(dataset, 0, [load_map(), late], synthetic_root)


def test_list_of_one_frame_of_the_stock_test_pipeline(dataset, synthetic_root):
    stock = dict(type='MultiScaleFlipAug3D', img_scale=(1333, 800), pts_scale_ratio=1,
                 flip=False, transforms=[
                     dict(type='GlobalRotScaleTrans', rot_range=[0, 0],
                          scale_ratio_range=[1., 1.], translation_std=[0, 0, 0]),
                     dict(type='RandomFlip3D')])
    plain = run(dataset, 0, [load_map()], synthetic_root)
    tested = run(dataset, 0, [stock, load_map()], synthetic_root)
    one, other = (item['data_samples'].gt_map_seg.data for item in (plain, tested))
    assert one.any() and (one == other).all()
    assert np.array_equal(tested['data_samples'].lidar_aug_matrix, np.eye(4))


def test_infos_without_map_fields_name_the_command(synthetic_root, synthetic_infos,
                                                   tmp_path):
    content = load(synthetic_infos['train'])
    for frame in content['data_list']:
        del frame['map_location']
    dump(content, tmp_path / 'infos.pkl')
    init_default_scope('mmdet3d')
    frames = NuScenesDataset(str(synthetic_root), str(tmp_path / 'infos.pkl'),
                             pipeline=[], metainfo=dict(classes=CLASSES),
                             data_prefix=dict(pts='samples/LIDAR_TOP', sweeps=''))
    with pytest.raises(ValueError, match='no map_location.*prepare nuscenes.*--extend'):
        run(frames, 0, [load_map()], synthetic_root)
