"""Models of the released configurations with other sizes, and random files."""
import json

import torch
from mmengine.registry import init_default_scope

from ddp_perception.registry import MODELS


def random_state(folder, name, seed=0):
    """Random tensors with the names, shapes and types of a released model."""
    content = json.loads((folder / f'official_keys_{name}.json').read_text())
    integers = set(content['meta'].get('int64_keys', ()))
    draw = torch.Generator().manual_seed(seed)
    return {key: torch.randint(0, 9, shape, generator=draw) if key in integers
            or key.endswith('num_batches_tracked')
            else torch.randn(shape, generator=draw)
            for key, shape in content['state_dict'].items()}


def build_tiny(settings):
    """Build a model of this package with the sizes of a released config."""
    init_default_scope('mmseg')
    head = settings['decode_head']
    encoder = head['encoder']
    layers = encoder['transformerlayers']
    depth = 'max_depth' in head
    decode_head = dict(
        in_channels=head['in_channels'][0], in_index=head['in_index'][0],
        decoder=dict(
            channels=head['channels'], num_layers=encoder['num_layers'],
            num_heads=layers['attn_cfgs']['num_heads'],
            feedforward_channels=layers['ffn_cfgs']['feedforward_channels'],
            time_conditioning=not depth),
        diffusion=dict(scale=settings['bit_scale']),
        sampler=dict(num_steps=settings['timesteps']))
    if depth:
        decode_head.update(type='ddp.DepthHead', min_depth=head['min_depth'],
                           max_depth=head['max_depth'], scale_up=head['scale_up'])
    else:
        decode_head.update(type='ddp.SegHead', num_classes=head['num_classes'])
        if settings.get('accumulation'):
            decode_head['sampler']['average'] = 'all'
    fpn, merging = settings['neck']
    model = dict(
        type='mmseg.DepthEstimator' if depth else 'mmseg.EncoderDecoder',
        data_preprocessor=None, backbone=_backbone(settings['backbone']),
        neck=[{**fpn, 'type': 'mmdet.FPN'},
              {**merging, 'type': 'ddp.MultiStageMerging'}],
        decode_head=decode_head, train_cfg=dict(), test_cfg=dict(mode='whole'))
    if 'auxiliary_head' in settings:
        model['auxiliary_head'] = {**settings['auxiliary_head'],
                                   'type': 'mmseg.FCNHead'}
    return MODELS.build(model).eval()


def _backbone(settings):
    if settings['type'] == 'mmcls.ConvNeXt':
        arch = settings['arch']
        return dict(type='ddp.TimmBackbone', model_name='convnext_tiny',
                    out_indices=settings['out_indices'], out_norms=True,
                    downsample_eps=1e-5,
                    model_options=dict(dims=arch['channels'], depths=arch['depths']))
    kept = ('embed_dims', 'depths', 'num_heads', 'window_size', 'mlp_ratio',
            'out_indices', 'patch_norm', 'qkv_bias')
    return dict(type='mmdet.SwinTransformer', **{key: settings[key] for key in kept})
