"""A training step on a CPU, with freed memory kept and channels last, over without.

``python -m benchmarks.cpu_training --threads 2`` takes steps (forward, backward) of the
CamVid model with the diffusion head, 8 crops of 256 x 320, random weights, images and
labels, in processes of their own, which take turns:

* ``default``: malloc and weights as they come.
* ``kept``: with `keep_freed_memory`, as ``ddp-perception train`` has it.
* ``kept, channels last``: and with ``ddp.ChannelsLastHook``.

The baseline is ``default``. A process reports the median of its steps after the
first two, the table the median of processes. Memory is what the whole
process has had resident. Loss and norm of the gradients of the first step must agree.
"""
import argparse
import json
import math
import statistics
import time
from types import SimpleNamespace

import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.nn.utils import clip_grad_norm_

from benchmarks.processes import measure_alone, require_equal
from benchmarks.timing import high_water_bytes
from ddp_perception.cli.configuration import bare_model_settings, load_config
from ddp_perception.engine import ChannelsLastHook
from ddp_perception.freed_memory import keep_freed_memory
from ddp_perception.registry import MODELS

CASES = ('default', 'kept', 'kept, channels last')
WARM_UP = 2
CLASSES = 11


def build(config, changes):
    """Return the model in training, its random weights alike in all cases."""
    cfg = load_config(config, ['model.backbone.pretrained=False', *changes])
    init_default_scope('mmseg')
    torch.manual_seed(0)
    return MODELS.build(bare_model_settings(cfg)).train()


def measure(config, changes, name, size, steps):
    """Take the steps; return loss and gradients of the first, seconds, memory."""
    if name != 'default' and not keep_freed_memory():
        raise SystemExit('freed memory cannot be kept here: see keep_freed_memory')
    model = build(config, changes)
    if name.endswith('channels last'):
        ChannelsLastHook().before_run(SimpleNamespace(model=model))
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(8, 3, *size, generator=generator)
    samples = [SegDataSample(
        gt_sem_seg=PixelData(data=torch.randint(CLASSES, (1, *size),
                                                generator=generator)),
        metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size))
        for _ in images]
    seconds, found = [], {}
    for number in range(WARM_UP + steps):
        torch.manual_seed(2)  # noise, and what drops out
        began = time.perf_counter()
        model.zero_grad()
        loss, _ = model.parse_losses(model.loss(images, samples))
        loss.backward()
        seconds.append(time.perf_counter() - began)
        if number == 0:
            norm = clip_grad_norm_(model.parameters(), math.inf)
            found = dict(loss=loss.item(), gradient_norm=norm.item())
    return dict(found, seconds=statistics.median(seconds[WARM_UP:]),
                rss_mib=high_water_bytes() / 2 ** 20)


def in_own_process(args, name):
    """Measure a case where malloc has no settings yet."""
    return measure_alone('cpu_training', name, [
        '--config', args.config, '--threads', str(args.threads), '--size',
        *map(str, args.size), '--steps', str(args.steps),
        '--cfg-options', *args.cfg_options])


def main(argv=None):
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--config', default='ddp_efflite0_1xb8-1h_camvid-480x360',
                        help='of an image segmentor with 11 classes')
    parser.add_argument('--cfg-options', nargs='*', default=[], metavar='KEY=VALUE',
                        help='changes to its settings')
    parser.add_argument('--size', type=int, nargs=2, default=[256, 320])
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--rounds', type=int, default=3, help='processes of each case')
    parser.add_argument('--steps', type=int, default=8, help='timed, in each process')
    parser.add_argument('--case', choices=CASES,
                        help='measure this case here, in this process')
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.case is not None:
        print(json.dumps(measure(args.config, args.cfg_options, args.case,
                                 tuple(args.size), args.steps)))
        return []
    found = {name: [] for name in CASES}
    for number in range(args.rounds):
        for name in CASES[::-1] if number % 2 else CASES:
            found[name].append(in_own_process(args, name))
    median = {name: {key: statistics.median(one[key] for one in rounds)
                     for key in rounds[0]} for name, rounds in found.items()}
    default = median['default']
    cases = []
    for name, one in median.items():
        require_equal(median, name, 'default')
        print(f'{name}: {one["seconds"]:.2f} s per step, '
              f'{default["seconds"] / one["seconds"]:.2f} times as fast as by default; '
              f'whole process {one["rss_mib"]:.0f} MiB')
        if name != 'default':
            cases.append(dict(
                name=f'CamVid model, training step, {name}', device='cpu',
                dtype='float32', threads=args.threads, rounds=args.rounds,
                ours_s=one['seconds'], baseline_s=default['seconds'],
                ratio=default['seconds'] / one['seconds'], ours_peak_mib=one['rss_mib'],
                baseline_peak_mib=default['rss_mib']))
    print(json.dumps(cases), flush=True)
    return cases


if __name__ == '__main__':
    main()
