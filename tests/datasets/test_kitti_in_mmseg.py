"""KITTI depth through mmseg's estimator, runner and visualiser."""
import cv2
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.runner import Runner
from torch import nn

from data_tools.prepare_kitti import write_splits

from .tiny_kitti import write_tiny_kitti

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='ddp.LoadKITTIDepth'),
    dict(type='ddp.KBCrop', height=40, width=56),
    dict(type='PackSegInputs'),
]


class Identity(nn.Module):
    """The image as the features."""

    def forward(self, image):
        return [image]


class DepthOfRamp(nn.Module):
    """Read off the depth that `ramp` gave the place its colours name."""

    align_corners, num_classes, out_channels = False, 1, 1

    def predict(self, feats, metas, test_cfg):
        row, column = feats[0][:, 0] / 2, feats[0][:, 1] / 2
        return (1 + row / 4 + column / 64)[:, None]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = write_tiny_kitti(tmp_path_factory.mktemp('kitti'), frames=1)
    for path in (root / 'input').rglob('*.png'):  # no columns rolled
        image = cv2.imread(str(path))
        image[..., 1] = image[:, image[0, :, 1].argsort(), 1]
        cv2.imwrite(str(path), image)
    write_splits(root, val_share=.6)
    return root


def test_predictions_and_truth_meet_on_the_crop(root, tmp_path):
    pictures = tmp_path / 'pictures'
    runner = Runner(
        model=dict(
            type='mmseg.DepthEstimator', backbone=dict(type=Identity),
            decode_head=dict(type=DepthOfRamp),
            data_preprocessor=dict(
                type='mmseg.SegDataPreProcessor', seg_pad_val=0,
                test_cfg=dict(size_divisor=32)),
            test_cfg=ConfigDict(mode='whole')),
        work_dir=str(tmp_path), default_scope='mmseg', log_level='WARNING',
        test_dataloader=dict(
            batch_size=2, num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='ddp.KITTIDepthDataset', data_root=str(root),
                         ann_file='kitti_val.txt', pipeline=PIPELINE,
                         test_mode=True)),
        test_cfg=dict(type='TestLoop'),
        test_evaluator=dict(type='ddp.KITTIDepthMetric',
                            output_dir=str(tmp_path / 'export')),
        default_hooks=dict(visualization=dict(
            type='SegVisualizationHook', draw=True, interval=1)),
        visualizer=dict(type='SegLocalVisualizer', save_dir=str(pictures),
                        vis_backends=[dict(type='LocalVisBackend')]),
        experiment_name='kitti')
    figures = runner.test()
    # Exact, as files hold multiples of 1/64 m: the crop is the same in
    # image, truth and prediction, and padding was removed.
    assert figures['d1'] == 1 and figures['rmse'] == 0
    exported = sorted((tmp_path / 'export').iterdir())
    assert len(exported) == 2
    assert all(cv2.imread(str(path), -1).shape == (40, 56)
               for path in exported)
    drawn = list(pictures.rglob('*.png'))
    # Image above depth, truth left of prediction.
    assert drawn and cv2.imread(str(drawn[0])).shape == (88, 120, 3)


def test_padding_and_sizes_of_training_batches(root):
    from ddp_perception.registry import DATASETS, MODELS
    data = DATASETS.build(dict(
        type='ddp.KITTIDepthDataset', data_root=str(root),
        ann_file='kitti_val.txt', pipeline=[
            *PIPELINE[:3], dict(type='ddp.DepthRandomCrop',
                                crop_size=(32, 48)),
            dict(type='mmseg.PackSegInputs')]))
    preprocess = MODELS.build(dict(type='mmseg.SegDataPreProcessor',
                                   size=(36, 64), seg_pad_val=0))
    batch = preprocess({
        key: [data[i][key] for i in range(2)]
        for key in ('inputs', 'data_samples')}, training=True)
    assert batch['inputs'].shape == (2, 3, 36, 64)
    for sample in batch['data_samples']:
        depth = sample.gt_depth_map.data
        assert depth.shape == (1, 36, 64)
        assert (depth[:, :32, :48] > 0).any()
        assert not depth[:, 32:].any() and not depth[..., 48:].any()
        assert torch.isfinite(depth).all()
