"""Heads and detectors on a GPU against the same on the CPU."""
import copy

import pytest
import torch

from ddp_perception.ops import gather_sum_backend
from tests.bevfusion import tiny
from tests.heads import test_depth_head, test_map_seg_head, test_seg_head

pytestmark = pytest.mark.gpu
HEADS = {'classes': test_seg_head, 'maps': test_map_seg_head, 'depth': test_depth_head}
OPTIONS = {
    'three steps': dict(sampler=dict(num_steps=3)),
    'seeds, DDPM': dict(sampler=dict(num_steps=3, num_seeds=2, method='ddpm')),
    'part of the cells': dict(sampler=dict(num_steps=3, refine_share=0.5)),
    'scale 1, unrolled': dict(diffusion=dict(scale=1., recipe='unrolled'),
                              sampler=dict(num_steps=3)),
}
DETECTORS = {
    'camera': tiny.camera_config(), 'camera + depth': tiny.camera_config(True),
    'pillars': tiny.lidar_config(), 'camera + pillars': tiny.fusion_config(),
}


def build(module, **options):
    head = module.build(**options)
    for layer in head.diffusion.denoiser.decoder.layers:
        torch.nn.init.normal_(layer.attn.sampling_offsets.weight, std=0.3)
    return head


def features(module, device):
    found = module.FEATS
    return found.to(device) if isinstance(found, torch.Tensor) \
        else [part.to(device) for part in found]


def predictions(head, module, device):
    feats = features(module, device)
    with torch.no_grad():
        return head.to(device).prediction_steps(
            feats if isinstance(feats, torch.Tensor) else feats[0])


@pytest.mark.parametrize('option', OPTIONS)
@pytest.mark.parametrize('name', HEADS)
def test_a_head_predicts_what_it_does_on_the_cpu(gpu, name, option):
    head = build(HEADS[name], **OPTIONS[option])
    theirs = predictions(head, HEADS[name], 'cpu')
    ours = predictions(head, HEADS[name], gpu)
    assert len(ours) == 3 and all(part.device.type == gpu for part in ours)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('backend', ['embedding_bag', 'gather', 'triton'])
def test_the_backend_does_not_change_a_prediction(gpu, backend):
    if gpu == 'cpu' and backend == 'triton':
        pytest.skip('the kernels need a GPU')
    head = build(test_seg_head, **OPTIONS['three steps'])
    theirs = predictions(head, test_seg_head, 'cpu')[-1]
    with gather_sum_backend(backend):
        ours = predictions(head, test_seg_head, gpu)[-1]
    torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('amp', [None, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('recipe', ['published', 'on_policy', 'unrolled'])
@pytest.mark.parametrize('name', HEADS)
def test_a_head_learns(gpu, name, recipe, amp):
    module = HEADS[name]
    head = module.build(diffusion=dict(scale=1., recipe=recipe)).to(gpu).train()
    optimiser = torch.optim.AdamW(head.parameters(), 1e-2)
    feats, samples = features(module, gpu), module.samples()
    further = () if name == 'maps' else ({}, )
    values = []
    for _ in range(12):
        torch.manual_seed(0)
        with torch.autocast(gpu, amp or torch.bfloat16, enabled=amp is not None):
            losses = head.loss(feats, samples, *further)
            loss = sum(value for key, value in losses.items() if 'loss' in key)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert all(torch.isfinite(parameter.grad).all() for parameter in head.parameters()
               if parameter.grad is not None)
    assert values[-1] < values[0]


def batch_on(device, *seeds):
    inputs, samples = tiny.batch(*seeds)
    return {key: [part.to(device) for part in value] if isinstance(value, list)
            else value.to(device) for key, value in inputs.items()}, [
                sample.to(device) for sample in samples]


@pytest.mark.parametrize('name', DETECTORS)
def test_a_detector_predicts_and_learns_as_on_the_cpu(gpu, name):
    model = tiny.build(copy.deepcopy(DETECTORS[name]), train=True)
    results = []
    for device in ('cpu', gpu):
        inputs, samples = batch_on(device, 1, 2)
        model.to(device)
        with torch.no_grad():
            maps = model.eval()(inputs, samples, mode='tensor')['map']
        model.zero_grad()
        total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
        total.backward()
        results.append([part.detach().cpu() for part in (
            maps, total, *(p.grad for p in model.parameters() if p.grad is not None))])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3,
                                   atol=2e-3 * max(1e-3, other.abs().max().item()))


def test_sparse_convolutions_of_mmcv_learn_and_do_not_mix_images(gpu):
    """They have no form for CPUs to compare with."""
    if gpu == 'cpu':
        pytest.skip('the operators need a GPU')
    model = tiny.build(tiny.fusion_config(sparse=True), train=True).to(gpu)
    inputs, samples = batch_on(gpu, 1, 2)
    total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    total.backward()
    assert total.isfinite() and all(
        p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model.eval()
    with torch.no_grad():
        together = model(inputs, samples, mode='tensor')['map']
        alone = torch.cat([model(*batch_on(gpu, seed), mode='tensor')['map']
                           for seed in (1, 2)])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)
