"""Full-size map models: every tensor of a released file finds its place."""
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ddp_perception.checkpoints import convert_state, load_converted
from ddp_perception.registry import MODELS
from tests.checkpoints.official import random_state

CONFIGS = Path(__file__).resolve().parents[2] / 'projects/nuscenes_map_seg/configs'
DDP = {'bev_camera': 'ddp_cam_released_nus-map',
       'bev_fusion': 'ddp_fusion_released_nus-map'}
MIT = {'bev_camera': ('conv_cam_released_nus-map', 256),
       'bev_fusion': ('conv_fusion_released_nus-map', 512)}
DIFFUSION = ('embedding_table.', 'transform.', 'time_mlp.', 'heads.map.')
# Theirs, ours, and whether the kernel must turn.
SAMPLES = {
    'bev_camera': [
        ('encoders.camera.backbone.stages.2.downsample.reduction.weight',
         'img_backbone.stages.2.downsample.reduction.weight', False),
        ('encoders.camera.neck.fpn_convs.1.bn.running_var',
         'img_neck.fpn_convs.1.bn.running_var', False),
        ('decoder.backbone.0.0.conv1.weight', 'pts_backbone.0.0.conv1.weight', False)],
    'bev_fusion': [
        ('encoders.lidar.backbone.conv_out.0.weight',
         'pts_middle_encoder.conv_out.0.weight', True),
        ('encoders.lidar.backbone.encoder_layers.encoder_layer1.0.conv1.weight',
         'pts_middle_encoder.encoder_layers.encoder_layer1.0.conv1.weight', True),
        ('fuser.0.weight', 'fusion_layer.0.weight', False)]}


@cache
def build(name, timed=None):
    config = Config.fromfile(CONFIGS / f'{name}.py')
    init_default_scope('mmdet3d')
    if timed is not None:
        config.model.seg_head.decoder = dict(time_conditioning=timed)
    return MODELS.build(config.model)


def needs_spconv(name):
    if 'fusion' in name:
        pytest.importorskip('spconv', reason='spconv is not installed')


def mit_state(reference_dir, name, width):
    """A random file of MIT's discriminative model."""
    state = {key: value for key, value in random_state(reference_dir, name).items()
             if not key.startswith(DIFFUSION)}
    for conv in (0, 3):
        state[f'heads.map.classifier.{conv}.weight'] = torch.randn(width, width, 3, 3)
        for kind in ('weight', 'bias', 'running_mean', 'running_var'):
            state[f'heads.map.classifier.{conv + 1}.{kind}'] = torch.randn(width)
        state[f'heads.map.classifier.{conv + 1}.num_batches_tracked'] = torch.tensor(7)
    state['heads.map.classifier.6.weight'] = torch.randn(6, width, 1, 1)
    state['heads.map.classifier.6.bias'] = torch.randn(6)
    return state


def time_weights():
    prefix = 'heads.map.encoder.layers.{}.time_mlp.1.'
    return {**{prefix.format(i) + 'weight': torch.randn(512, 1024) for i in range(5)},
            **{prefix.format(i) + 'bias': torch.randn(512) for i in range(5)}}


def check_samples(state, model, samples):
    loaded = model.state_dict()
    for theirs, ours, turned in samples:
        value = state[theirs]
        expected = value.permute(4, 0, 1, 2, 3) if turned else value
        if loaded[ours].shape == value.shape:  # mmcv's sparse convolutions
            expected = value
        assert torch.equal(loaded[ours], expected), theirs


@pytest.mark.parametrize('name', DDP)
def test_released_map_model_converts_completely(name, reference_dir):
    needs_spconv(name)
    state, model = random_state(reference_dir, name), build(DDP[name])
    conversion = convert_state(state, model)
    assert conversion.complete
    load_converted(model, conversion)
    assert len(conversion.rows) == len(state)
    dropped = {row.source for row in conversion.rows if row.target is None}
    assert dropped == {key for key in state if key.startswith('time_mlp.')
                       or key.endswith(('.dx', '.bx', '.nx', '.frustum'))}
    assert all(row.note for row in conversion.rows if row.target is None)
    check_samples(state, model, [
        *SAMPLES[name],
        ('transform.conv.weight', 'seg_head.diffusion.denoiser.fuse.weight', False),
        ('heads.map.encoder.layers.4.norms.1.bias',
         'seg_head.diffusion.denoiser.decoder.layers.4.norm2.bias', False)])


@pytest.mark.parametrize('name', MIT)
def test_mit_map_model_converts_completely(name, reference_dir):
    needs_spconv(name)
    config, width = MIT[name]
    state, model = mit_state(reference_dir, name, width), build(config)
    conversion = convert_state(state, model)
    assert conversion.complete
    load_converted(model, conversion)
    check_samples(state, model, [*SAMPLES[name], (
        'heads.map.classifier.4.running_mean', 'seg_head.classifier.4.running_mean',
        False)])


def test_mit_lidar_model_converts_completely(reference_dir):
    pytest.importorskip('spconv', reason='spconv is not installed')
    state = {key: value for key, value in mit_state(
        reference_dir, 'bev_fusion', 512).items()
        if not key.startswith(('encoders.camera.', 'fuser.'))}
    model = build('conv_lidar_8xb4-20e_nus-map')
    conversion = convert_state(state, model)
    assert conversion.complete and not any(
        row.target is None for row in conversion.rows)
    load_converted(model, conversion)
    check_samples(state, model, SAMPLES['bev_fusion'][:2])


def test_detection_head_beside_the_map_head_is_left_out(reference_dir):
    state = mit_state(reference_dir, 'bev_camera', 256)
    state['heads.object.heatmap_head.0.weight'] = torch.randn(3, 3)
    conversion = convert_state(state, build('conv_cam_released_nus-map'))
    assert conversion.complete
    assert [row.source for row in conversion.rows if row.note == 'detection head'] == [
        'heads.object.heatmap_head.0.weight']


def test_time_weights_of_layers_convert_if_the_model_knows_the_time(reference_dir):
    extra = time_weights()
    state = {**random_state(reference_dir, 'bev_camera'), **extra}
    model = build(DDP['bev_camera'], timed=True)
    conversion = convert_state(state, model)
    assert conversion.complete
    load_converted(model, conversion)
    check_samples(state, model, [
        ('heads.map.encoder.layers.3.time_mlp.1.weight',
         'seg_head.diffusion.denoiser.decoder.layers.3.time.weight', False),
        ('time_mlp.0.weights',
         'seg_head.diffusion.denoiser.time_embedding.frequencies', False)])
    # The released configuration ignores them, as the released code does.
    plain = convert_state(state, build(DDP['bev_camera']))
    assert plain.complete
    assert {row.source for row in plain.rows if 'time_conditioning=True' in row.note
            } == set(extra)


def test_model_that_knows_the_time_refuses_a_file_that_does_not(reference_dir):
    state = random_state(reference_dir, 'bev_camera')
    conversion = convert_state(state, build(DDP['bev_camera'], timed=True))
    assert not conversion.complete
    assert 'time_conditioning=False' in conversion.problems[0]
    with pytest.raises(ValueError, match='incomplete'):
        load_converted(build(DDP['bev_camera']), conversion)


def test_mits_camera_head_needs_its_own_width(reference_dir):
    state = mit_state(reference_dir, 'bev_camera', 256)
    conversion = convert_state(state, build('conv_cam_8xb4-20e_nus-map'))
    assert ('256 channels in the file, 512 in the model: set channels'
            in conversion.problems[0])


@pytest.mark.parametrize('layout', ['mmdet3d', 'mit'])
def test_detection_checkpoint_initialises_the_shared_parts(layout, reference_dir):
    model = build(MIT['bev_camera'][0])
    if layout == 'mit':
        state = mit_state(reference_dir, 'bev_camera', 256)
        state = {key: value for key, value in state.items() if 'heads.map' not in key}
        state['heads.object.heatmap_head.0.weight'] = torch.randn(3, 3)
    else:
        state = {name: torch.randn(value.shape) if value.is_floating_point()
                 else torch.zeros_like(value)
                 for name, value in model.state_dict().items()
                 if not name.startswith('seg_head.')}
        state['bbox_head.heatmap_head.0.weight'] = torch.randn(3, 3)
        # Its view transform also sees LiDAR depth.
        del state['view_transform.depthnet.bias']
        state['view_transform.depthnet.weight'] = torch.randn(198, 320, 3, 3)
        state['view_transform.dtransform.0.weight'] = torch.randn(8, 1, 1, 1)
    conversion = convert_state(state, model)
    assert not conversion.problems and not conversion.complete
    left_out = {row.source: row.note for row in conversion.rows if row.target is None}
    assert left_out[[key for key in state if 'heatmap_head' in key][0]] == \
        'detection head'
    if layout == 'mmdet3d':
        assert left_out['view_transform.dtransform.0.weight'] == \
            'this model has no such part'
        assert '(198, 256, 1, 1) in the model' in \
            left_out['view_transform.depthnet.weight']
    heads = {name.split('.')[0] for name in conversion.missing}
    assert heads <= {'seg_head', 'view_transform'} and 'seg_head' in heads
    assert torch.equal(conversion.state['img_neck.fpn_convs.0.conv.weight'],
                       state['img_neck.fpn_convs.0.conv.weight' if layout == 'mmdet3d'
                             else 'encoders.camera.neck.fpn_convs.0.conv.weight'])
