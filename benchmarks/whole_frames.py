"""Whole frames of full-size models, part by part, by the head.

``python -m benchmarks.whole_frames`` times the prediction of one frame by models that
share everything but their head, which has random weights, in turns:

* ``fusion``: cameras and LiDAR (``ddp_fusion_3step_8xb4-20e_nus-map``: Swin-T on six
  images of 256 x 704, 118 depths, sparse LiDAR encoder, 200 x 200 cells), on images of
  noise and 250,000 points of a made-up street. Voxels and geometry are computed in each
  call. Baseline: the same with BEVFusion's convolutional head
  (``conv_fusion_8xb4-20e_nus-map``).
* ``cityscapes``: ``ddp_convnext-t_4xb4-160k_cityscapes-512x1024`` on an image of noise
  of 512 x 1024. Baseline: the same with mmseg's `FCNHead`, two convolutions of 256
  channels.

For each: three steps, the same with each ``refine_share`` of ``--shares``, over the
baseline. ``ratio`` is the baseline's seconds over ours, ``times_baseline`` its inverse,
``parts_s`` and ``baseline_parts_s`` the seconds of each part in one more call. On a CPU
the sparse encoder needs spconv: mmcv's sparse convolutions have no form there. On cores
that other work shares, ``--clock cpu`` with one thread counts the processor's seconds
instead of the wall's.
"""
import argparse
import copy
import math
import statistics
import time
from dataclasses import replace
from functools import partial

import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.registry import init_default_scope

from benchmarks.timing import device_name, peak_mib, report, synchronize
from ddp_perception import compat
from ddp_perception.apis import init_model
from ddp_perception.cli.configuration import load_config
from ddp_perception.cost import parts_of, shared_out
from ddp_perception.export.frame_inputs import example_frame

POINTS = 250_000
IMAGE = (512, 1024)
FUSION = ('ddp_fusion_3step_8xb4-20e_nus-map', 'conv_fusion_8xb4-20e_nus-map')
CITYSCAPES = 'ddp_convnext-t_4xb4-160k_cityscapes-512x1024'


def street_points(count):
    """Return (count, 5) points of ten turns of 32 beams between two walls."""
    generator = torch.Generator().manual_seed(0)
    yaw, age = 2 * math.pi * torch.rand(2, count, generator=generator)
    beam = torch.randint(32, (count, ), generator=generator)
    pitch = torch.deg2rad(-30 + 40 * beam / 31)
    ground = torch.where(pitch < 0, 1.8 / torch.tan(-pitch).clamp(min=1e-3), 1e3)
    facades = 4 + 8 * torch.rand(count, generator=generator).square()
    wall = facades / yaw.sin().abs().clamp(min=.02)
    reach = torch.minimum(ground, wall).clamp(max=70)
    height = (reach * torch.tan(pitch)).clamp(-1.8, 6)
    place = torch.stack([reach * yaw.cos(), reach * yaw.sin(), height], 1)
    place = place + .03 * torch.randn(count, 3, generator=generator)
    place[:, 0] += 2 * age / math.pi  # the car has moved since
    return torch.cat([place, torch.rand(count, 1, generator=generator),
                      age[:, None] / (4 * math.pi)], 1)


def fusion(points, shares, device):
    """Return predictions by name, the baseline's last, and their models."""
    compat.patch_spconv_cpu()
    whole, plain = (_seeded(config, device) for config in FUSION)
    images, _, meta = example_frame(whole, points=1)
    inputs = {'imgs': images[None].to(device),
              'points': [street_points(points).to(device)]}

    def predict(model):
        sample = Det3DDataSample(metainfo=meta)
        model.predict(inputs, [sample])
        return sample.pred_map_seg.data
    return _cases(whole, plain, 'seg_head', predict, shares)


def cityscapes(size, shares, device):
    """Return predictions by name, the baseline's last, and their models."""
    whole = _seeded(CITYSCAPES, device)
    cfg = load_config(CITYSCAPES, ())
    cfg.model.decode_head = dict(
        type='mmseg.FCNHead', in_channels=256, in_index=0, channels=256, num_convs=2,
        num_classes=19, norm_cfg=dict(type='BN'), align_corners=False)
    plain = _seeded(cfg, device)
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0)
                        ).to(device)
    metas = [dict(img_shape=size, ori_shape=size)]

    def predict(model):
        return model.inference(image, metas)[0, :19]
    return _cases(whole, plain, 'decode_head', predict, shares)


def _seeded(config, device):
    torch.manual_seed(0)
    init_default_scope('mmseg' if config == CITYSCAPES else 'mmdet3d')
    return init_model(config, device=device)


def _cases(whole, plain, head, predict, shares):
    cases = {'3 steps': (whole, predict)}
    for share in shares:
        partly = copy.deepcopy(getattr(whole, head))
        partly.sampler = replace(partly.sampler, refine_share=share)
        cases[f'3 steps, refine_share {share}'] = _with(whole, head, partly), predict
    cases['baseline'] = _with(whole, head, getattr(plain, head)), predict
    return cases


def _with(model, name, head):
    """Return a model with another head, the parts before it shared."""
    other = copy.copy(model)
    other._modules = {**model._modules, name: head}
    return other


@torch.no_grad()
def run(name, cases, rounds, warmup, clock, device='cpu', dtype='float32'):
    """Time the cases in turns; the last is the baseline of the others."""
    kind = torch.device(device).type

    def now():
        synchronize(device)
        return clock()

    def frame(model, predict):
        with torch.autocast(kind, torch.bfloat16, enabled=dtype == 'bfloat16'):
            return predict(model)
    calls = {case: partial(frame, *parts) for case, parts in cases.items()}
    shapes = {case: tuple(call().shape) for case, call in calls.items()}
    assert len(set(shapes.values())) == 1, f'sizes differ: {shapes}'
    for _ in range(warmup - 1):
        for call in calls.values():
            call()
    seconds = {case: [] for case in cases}
    for index in range(rounds):
        order = list(calls.items())
        for case, call in order[::-1] if index % 2 else order:
            began = now()
            call()
            seconds[case].append(now() - began)
    median = {case: statistics.median(values) for case, values in seconds.items()}
    parts = {case: _parts(cases[case][0], call, now) for case, call in calls.items()}
    peaks = {case: peak_mib(call, device, repeats=1) for case, call in calls.items()}
    results = []
    for case in list(cases)[:-1]:
        print(f'{name}, {case}: {median[case]:.3f} s, '
              f'{median[case] / median["baseline"]:.2f} times the baseline '
              f'({median["baseline"]:.3f} s)')
        for part in parts[case]:
            print(f'  {part}: {parts[case][part]:.3f} s'
                  f' ({parts["baseline"].get(part, math.nan):.3f})')
        results.append(dict(
            name=f'{name}, {case}, over the plain head', device=device_name(device),
            dtype=dtype, threads=torch.get_num_threads(), rounds=rounds,
            clock=clock.__name__, ours_s=median[case], baseline_s=median['baseline'],
            ratio=median['baseline'] / median[case],
            times_baseline=median[case] / median['baseline'],
            ours_peak_mib=peaks[case], baseline_peak_mib=peaks['baseline'],
            parts_s=parts[case], baseline_parts_s=parts['baseline']))
    return results


def _parts(model, call, clock):
    with shared_out(parts_of(model), clock) as taken:
        call()
    return dict(taken)


CLOCKS = {'wall': time.perf_counter, 'cpu': time.process_time}
MODELS = {'fusion': lambda args: fusion(args.points, args.shares, args.device),
          'cityscapes': lambda args: cityscapes(tuple(args.image_size), args.shares,
                                                args.device)}


def main(argv=None):
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--model', choices=MODELS, action='append',
                        help='measure this one only (may be repeated)')
    parser.add_argument('--rounds', type=int, default=3, help='timed frames of each')
    parser.add_argument('--warmup', type=int, default=1,
                        help='frames of each before, at least 1')
    parser.add_argument('--points', type=int, default=POINTS)
    parser.add_argument('--image-size', type=int, nargs=2, default=IMAGE,
                        metavar=('HEIGHT', 'WIDTH'), help='of cityscapes')
    parser.add_argument('--shares', type=float, nargs='+', default=[.5, .25],
                        help='of the cells that steps after the first compute anew')
    parser.add_argument('--clock', choices=CLOCKS, default='wall',
                        help='cpu: seconds of the processor, all threads')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--dtype', choices=['float32', 'bfloat16'], default='float32',
                        help='bfloat16: by autocast, of the whole model')
    args = parser.parse_args(argv)
    results = []
    for name in args.model or MODELS:
        results += run(name, MODELS[name](args), args.rounds, args.warmup,
                       CLOCKS[args.clock], args.device, args.dtype)
    return report(results)


if __name__ == '__main__':
    main()
