"""From a nuScenes root to packed samples, checked against closed forms."""
import json
import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from nuscenes.map_expansion.map_api import NuScenesMap
from torch.utils.data import DataLoader

from benchmarks.map_masks import devkit_masks
from data_tools.prepare_nuscenes import prepare
from ddp_perception.datasets import NuScenesMapDataset
from ddp_perception.datasets.transforms import CAMERAS, LoadMapMasks
from ddp_perception.evaluation import iter_masks
from ddp_perception.registry import DATASETS
from tests.checkpoints.hostile import Calls

from .tiny_nuscenes import LOCATION, ground_colour

FINAL_DIM = (64, 128)


def pipeline(train=False, **masks):
    augmentation = [
        dict(type='ddp.GlobalRotScaleTrans'),
        dict(type='ddp.RandomFlip3D')] if train else []
    return [
        dict(type='ddp.LoadMultiViewImages'),
        dict(type='ddp.LoadPoints'),
        dict(type='ddp.LoadSweeps', sweeps_num=2),
        dict(type='ddp.ImageAug3D', final_dim=FINAL_DIM,
             resize_lim=(.82, 1.) if train else (.9, .9),
             rot_lim=(-5.4, 5.4), rand_flip=True, is_train=train),
        *augmentation,
        dict(type='ddp.LoadMapMasks', **masks),
        dict(type='mmdet3d.PointsRangeFilter',
             point_cloud_range=[-51.2, -51.2, -5., 51.2, 51.2, 3.]),
        dict(type='mmdet3d.PointShuffle'),
        dict(type='ddp.PackMapInputs'),
    ]


def build(root, split='train', **options):
    options.setdefault('pipeline', pipeline())
    options.setdefault('ann_file', f'nuscenes_infos_{split}.pkl')
    return DATASETS.build(dict(
        type='ddp.NuScenesMapDataset', data_root=str(root), **options))


def colour_errors(packed, frame):
    """Compare the colour under each projected point with its world's."""
    meta = packed['data_samples'].metainfo
    points = packed['inputs']['points'][:, :3].numpy().astype(float)
    points = np.hstack([points, np.ones((len(points), 1))])
    lidar = points @ np.linalg.inv(meta['lidar_aug_matrix'].astype(float)).T
    world = lidar @ (np.array(frame['ego2global']) @ meta['lidar2ego']).T
    errors = []
    for view in range(6):
        pixels = lidar @ meta['lidar2img'][view].T
        ahead = pixels[:, 2] > .5
        pixels = pixels[ahead]
        pixels[:, :2] /= pixels[:, 2:3]
        pixels[:, 3] = 1
        u, v = (pixels @ meta['img_aug_matrix'][view].T).T[:2]
        height, width = FINAL_DIM
        # Near enough that a pixel is not metres of ground.
        near = np.linalg.norm(lidar[ahead, :2], axis=1) < 12
        seen = (u > 1) & (u < width - 1) & (v > 1) & (v < height - 1) & near
        cells = v[seen].astype(int), u[seen].astype(int)
        found = packed['inputs']['img'][view].numpy()[:, cells[0], cells[1]].T
        wanted = ground_colour(world[ahead][seen])
        inside = found.any(1)  # black: outside the rotated picture
        errors.append(np.abs(found[inside].astype(float) - wanted[inside]
                             ).mean(1))
    return errors


@pytest.mark.parametrize('train', [False, True])
def test_augmented_points_images_and_masks_stay_aligned(tiny_root, train):
    np.random.seed(0)
    dataset = build(tiny_root, pipeline=pipeline(train), test_mode=not train)
    assert len(dataset) == 3
    for index in range(3):
        packed = dataset[index]
        frame = dataset.get_data_info(index)
        errors = colour_errors(packed, frame)
        assert all(len(part) > 10 for part in errors)
        # Of 255: the pixels' own size, and the nearest pixel of rotations.
        assert np.mean(np.concatenate(errors)) < (4.4 if train else 3.2)
        # The masks, at the points: all lie on the plane of the map.
        masks = packed['data_samples'].gt_map_seg.data
        assert masks.shape == (6, 200, 200) and masks.dtype == torch.uint8
        points = packed['inputs']['points'][:, :2].numpy()
        cells = np.floor(points / .5 + 100).astype(int)
        kept = ((cells >= 0) & (cells < 200)).all(1)
        drawn = masks[0].numpy()[tuple(cells[kept].T)]
        world = _world(packed, frame)[kept]
        inside = ((world[:, 0] > 620) & (world[:, 0] < 640)
                  & (world[:, 1] > 810) & (world[:, 1] < 840))
        border = np.minimum.reduce([
            np.abs(world[:, 0] - 620), np.abs(world[:, 0] - 640),
            np.abs(world[:, 1] - 810), np.abs(world[:, 1] - 840)]) < 1.2
        assert inside.sum() > 100 and (~inside).sum() > 100
        np.testing.assert_array_equal(drawn[~border], inside[~border])


def _world(packed, frame):
    meta = packed['data_samples'].metainfo
    points = packed['inputs']['points'][:, :3].numpy().astype(float)
    points = np.hstack([points, np.ones((len(points), 1))])
    lidar = points @ np.linalg.inv(meta['lidar_aug_matrix'].astype(float)).T
    return lidar @ (np.array(frame['ego2global']) @ meta['lidar2ego']).T


def test_two_pixels_of_misalignment_would_be_noticed(tiny_root):
    dataset = build(tiny_root, test_mode=True)
    packed = dataset[0]
    meta = packed['data_samples'].metainfo
    shifted = meta['img_aug_matrix'].copy()
    shifted[:, 0, 3] += 2
    packed['data_samples'].set_metainfo({'img_aug_matrix': shifted})
    errors = colour_errors(packed, dataset.get_data_info(0))
    assert np.mean(np.concatenate(errors)) > 4.2


def test_sample_holds_what_the_model_reads(tiny_root):
    packed = build(tiny_root, 'val', test_mode=True)[1]
    images = packed['inputs']['img']
    assert images.shape == (6, 3, *FINAL_DIM) and images.dtype == torch.uint8
    assert packed['inputs']['points'].shape[1] == 5
    sample = packed['data_samples']
    for key in ('cam2img', 'lidar2cam', 'cam2lidar', 'lidar2img',
                'img_aug_matrix'):
        assert sample.metainfo[key].shape == (6, 4, 4)
        assert sample.metainfo[key].dtype == np.float32
    np.testing.assert_array_equal(sample.lidar_aug_matrix, np.eye(4))
    assert sample.map_location == LOCATION
    assert sample.scene_name == 'scene-0103'
    assert sample.ego2global.dtype == np.float64
    assert sample.lidar2ego.shape == (4, 4)
    assert len(sample.img_path) == 6 and sample.sample_idx == 1
    assert sample.lidar_path.endswith('.pcd.bin')
    # The key frame has age 0, its sweeps 0.1 s and 0.5 s.
    ages = packed['inputs']['points'][:, 4].unique()
    torch.testing.assert_close(ages, torch.tensor([0., .1, .5]), atol=1e-4,
                               rtol=0)


def test_workers_give_the_same_masks_as_the_main_process(tiny_root):
    dataset = build(tiny_root, test_mode=True)
    loader = DataLoader(dataset, batch_size=2, num_workers=2,
                        collate_fn=pseudo_collate)
    masks = [sample.gt_map_seg.data for batch in loader
             for sample in batch['data_samples']]
    assert len(masks) == 3
    for index, mask in enumerate(masks):
        expected = dataset[index]['data_samples'].gt_map_seg.data
        torch.testing.assert_close(mask, expected)


def test_metainfo_names_the_map_classes_and_the_files_version(tiny_root):
    dataset = build(tiny_root)
    assert dataset.metainfo['version'] == 'v1.0-mini'
    assert dataset.metainfo['map_classes'][5] == 'divider'
    assert len(dataset.metainfo['map_palette']) == 6
    assert dataset.metainfo['classes'][0] == 'car'


def test_infos_without_map_fields_say_how_to_add_them(tiny_root, tmp_path):
    content = pickle.loads((tiny_root / 'nuscenes_infos_val.pkl').read_bytes())
    for frame in content['data_list'][1:]:
        del frame['map_location']
    path = tmp_path / 'old.pkl'
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match='2 of 3 frames.*--extend'):
        build(tiny_root, ann_file=str(path))
    without_masks = [step for step in pipeline()
                     if step['type'] != 'ddp.LoadMapMasks']
    dataset = build(tiny_root, ann_file=str(path), pipeline=without_masks)
    assert not hasattr(dataset[0]['data_samples'], 'gt_map_seg')
    with pytest.raises(ValueError, match='--extend'):
        build(tiny_root, ann_file=str(path), pipeline=without_masks,
              load_map=True)


def test_missing_map_file_stops_before_any_sample(tiny_root, tmp_path):
    content = pickle.loads((tiny_root / 'nuscenes_infos_val.pkl').read_bytes())
    content['data_list'][2]['map_location'] = 'boston-seaport'
    path = tmp_path / 'elsewhere.pkl'
    path.write_bytes(pickle.dumps(content))
    for steps in (pipeline(), [LoadMapMasks()],
                  [dict(type=LoadMapMasks)]):
        with pytest.raises(FileNotFoundError, match='boston-seaport.json'):
            build(tiny_root, ann_file=str(path), pipeline=steps)


def test_missing_info_file_names_the_command(tiny_root):
    with pytest.raises(FileNotFoundError, match='prepare nuscenes'):
        build(tiny_root, 'absent')


def test_classes_are_known_without_any_file(tmp_path):
    dataset = build(tmp_path / 'nowhere', lazy_init=True)
    assert dataset.metainfo['map_classes'][0] == 'drivable_area'
    with pytest.raises(FileNotFoundError, match='nowhere'):
        dataset.full_init()


def test_json_infos_of_the_test_split_have_no_boxes(tiny_root, tmp_path):
    content = pickle.loads((tiny_root / 'nuscenes_infos_val.pkl').read_bytes())
    for frame in content['data_list']:
        del frame['instances']
    path = tmp_path / 'infos.json'
    path.write_text(json.dumps(content))
    dataset = build(tiny_root, ann_file=str(path), test_mode=True)
    packed = dataset[0]
    expected = build(tiny_root, 'val', test_mode=True)[0]
    torch.testing.assert_close(packed['data_samples'].gt_map_seg.data,
                               expected['data_samples'].gt_map_seg.data)


def test_views_of_different_size_are_named(tiny_root):
    steps = [step for step in pipeline() if step['type'] != 'ddp.ImageAug3D']

    def shrink(results):
        results['img'][4] = results['img'][4][:50]
        return results

    with pytest.raises(ValueError, match=r'\(50, 160, 3\).*ddp.ImageAug3D'):
        build(tiny_root, pipeline=[steps[0], shrink, *steps[1:]])[0]


def test_camera_only_and_lidar_only_samples(tiny_root):
    steps = [step for step in pipeline(train=True)
             if 'Points' not in step['type'] and 'Point' not in step['type']
             and 'Sweeps' not in step['type']]
    packed = build(tiny_root, pipeline=steps)[0]
    assert 'points' not in packed['inputs']
    assert not np.array_equal(packed['data_samples'].lidar_aug_matrix,
                              np.eye(4))
    steps = [step for step in pipeline(train=True)
             if 'Image' not in step['type']]
    packed = build(tiny_root, pipeline=steps, modality=dict(
        use_camera=False, use_lidar=True))[0]
    assert list(packed['inputs']) == ['points']


def test_boxes_can_be_packed_too(tiny_root):
    steps = pipeline(train=True)
    steps.insert(3, dict(type='mmdet3d.LoadAnnotations3D', with_bbox_3d=True,
                         with_label_3d=True))
    steps[-1] = dict(type='ddp.PackMapInputs', keys=(
        'img', 'points', 'gt_masks_bev', 'gt_bboxes_3d', 'gt_labels_3d'))
    packed = build(tiny_root, pipeline=steps)[0]
    instances = packed['data_samples'].gt_instances_3d
    assert instances.labels_3d.tolist() == [0]
    assert instances.bboxes_3d.tensor.shape == (1, 9)


def test_real_frame_loads_and_its_points_land_as_lidar2img_says(real_dir):
    steps = [step for step in pipeline()
             if step['type'] not in ('ddp.LoadMapMasks', 'ddp.ImageAug3D')]
    steps.insert(1, dict(type='ddp.ImageAug3D', final_dim=(256, 704),
                         resize_lim=(.48, .48)))
    steps[3] = dict(type='ddp.LoadSweeps', sweeps_num=0)
    dataset = NuScenesMapDataset(
        str(real_dir / 'nuscenes_sample'), 'info.json', steps, test_mode=True)
    packed = dataset[0]
    assert packed['inputs']['img'].shape == (6, 3, 256, 704)
    points = packed['inputs']['points']
    assert 20000 < len(points) < 34688 and points.shape[1] == 5
    meta = packed['data_samples'].metainfo
    info = json.loads((real_dir / 'nuscenes_sample' / 'info.json').read_text()
                      )['data_list'][0]
    cloud = np.column_stack([points[:, :3].double().numpy(),
                             np.ones(len(points))])
    for view, name in enumerate(CAMERAS):
        camera = info['images'][name]
        in_cam = cloud @ np.array(camera['lidar2cam']).T
        expected = in_cam[:, :3] @ np.array(camera['cam2img']).T
        ahead = expected[:, 2] > 1
        pixels = cloud[ahead] @ meta['lidar2img'][view].astype(float).T
        pixels[:, :2] /= pixels[:, 2:3]
        pixels[:, 3] = 1
        found = (pixels @ meta['img_aug_matrix'][view].T)[:, :2]
        expected = expected[ahead]
        expected = expected[:, :2] / expected[:, 2:] * .48 - (32, 176)
        np.testing.assert_allclose(found, expected, atol=.05)
        seen = ((expected > 0) & (expected < (704, 256))).all(1)
        assert seen.sum() > 1000  # every camera sees part of the sweep


def test_masks_of_a_data_set_are_those_of_its_samples(tiny_root):
    dataset = build(tiny_root, test_mode=True)
    masks = list(iter_masks(dataset, LoadMapMasks()))
    assert len(masks) == 3
    for index, mask in enumerate(masks):
        packed = dataset[index]['data_samples'].gt_map_seg.data
        np.testing.assert_array_equal(mask, packed.numpy())


@pytest.mark.slow
def test_synthetic_nuscenes_from_preparation_to_masks(tmp_path):
    """The masks of a written world are the devkit's, in every location."""
    from ddp_perception.cli.main import main
    root = tmp_path / 'nuscenes'
    main(['synthesize', 'nuscenes', str(root), '--scenes', '2', '--keyframes', '2',
          '--image-size', '160x90', '--lidar-sweeps', '1', '--beams', '8',
          '--azimuths', '180', '--workers', '1'])
    prepare(root, 'v1.0-mini', progress=False)
    frames = 0
    for split in ('train', 'val'):
        dataset = build(root, split, test_mode=True)
        for index in range(len(dataset)):
            sample = dataset[index]['data_samples']
            nuscenes_map = NuScenesMap(str(root), sample.map_location)
            masks = sample.gt_map_seg.data.numpy()
            assert masks[0].mean() > .1  # the vehicle drives on a road
            try:
                expected = devkit_masks(nuscenes_map,
                                        sample.ego2global @ sample.lidar2ego)
            except TypeError:  # a divider clipped into several parts
                continue
            np.testing.assert_array_equal(masks[1:], expected[1:])
            # A hole of the drivable area may have erased some of it there.
            assert not (expected[0] & ~masks[0]).any()
            frames += 1
    assert frames >= 2


def test_an_info_file_that_holds_objects_is_refused(tiny_root, tmp_path):
    content = pickle.loads((tiny_root / 'nuscenes_infos_val.pkl').read_bytes())
    target = tmp_path / 'made by the file'
    content['data_list'][1]['token'] = Calls(os.mkdir, str(target))
    path = tmp_path / 'odd.pkl'
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=r'odd\.pkl holds posix\.mkdir'):
        build(tiny_root, ann_file=str(path))
    assert not target.exists()
