import json

import numpy as np
import pytest
import torch
from mmdet3d.structures import LiDARInstance3DBoxes
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement, PixelData

from bev_occupancy import task

GRID = ((-6., 6., 1.), (-4., 4., 1.))
FINE = ((-6., 6., 0.5), (-4., 4., 0.5))


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build(dict(
        type='ddp.VehicleHead', in_channels=8, input_grid=GRID, output_grid=FINE,
        decoder=dict(channels=8, num_layers=1, num_heads=2), **changes))


def test_it_takes_less_than_120_lines():
    with open(task.__file__) as file:
        assert len(file.readlines()) < 120


def test_head_trains_and_samples_probabilities_on_its_own_grid():
    head, feats = build(sampler=dict(num_steps=2)), torch.randn(2, 8, 12, 8)
    generator = torch.Generator().manual_seed(1)
    batch = [BaseDataElement(gt_vehicles=PixelData(data=(torch.rand(
        1, 24, 16, generator=generator) > 0.8).byte())) for _ in range(2)]
    losses = head.loss(feats, batch)
    losses['loss_vehicles'].backward()
    assert list(losses) == ['loss_vehicles']
    assert all(p.grad is not None for p in head.parameters())
    with torch.no_grad():
        head.eval().predict(feats, batch)
        alone = head(feats[1:])
    assert batch[1].pred_vehicles.data.shape == (1, 24, 16)
    assert batch[1].decoder_passes == dict(seeds=1, steps=2, averaged=1)
    torch.testing.assert_close(batch[1].pred_vehicles.data, alone[0], rtol=1e-4,
                               atol=1e-5)
    assert 0 <= alone.min() and alone.max() <= 1


def boxes(*rows):
    return LiDARInstance3DBoxes(torch.tensor(rows), origin=(0.5, 0.5, 0.5))


def test_boxes_of_vehicles_cover_the_cells_whose_centre_lies_in_them():
    sample = dict(
        gt_bboxes_3d=boxes([3., 1., 0., 2., 1., 1., 0.], [-3., -1., 0., 2., 1., 1.,
                                                          np.pi / 2],
                           [0., 0., 0., 9., 9., 1., 0.]),
        gt_labels_3d=np.array([0, 4, 8]))  # car, trailer, pedestrian
    mask = task.DrawVehicles(FINE)(sample)['gt_vehicles']
    assert mask.shape == (1, 24, 16) and mask.dtype == np.uint8
    expected = np.zeros((24, 16), np.uint8)
    expected[16:20, 9:11] = 1  # x 2 to 4, y 0.5 to 1.5
    expected[5:7, 4:8] = 1  # turned: x -3.5 to -2.5, y -2 to 0
    np.testing.assert_array_equal(mask[0], expected)
    np.testing.assert_array_equal(sample['gt_vehicles_aug'], np.eye(4))


def test_frames_without_boxes_have_no_truth_and_tests_take_those_of_the_file():
    draw = task.DrawVehicles(FINE)
    assert draw({}) == {}
    found = dict(gt_bboxes_3d=boxes([0., 0., 0., 2., 2., 1., 0.]),
                 gt_labels_3d=np.array([0]))
    assert draw(dict(eval_ann_info=found))['gt_vehicles'].sum() == 16


def test_points_must_not_be_augmented_after_the_boxes_were_drawn():
    from ddp_perception.datasets.transforms import PackMapInputs
    sample = dict(gt_bboxes_3d=boxes([0., 0., 0., 2., 2., 1., 0.]),
                  gt_labels_3d=np.array([0]), lidar_aug_matrix=np.eye(4))
    sample = task.DrawVehicles(FINE)(sample)
    packed = PackMapInputs()(dict(sample))
    assert packed['data_samples'].gt_vehicles.data.sum() == 16
    sample['lidar_aug_matrix'] = np.diag([-1., 1., 1., 1.])
    with pytest.raises(ValueError, match='after gt_vehicles was drawn'):
        PackMapInputs()(sample)


def test_metric_pools_cells_over_frames():
    metric, batch = task.VehicleIoU(), []
    for predicted, true in (([1., 1., 0., 0.], [1, 0, 1, 0]), ([1.] * 4, [1] * 4)):
        batch.append(dict(pred_vehicles=dict(data=torch.tensor(predicted)),
                          gt_vehicles=dict(data=torch.tensor(true))))
    metric.process({}, batch)
    assert metric.evaluate(2)['vehicles/iou'] == pytest.approx(5 / 7)


def constant_map_iou(config, root):
    """IoU of the best map that is the same for every frame."""
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope

    from ddp_perception import compat
    from ddp_perception.cli.configuration import set_data_root
    compat.load_pickles_safely()
    cfg = Config.fromfile(config)
    set_data_root(cfg, root)
    init_default_scope('mmdet3d')
    truth = {}
    for split in ('train', 'val'):
        settings = dict(cfg.test_dataloader.dataset,
                        ann_file=f'nuscenes_infos_{split}.pkl')
        dataset = DATASETS.build(settings)
        truth[split] = np.stack([sample['data_samples'].gt_vehicles.data.numpy() > 0
                                 for sample in dataset])
    share, val = truth['train'].mean(0), truth['val']
    guesses = [share >= level for level in np.linspace(0.02, 0.5, 25)]
    return max((guess & val).sum() / (guess | val).sum() for guess in guesses)


@pytest.mark.slow
def test_it_finds_vehicles_in_unseen_scenes_through_the_command_line(
        command, repository_dir, tmp_path):
    config = repository_dir / 'examples' / 'bev_occupancy' / 'config.py'
    root = tmp_path / 'data' / 'demo_nuscenes'
    command('ddp_perception.cli', 'synthesize', 'nuscenes', root, '--scenes', 10,
            '--keyframes', 12, '--image-size', '352x198', '--lidar-sweeps', 4,
            '--azimuths', 720)
    command('ddp_perception.cli', 'prepare', 'nuscenes', root, '--version', 'v1.0-mini')
    command('ddp_perception.cli', 'train', config, '--work-dir', 'work', '--seed', 0)
    checkpoint = tmp_path / 'work' / 'epoch_1.pth'
    said = command('ddp_perception.cli', 'test', config, checkpoint, '--num-steps', 2,
                   '--show-dir', 'pictures', '--show-limit', 3, '--out', 'figures.json')
    assert '1 seed x 2 steps' in said
    iou = json.loads((tmp_path / 'figures.json').read_text())['metrics']['vehicles/iou']
    assert iou > 2 * constant_map_iou(config, root)
    assert len(list((tmp_path / 'pictures').glob('*.png'))) == 3

    said = command('ddp_perception.cli', 'predict', config, checkpoint, root, '--limit',
                   2, '--num-steps', 2, '--out', 'out')
    assert '2 vehicle maps and pictures in out' in said
    saved = sorted((tmp_path / 'out').glob('*.npz'))
    assert len(saved) == len(list((tmp_path / 'out').glob('*.png'))) == 2
    with np.load(saved[0]) as content:
        assert content['probabilities'].shape == (1, 128, 128)
        assert content['classes'].tolist() == ['vehicle']
        np.testing.assert_allclose(content['xbound'], (-51.2, 51.2, 0.8))
