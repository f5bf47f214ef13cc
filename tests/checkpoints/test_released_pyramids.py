"""Full-size segmentation and depth models of released files."""
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ddp_perception.checkpoints import convert_state, load_converted
from ddp_perception.registry import MODELS
from tests.checkpoints.official import random_state

PROJECTS = Path(__file__).resolve().parents[2] / 'projects'
SEGMENTATION = PROJECTS / 'cityscapes_seg/configs'
CONFIGS = {
    'cityscapes_convnext_t':
        SEGMENTATION / 'ddp_convnext-t_4xb4-160k_cityscapes-512x1024.py',
    'ade_swin_t': SEGMENTATION / 'ddp_swin-t_8xb2-160k_ade20k-512x512.py',
    'depth_kitti_swin_t':
        PROJECTS / 'kitti_depth/configs/ddp_swin-t_released_kitti-352x704.py',
}
SAMPLES = {
    'cityscapes_convnext_t': {
        'backbone.downsample_layers.0.1.bias': 'backbone.model.stem_1.bias',
        'backbone.downsample_layers.3.1.weight':
            'backbone.model.stages_3.downsample.1.weight',
        'backbone.stages.2.8.pointwise_conv2.weight':
            'backbone.model.stages_2.blocks.8.mlp.fc2.weight',
        'backbone.norm2.weight': 'backbone.norm2.weight',
        'auxiliary_head.convs.0.bn.running_var': None},
    'ade_swin_t': {
        'backbone.stages.1.downsample.norm.weight': None,
        'neck.1.down.conv.weight': None,
        'embedding_table.weight': 'decode_head.diffusion.codec.table.weight',
        'decode_head.encoder.layers.5.time_mlp.1.bias':
            'decode_head.diffusion.denoiser.decoder.layers.5.time.bias'},
    'depth_kitti_swin_t': {
        'down.conv.weight': 'decode_head.diffusion.denoiser.fuse.weight',
        'decode_head.conv_depth.weight':
            'decode_head.diffusion.denoiser.predictor.weight',
        'backbone.norm3.bias': None},
}


@cache
def build(path):
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    model = config.model
    if 'pretrained' in model.backbone:
        model.backbone.pretrained = False
    return MODELS.build(model)


@pytest.mark.parametrize('name', CONFIGS)
def test_released_model_converts_completely(name, reference_dir):
    state, model = random_state(reference_dir, name), build(CONFIGS[name])
    conversion = convert_state(state, model)
    assert conversion.problems == [] and conversion.complete
    load_converted(model, conversion)
    assert len(conversion.rows) == len(state)
    dropped = {row.source for row in conversion.rows if row.target is None}
    assert dropped == ({key for key in state if key.startswith('time_mlp.')}
                       if 'depth' in name else set())
    loaded = model.state_dict()
    for theirs, ours in SAMPLES[name].items():
        assert torch.equal(loaded[ours or theirs], state[theirs]), theirs


@pytest.mark.parametrize(('name', 'config', 'words'), [
    ('depth_kitti_swin_t', 'ade_swin_t', ['DDP depth', 'a segmentation model']),
    ('ade_swin_t', 'depth_kitti_swin_t', ['DDP segmentation', 'a depth model']),
    ('cityscapes_convnext_t', 'ade_swin_t',
     ['19 classes, the model 150', 'patch_embed']),
])
def test_another_models_file_is_refused(name, config, words, reference_dir):
    conversion = convert_state(random_state(reference_dir, name),
                               build(CONFIGS[config]))
    assert not conversion.complete
    text = '\n'.join(conversion.problems)
    assert all(word in text for word in words), text


def test_another_size_of_the_backbone_is_named(reference_dir):
    state = random_state(reference_dir, 'ade_swin_t')
    for key in list(state):
        if key.startswith('backbone.stages.2.blocks.5.'):
            for block in (6, 7):
                state[key.replace('blocks.5.', f'blocks.{block}.')] = state[key]
    conversion = convert_state(state, build(CONFIGS['ade_swin_t']))
    assert '8 blocks in the file, 6 in the model' in conversion.problems[0]


def test_half_precision_becomes_the_models(reference_dir):
    state = {key: value.half() if value.is_floating_point() else value
             for key, value in random_state(reference_dir, 'ade_swin_t').items()}
    conversion = convert_state(state, build(CONFIGS['ade_swin_t']))
    assert conversion.complete
    assert conversion.state['neck.1.down.conv.weight'].dtype == torch.float32
    assert any(row.note == 'float16 to float32' for row in conversion.rows)
