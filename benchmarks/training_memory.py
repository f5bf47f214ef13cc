"""Memory of a training step with activation checkpointing, over without.

``python -m benchmarks.training_memory`` takes one step, forward and backward, of the
full-size camera model at batch 1 (six images of 256 x 704, 40,000 queries, 5 layers of
256 channels; random weights, images and truth) in a process of its own for each case:

* ``off``: no checkpointing.
* ``head``: ``decoder=dict(with_cp=True)``.
* ``head, backbone``: and Swin's ``with_cp=True``.

Memory is what the step takes at its peak beyond what was there before the model was
built: weights, activations and gradients, but not Python and its libraries, nor an
optimizer's state. ``rss_mib`` holds the whole process; on a GPU it is what torch has
reserved there. Losses and the norms of
gradients must agree.
"""
import argparse
import json
import math
import time

import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from torch.nn.utils import clip_grad_norm_

from benchmarks.processes import measure_alone, require_equal
from benchmarks.timing import (
    device_name,
    high_water_bytes,
    release_free_heap,
    resident_bytes,
    synchronize,
)
from ddp_perception.cli.configuration import bare_model_settings, load_config
from ddp_perception.export.frame_inputs import example_frame
from ddp_perception.registry import MODELS

CASES = {'off': (), 'head': ('head', ), 'head, backbone': ('head', 'backbone')}


def build(config, changes, checkpointed):
    """Return the model in training, its random weights alike in all cases."""
    init_default_scope('mmdet3d')
    cfg = load_config(config, changes)
    settings = bare_model_settings(cfg)
    if 'head' in checkpointed:
        decoder = settings['seg_head'].get('decoder') or {}
        settings['seg_head']['decoder'] = {**decoder, 'with_cp': True}
    if 'backbone' in checkpointed:
        settings['img_backbone']['with_cp'] = True
    settings['img_backbone']['init_cfg'] = None
    torch.manual_seed(0)
    return MODELS.build(settings).train()


def measure(config, changes, checkpointed, device='cpu'):
    """Take a step; return its loss, gradients, memory and seconds."""
    release_free_heap()
    before = resident_bytes()
    model = build(config, changes, checkpointed).to(device)
    images, points, meta = example_frame(model)
    head = model.seg_head
    generator = torch.Generator().manual_seed(1)
    sample = Det3DDataSample(metainfo=meta)
    sample.gt_map_seg = PixelData(data=torch.randint(
        2, (len(head.classes), *head.output_grid.shape), generator=generator).float())
    inputs = {'imgs': images[None].to(device)}
    if points is not None:
        inputs['points'] = [points.to(device)]
    torch.manual_seed(2)  # noise, and what drops out
    began = time.perf_counter()
    loss, _ = model.parse_losses(model.loss(inputs, [sample]))
    loss.backward()
    synchronize(device)
    seconds = time.perf_counter() - began
    if torch.device(device).type == 'cuda':
        peak = torch.cuda.max_memory_allocated(device)
        held = torch.cuda.max_memory_reserved(device)
    else:
        held = high_water_bytes()
        peak = held - before
    norm = clip_grad_norm_(model.parameters(), math.inf)
    return dict(loss=loss.item(), gradient_norm=norm.item(), seconds=seconds,
                threads=torch.get_num_threads(), peak_mib=peak / 2 ** 20,
                rss_mib=held / 2 ** 20)


def in_own_process(config, changes, name, threads, device='cpu'):
    """Measure a case where nothing else has been allocated."""
    return measure_alone('training_memory', name, [
        '--config', config, '--threads', str(threads), '--device', device,
        '--cfg-options', *changes])


def main(argv=None):
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--config', default='ddp_cam_3step_8xb4-20e_nus-map',
                        help='of ddp.BEVFusion with a camera and a diffusion head')
    parser.add_argument('--cfg-options', nargs='*', default=[], metavar='KEY=VALUE',
                        help='changes to its settings')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--rounds', type=int, default=1, help='of each case')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--case', choices=CASES,
                        help='measure this case here, in this process')
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.case is not None:
        print(json.dumps(measure(args.config, args.cfg_options, CASES[args.case],
                                 args.device)))
        return []
    found = {name: [in_own_process(args.config, args.cfg_options, name, args.threads,
                                   args.device)
                    for _ in range(args.rounds)] for name in CASES}
    best = {name: min(rounds, key=lambda one: one['seconds'])
            for name, rounds in found.items()}
    off = best['off']
    cases = []
    for name, one in best.items():
        require_equal(best, name, 'off')
        share = one['peak_mib'] / off['peak_mib']
        print(f'{name}: {one["peak_mib"]:.0f} MiB, {share:.2f} of what it is without; '
              f'whole process {one["rss_mib"]:.0f} MiB; {one["seconds"]:.1f} s')
        if name != 'off':
            cases.append(dict(
                name=f'camera model, training step, checkpointing: {name}',
                device=device_name(args.device), dtype='float32',
                threads=one['threads'], rounds=args.rounds,
                ours_s=one['seconds'], baseline_s=off['seconds'],
                ratio=off['seconds'] / one['seconds'], ours_peak_mib=one['peak_mib'],
                baseline_peak_mib=off['peak_mib'],
                memory_ratio=share,
                rss_ratio=one['rss_mib'] / off['rss_mib']))
    print(json.dumps(cases), flush=True)
    return cases


if __name__ == '__main__':
    main()
