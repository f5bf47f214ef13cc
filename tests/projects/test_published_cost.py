"""Parameters and multiplications of the full-size models, as published code has.

Counted without any memory, on torch's meta device.
"""
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode

from ddp_perception.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'projects/cityscapes_seg/configs'
NAMES = {**{f'convnext_{size}': f'ddp_convnext-{size}_4xb4-160k_cityscapes-512x1024'
            for size in 'tsbl'},
         'swin_t': 'ddp_swin-t_8xb2-160k_ade20k-512x512'}


def build(name):
    config = Config.fromfile(CONFIGS / f'{NAMES[name]}.py')
    init_default_scope(config.default_scope)
    if name.startswith('swin'):  # mmdet's Swin reads values while it is built
        return MODELS.build(config.model).eval().to('meta')
    config.model.backbone.pretrained = False
    with torch.device('meta'):
        return MODELS.build(config.model).eval()


@torch.no_grad()
def products(function, *arguments):
    """Multiplications of a call and what it returned."""
    with FlopCounterMode(display=False) as counter:
        out = function(*arguments)
    return counter.get_total_flops() // 2, out


@pytest.mark.parametrize('name', NAMES)
def test_model_costs_what_the_published_one_does(name, reference_dir):
    published = json.loads((reference_dir / 'param_flops.json').read_text())
    published = published['models'][name]
    parameters, macs = published['parameters'], published['macs']
    model = build(name)
    counts = {part: sum(x.numel() for x in module.parameters())
              for part, module in model.named_children()
              if part != 'data_preprocessor'}
    assert counts == dict(
        backbone=parameters['backbone'], neck=parameters['neck'],
        auxiliary_head=parameters['auxiliary_head'], decode_head=sum(
            parameters[part] for part in ('transform', 'time_mlp', 'embedding_table',
                                          'decode_head')))
    assert sum(counts.values()) == parameters['total']

    image = torch.zeros(1, 3, *published['input_size'], device='meta')
    backbone, feats = products(model.backbone, image)
    # Swin's attention products run inside one kernel here in some versions.
    assert backbone in (macs['backbone'], macs['backbone_conv_linear_only'])
    neck, merged = products(model.neck, feats)
    assert neck == macs['neck']

    diffusion = model.decode_head.diffusion
    once, condition = products(diffusion.denoiser.condition, merged[0])
    noise = torch.zeros(1, 256, *merged[0].shape[-2:], device='meta')
    level = diffusion.schedule.level(torch.ones((), device='meta'))
    step, _ = products(diffusion.denoiser, noise, level, condition)
    layer = macs['decoder_per_layer']
    half_of_fuse = macs['transform_per_step'] // 2
    # What does not change from step to step is done once, and the weighted
    # sum of samples is no matrix product.
    assert step == (macs['one_step_total'] - half_of_fuse - published['decoder_layers']
                    * layer['bilinear_sampling_and_weighting'])
    assert once == half_of_fuse + published['decoder_layers'] * (
        layer['sampling_offsets'] + layer['attention_weights'])
