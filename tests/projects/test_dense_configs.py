"""Configurations of segmentation and depth: they build, at the published size."""
import functools
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import (
    DATASETS,
    MODELS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    init_default_scope,
)
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

PROJECTS = Path(__file__).resolve().parents[2] / 'projects'
FILES = {path.stem: path for project in ('camvid_seg', 'cityscapes_seg', 'kitti_depth')
         for path in (PROJECTS / project / 'configs').glob('*.py')}
DEMOS = ['demo_cityscapes_cpu', 'demo_kitti_cpu']


def read(name):
    init_default_scope('mmseg')
    return Config.fromfile(FILES[name])


@pytest.fixture
def meta_device(monkeypatch):
    """Build models without storage: their parameters have a shape only."""
    # Drop-path rates are read from a linspace, which needs values.
    monkeypatch.setattr(torch, 'linspace',
                        functools.partial(torch.linspace, device='cpu'))
    with torch.device('meta'):
        yield


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize('name', sorted(FILES))
def test_config_builds(name, meta_device, tmp_path):
    cfg = read(name)
    model = MODELS.build(cfg.model)
    model = getattr(model, 'module', model)
    heads = [model.decode_head]
    if model.with_auxiliary_head:
        heads.append(model.auxiliary_head)
    with torch.device('cpu'):
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            dataset = DATASETS.build(dict(loader.dataset, lazy_init=True))
            if cfg.model.type == 'ddp.EncoderDecoder':
                assert {head.num_classes for head in heads} \
                    == {len(dataset.metainfo['classes'])}
        for step in cfg.get('tta_pipeline', []):
            TRANSFORMS.build(step)
        for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
            if 'output_dir' in evaluator:
                evaluator.output_dir = str(tmp_path)
            Evaluator(evaluator)
    assert cfg.crop_size == tuple(cfg.model.get('module', cfg.model)
                                  .data_preprocessor.size)


@pytest.mark.parametrize('model', ['convnext_t', 'convnext_s', 'convnext_b',
                                   'convnext_l', 'swin_t'])
def test_segmentors_have_the_published_number_of_parameters(
        reference_dir, model, meta_device):
    with open(reference_dir / 'param_flops.json') as file:
        expected = json.load(file)['models'][model]['parameters']
    name = model.replace('_', '-')
    segmentor = MODELS.build(read(
        f'ddp_{name}_8xb2-160k_ade20k-512x512' if model == 'swin_t'
        else f'ddp_{name}_4xb4-160k_cityscapes-512x1024').model)
    assert count(segmentor) == expected['total']
    for part in ('backbone', 'neck', 'auxiliary_head'):
        assert count(getattr(segmentor, part)) == expected[part]
    denoiser = segmentor.decode_head.diffusion.denoiser
    assert count(denoiser.fuse) == expected['transform']
    assert count(denoiser.time_embedding) == expected['time_mlp']
    assert count(segmentor.decode_head.diffusion.codec) == expected['embedding_table']
    assert count(denoiser.decoder) + count(denoiser.predictor) \
        == expected['decode_head']


def test_released_depth_model_has_the_published_number_of_parameters(
        reference_dir, meta_device):
    with open(reference_dir / 'official_keys_depth_kitti_swin_t.json') as file:
        meta = json.load(file)['meta']
    model = MODELS.build(read('ddp_swin-t_released_kitti-352x704').model)
    # The original's time embedding is there but nothing reads it.
    assert count(model) == meta['n_parameters'] - meta['parameters']['time_mlp']


@pytest.mark.parametrize(('name', 'at', 'expected'), [
    # Linear warm-up from a share of it, times the decay over the whole training.
    ('ddp_swin-t_8xb2-38k_kitti-352x704', 0, 1e-7),
    ('ddp_swin-t_8xb2-5k_kitti-352x704_aligned', 2500, 0.5e-5),
    ('ddp_convnext-t_4xb4-5k_cityscapes-512x1024_aligned', 0, 6e-12),
    ('ddp_convnext-t_4xb4-5k_cityscapes-512x1024_aligned', 750,
     6e-6 * (750 / 1499) * (1 - 750 / 5000)),
    ('ddp_convnext-t_4xb4-5k_cityscapes-512x1024_aligned', 2500, 3e-6)])
def test_learning_rates_follow_the_published_recipe(name, at, expected):
    cfg = read(name)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))],
                                lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [PARAM_SCHEDULERS.build(dict(item, optimizer=optimizer))
                  for item in cfg.param_scheduler]
    for _ in range(at):
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert optimizer.param_groups[0]['lr'] == pytest.approx(expected, rel=1e-2)


def batch(cfg, size, count=2):
    """Random images with truth of one data set, not alike."""
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, *size, generator=draw) * 255
    samples = []
    for _ in range(count):
        sample = SegDataSample(metainfo=dict(
            img_shape=size, ori_shape=size, pad_shape=size, img_path='street.png'))
        if cfg.model.type == 'ddp.DepthEstimator':
            depth = 1 + 60 * torch.rand(1, *size, generator=draw)
            depth *= torch.rand(1, *size, generator=draw) > 0.8
            sample.gt_depth_map = PixelData(data=depth)
        else:
            labels = torch.randint(0, 19, (1, *size), generator=draw)
            labels[:, :4] = 255
            sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    return dict(inputs=list(images), data_samples=samples)


def result(sample, cfg):
    field = 'pred_depth_map' if cfg.model.type == 'ddp.DepthEstimator' else 'seg_logits'
    return sample.get(field).data


@pytest.mark.parametrize('name', DEMOS)
def test_demo_models_train_and_every_parameter_learns(name):
    cfg = read(name)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    data = model.data_preprocessor(batch(cfg, cfg.crop_size), training=True)
    losses = model(**data, mode='loss')
    sum(loss for key, loss in losses.items() if 'loss' in key).backward()
    assert [key for key, parameter in model.named_parameters()
            if parameter.grad is None] == []


def randomised(cfg):
    """A model in evaluation mode whose head does not start almost constant."""
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    head = getattr(model, 'module', model).decode_head
    torch.nn.init.normal_(head.diffusion.denoiser.predictor.weight, std=0.3)
    torch.nn.init.constant_(head.diffusion.denoiser.predictor.bias,
                            10. if 'Depth' in type(head).__name__ else 0.)
    return model


@torch.no_grad()
@pytest.mark.parametrize('name', DEMOS)
@pytest.mark.parametrize('mode', ['whole', 'windows'])
def test_a_batch_gives_each_image_what_it_gets_alone(name, mode):
    cfg = read(name)
    cfg.model.test_cfg = dict(mode='whole')
    if mode == 'windows':
        cfg.model.test_cfg = dict(
            mode='slide_flip' if cfg.model.type == 'ddp.DepthEstimator' else 'slide',
            crop_size=(32, 64), stride=(32, 32))
    model = randomised(cfg)
    together = model.test_step(batch(cfg, (32, 96)))
    data = batch(cfg, (32, 96))
    alone = model.test_step({key: value[1:] for key, value in data.items()})
    torch.testing.assert_close(result(together[1], cfg), result(alone[0], cfg),
                               rtol=1e-3, atol=1e-4)
    assert (result(together[0], cfg) - result(together[1], cfg)).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize('average', ['last', 'all'])
def test_flip_and_scales_go_through_mmsegs_own_averaging(average):
    cfg = read('demo_cityscapes_cpu')
    cfg.model.decode_head.sampler = dict(num_steps=2, average=average)
    single = cfg.model
    cfg.model = dict(type='SegTTAModel', module=single)
    tta = randomised(cfg)
    images, flipped, small = (batch(cfg, (32, 96), 1) for _ in range(3))
    flipped['inputs'] = [image.flip(2) for image in flipped['inputs']]
    flipped['data_samples'][0].set_metainfo(
        dict(flip=True, flip_direction='horizontal'))
    small['inputs'] = [torch.nn.functional.interpolate(image[None], (32, 64))[0]
                       for image in small['inputs']]
    small['data_samples'][0].set_metainfo(dict(img_shape=(32, 64), pad_shape=(32, 64)))
    views = [images, flipped, small]
    merged = tta.test_step({key: [view[key] for view in views]
                            for key in ('inputs', 'data_samples')})[0]
    probabilities = [result(tta.module.test_step(view)[0], cfg).softmax(0)
                     for view in views]
    labels = torch.stack(probabilities).mean(0).argmax(0)
    assert torch.equal(merged.pred_sem_seg.data.squeeze(0), labels)
    assert len(labels.unique()) > 1


@torch.no_grad()
def test_flip_test_of_depth_is_the_mean_of_both_views():
    cfg = read('demo_kitti_cpu')
    model = randomised(cfg)
    data, mirrored = batch(cfg, (32, 96)), batch(cfg, (32, 96))
    mirrored['inputs'] = [image.flip(2) for image in data['inputs']]
    both = [result(sample, cfg).clone() for sample in model.test_step(data)]
    model.test_cfg.mode = 'whole'
    one, other = model.test_step(batch(cfg, (32, 96))), model.test_step(mirrored)
    for index in range(2):
        expected = (result(one[index], cfg) + result(other[index], cfg).flip(2)) / 2
        torch.testing.assert_close(both[index], expected, rtol=1e-4, atol=1e-4)
    assert (result(one[0], cfg) - both[0]).abs().max() > 1e-3
