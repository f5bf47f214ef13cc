"""Small models of every kind that can be exported."""
import torch
from mmengine.config import ConfigDict

from ddp_perception.registry import MODELS
from tests.bevfusion import tiny

DECODER = dict(channels=8, num_layers=1, num_heads=2, num_points=2)
SAMPLER = dict(num_steps=2)
IMAGE = (32, 48)


def lively(config):
    """Build a model in which every part counts."""
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith(('sampling_offsets.weight', 'attention_weights.weight')):
                value.normal_(0, .3)  # they start as zeros
            elif 'time.' in name or name.endswith('table.weight'):
                value.normal_()
    return model


def map_head(type='ddp.MapSegHead', output_grid=((-12, 12, 1.), (-14, 14, 1.)),
             **changes):
    head = dict(type=type, classes=['road', 'crossing', 'divider'],
                output_grid=output_grid)
    if type == 'ddp.ConvMapHead':
        return head
    return {**head, 'decoder': DECODER, 'diffusion': dict(scale=1.), 'sampler': SAMPLER,
            **changes}


def camera(depth_aided=False, **head):
    return lively({**tiny.camera_config(depth_aided), 'seg_head': map_head(**head)})


def lidar(sparse=False, **head):
    return lively({**tiny.lidar_config(sparse), 'seg_head': map_head(**head)})


def fusion(sparse=False, depth_aided=False, **head):
    return lively({**tiny.fusion_config(sparse, depth_aided),
                   'seg_head': map_head(**head)})


def prior(**head):
    return lively(dict(
        type='ddp.MapPriorSegmentor', prior_grid=[[-8, 8, .5], [-10, 10, .5]],
        encoder=dict(type='ddp.BEVUNet', in_channels=3, out_channels=8),
        seg_head=map_head(output_grid=[[-6, 6, .5], [-8, 8, .5]], **head)))


def _segmentor(kind, **head):
    return lively(dict(
        type=f'ddp.{kind}', test_cfg=ConfigDict(mode='whole'),
        data_preprocessor=dict(
            type='mmseg.SegDataPreProcessor', mean=[120., 115., 100.],
            std=[58., 57., 56.], bgr_to_rgb=True),
        backbone=dict(type='ddp.TimmBackbone', model_name='test_resnet',
                      out_indices=(1, 2, 3)),
        decode_head={'in_channels': 48, 'in_index': 1, 'decoder': DECODER,
                     'sampler': SAMPLER, **head}))


def segmentation(**head):
    return _segmentor('EncoderDecoder', type='ddp.SegHead', num_classes=5, **head)


def depth(**head):
    return _segmentor('DepthEstimator', type='ddp.DepthHead', min_depth=1e-3,
                      max_depth=80., **head)
