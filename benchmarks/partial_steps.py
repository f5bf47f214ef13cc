"""Three sampling steps that refine a share of the cells, against three whole ones.

Run as ``python -m benchmarks.partial_steps``. Both are ours, with the same weights,
features and noise: 40,000 cells of a bird's-eye view, 5 layers of 256 channels. After
the first step, which computes every cell, `refine_share` of them are computed anew
(`Sampler`). Predictions differ where cells were left alone, so equality is asserted for
the first step; what a share costs in accuracy is for ``ddp-perception
test --refine-share`` to say.
"""
import argparse
import math

import torch
from torch import nn

from benchmarks.timing import compare, report
from ddp_perception.decoder import Denoiser, LabelDiffusion, MapDecoder
from ddp_perception.diffusion import MultiLabelCodec, Presences, cells_to_refine

CLASSES, CHANNELS, STEPS = 6, 256, 3


def build(layers, feats):
    """Return the diffusion of a map head of the published size."""
    torch.manual_seed(0)
    diffusion = LabelDiffusion(
        MultiLabelCodec(CLASSES, CHANNELS, 0.01),
        Denoiser(feats, CHANNELS, predictor=nn.Conv2d(CHANNELS, CLASSES, 1),
                 decoder=MapDecoder(CHANNELS, layers, time_channels=4 * CHANNELS)))
    for layer in diffusion.denoiser.decoder.layers:  # as after training
        nn.init.normal_(layer.attn.sampling_offsets.weight, std=0.05)
        nn.init.normal_(layer.attn.attention_weights.weight, std=0.05)
    nn.init.normal_(diffusion.denoiser.predictor.weight, std=0.2)
    return diffusion.eval()


@torch.no_grad()
def run(share, *, size, layers, feats, device, rounds, warmup, dtype):
    """Measure one share."""
    diffusion = build(layers, feats).to(device)
    features = torch.randn(1, feats, *size, device=device)
    noise = torch.randn(1, CHANNELS, *size, device=device)

    def steps(part):
        def choose(last, before, cells):
            return cells_to_refine(part, last, before, Presences(), cells)
        with torch.autocast(torch.device(device).type, dtype, dtype != torch.float32):
            return [step.prediction.float() for step in diffusion.sample_steps(
                features, noise, STEPS, choose=choose if part < 1 else None)]

    def check(ours, whole):
        tolerance = 1e-4 if dtype == torch.float32 else 5e-2
        torch.testing.assert_close(ours[0], whole[0], rtol=tolerance, atol=tolerance)
        changed = int((ours[1] != ours[0]).any(1).sum())
        assert changed <= math.ceil(share * math.prod(size)), 'more cells were refined'

    return compare(f'three_steps_share_{share:g}', lambda: steps(share),
                   lambda: steps(1), rounds=rounds, warmup=warmup, check=check,
                   device=device, dtype=dtype)


def main(argv=None):
    """Measure some shares and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--shares', type=float, nargs='+', default=[0.5, 0.25, 0.1])
    parser.add_argument('--size', type=int, nargs=2, default=[200, 200])
    parser.add_argument('--layers', type=int, default=5)
    parser.add_argument('--rounds', type=int, default=3, help='timed rounds')
    parser.add_argument('--warmup', type=int, default=1, help='untimed rounds')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--dtype', choices=['float32', 'bfloat16'], default='float32',
                        help='of both, bfloat16 by autocast')
    args = parser.parse_args(argv)
    return report([run(share, size=tuple(args.size), layers=args.layers, feats=512,
                device=args.device, rounds=args.rounds, warmup=args.warmup,
                dtype=getattr(torch, args.dtype))
            for share in args.shares])


if __name__ == '__main__':
    main()
