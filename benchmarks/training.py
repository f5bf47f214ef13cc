"""Forward and backward pass of the map decoder against mmcv's stock parts.

Run as ``python -m benchmarks.training``. The network and the stock twin are those of
`benchmarks.decoder`, at 100 x 176 cells; the loss is a fixed weighted sum of the
prediction. The gradients of weights are asserted equal first, to 1 % of
their norm. The second case adds
activation checkpointing (``decoder=dict(with_cp=True)``) to ours, and the third weighs
that against ours without it.
"""
import argparse

import torch

from benchmarks.decoder import BACKENDS, CHANNELS, build, by_backend
from benchmarks.timing import compare, report, whole_float32
from ddp_perception.diffusion import NoiseSchedule

LAYERS, FEATS, CLASSES = 6, 256, 19


@whole_float32()
def run(size, layers, *, device, rounds, warmup):
    """Measure a training step with and without checkpointing."""
    ours, stock = build(layers, FEATS, CLASSES, device)
    ours.train()
    stock.train()
    torch.manual_seed(0)
    features = torch.randn(1, FEATS, *size, device=device)
    z = torch.randn(1, CHANNELS, *size, device=device)
    weights = torch.randn(1, CLASSES, *size, device=device)
    level = NoiseSchedule().level(torch.tensor([0.5], device=device))
    names = {'ours': ours.decoder.layers[0].attn.value_proj.weight,
             'stock': stock.layers[0].attn.value_proj.weight}

    def step(model, with_cp=False):
        for parameter in model.parameters():
            parameter.grad = None
        if model is ours:
            ours.decoder.with_cp = with_cp
            prediction = ours(z, level, ours.condition(features))
        else:
            prediction = stock(features, z, level.log_snr)
        (prediction * weights).sum().backward()
        return names['ours' if model is ours else 'stock'].grad.clone(), \
            model.fuse.weight.grad.clone()  # shared, the first layer's and the fusing

    def check(one, other):
        for ours_grad, theirs in zip(one, other, strict=True):
            # A sample on the border of two cells may round to either, where the
            # gradient of its position jumps: single entries differ, the whole does not.
            assert (ours_grad - theirs).norm() < 1e-2 * theirs.norm()

    settings = dict(rounds=rounds, warmup=warmup, check=check, device=device)
    name = f'decoder_{size[0]}x{size[1]}_training'
    return [
        compare(name, lambda: step(ours), lambda: step(stock), **settings),
        compare(f'{name}_with_cp', lambda: step(ours, True), lambda: step(stock),
                **settings),
        compare(f'{name}_with_cp_over_without', lambda: step(ours, True),
                lambda: step(ours), **settings)]


def main(argv=None):
    """Run the cases and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--size', type=int, nargs=2, default=[100, 176])
    parser.add_argument('--layers', type=int, default=LAYERS)
    parser.add_argument('--rounds', type=int, default=3, help='timed rounds')
    parser.add_argument('--warmup', type=int, default=1, help='untimed rounds')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--backend', choices=BACKENDS, nargs='+', metavar='NAME',
                        help='as of benchmarks.decoder')
    args = parser.parse_args(argv)
    return report(by_backend(args.backend, lambda: run(
        tuple(args.size), args.layers, device=args.device, rounds=args.rounds,
        warmup=args.warmup)))


if __name__ == '__main__':
    main()
