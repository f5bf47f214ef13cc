"""One denoising step of the map decoder against mmcv's stock parts.

Run as ``python -m benchmarks.decoder``. The baseline is the same network with
the same weights, made of mmcv's MultiScaleDeformableAttention and FFN and
torch's LayerNorm, and called as the original calls it: a sequence-first
stream, position terms and reference points made anew in each call, the fusing
1x1 convolution over the concatenation of features and noisy map, and the
scale and shift as an operation of their own. Ours computes the features' half
of that convolution and the position terms once per image; both are left out
of its time, as they are of a step, and reported as a case of their own.

Two further cases: our step under bfloat16 autocast against the float32 baseline, where
at most 2 % of the cells may be decided otherwise (weights are random, so that many
cells are close calls); and, on a CPU, our float32 step against its own matrix products
alone, which it cannot do without. ``--backend triton grid_sample mmcv``, say, measures
each way of sampling against the same baseline. On a GPU float32 means float32:
TensorFloat-32, which torch lets cuDNN use, is off.
"""
import argparse
from functools import partial

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmcv.ops import MultiScaleDeformableAttention
from torch import nn

from benchmarks.timing import MORE, compare, report, whole_float32
from ddp_perception.decoder import Denoiser, MapDecoder, map_decoder
from ddp_perception.diffusion import NoiseSchedule
from ddp_perception.heads.mmcv_sampling import mmcv_sampling
from ddp_perception.ops import (
    PointwiseConv2d,
    gather_sum_backend,
    linear,
    map_sampling,
    pointwise_conv,
)
from ddp_perception.ops.linear import ROWS

CHANNELS, HEADS, POINTS, FEEDFORWARD = 256, 8, 4, 1024
BACKENDS = {
    'embedding_bag': partial(gather_sum_backend, 'embedding_bag'),
    'gather': partial(gather_sum_backend, 'gather'),
    'triton_sums': partial(gather_sum_backend, 'triton'),
    'triton': partial(map_sampling, 'triton'),
    'grid_sample': partial(map_sampling, 'grid_sample'),
    'mmcv': partial(map_sampling, mmcv_sampling),
}
DTYPES = ('float32', 'bfloat16')
CASES = {
    'decoder_128x256': dict(size=(128, 256), layers=6, feats=256, classes=19),
    'decoder_bev_200x200': dict(size=(200, 200), layers=6, feats=512, classes=6),
}


class StockLayer(nn.Module):
    """Attention, norm, feed-forward, norm, scale and shift from stock parts."""

    def __init__(self):
        super().__init__()
        self.attn = MultiScaleDeformableAttention(CHANNELS, HEADS, 1, POINTS,
                                                  dropout=0.)
        self.ffn = FFN(CHANNELS, FEEDFORWARD, ffn_drop=0., act_cfg=dict(type='GELU'))
        self.norm1, self.norm2 = nn.LayerNorm(CHANNELS), nn.LayerNorm(CHANNELS)
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(4 * CHANNELS, 2 * CHANNELS))

    def forward(self, x, position, time, **where):
        """Refine (Q, B, C) tokens."""
        x = self.norm1(self.attn(x, query_pos=position, **where))
        x = self.norm2(self.ffn(x))
        scale, shift = self.time(time).chunk(2, 1)
        return x * (scale + 1) + shift


class StockDenoiser(nn.Module):
    """The network of :class:`Denoiser` from stock parts, with its weights."""

    def __init__(self, ours: Denoiser):
        super().__init__()
        self.fuse, self.predictor = ours.fuse, ours.predictor
        self.time_embedding = ours.time_embedding
        self.layers = nn.ModuleList(StockLayer() for _ in ours.decoder.layers)
        names = {'expand.': 'ffn.layers.0.0.', 'reduce.': 'ffn.layers.1.',
                 'time.': 'time.1.'}
        for stock, layer in zip(self.layers, ours.decoder.layers, strict=True):
            state = layer.state_dict()
            for old, new in names.items():
                state = {key.replace(old, new) if key.startswith(old) else key: value
                         for key, value in state.items()}
            stock.load_state_dict(state)

    def forward(self, feats, z, log_snr):
        """Predict (B, classes, H, W) from features and a noisy map."""
        size = feats.shape[-2:]
        x = self.fuse(torch.cat([feats, z], 1))
        position = _stock_position(size, feats.device)
        rows, cols = torch.meshgrid(
            torch.linspace(0.5, size[0] - 0.5, size[0], device=z.device) / size[0],
            torch.linspace(0.5, size[1] - 0.5, size[1], device=z.device) / size[1],
            indexing='ij')
        where = dict(
            reference_points=torch.stack([cols, rows], -1).view(1, -1, 1, 2),
            spatial_shapes=torch.tensor([list(size)], device=z.device),
            level_start_index=torch.tensor([0], device=z.device))
        time = self.time_embedding(log_snr.reshape(-1))
        x = x.flatten(2).permute(2, 0, 1)  # (H W) B C
        for layer in self.layers:
            x = layer(x, position, time, **where)
        return self.predictor(x.permute(1, 2, 0).reshape(-1, CHANNELS, *size))


def _stock_position(size, device):
    """Sine encoding of every cell, (H W, 1, C)."""
    half = CHANNELS // 2
    index = torch.arange(half, dtype=torch.float32, device=device)
    period = 10000 ** (2 * torch.div(index, 2, rounding_mode='floor') / half)
    ones = torch.ones(1, *size, device=device)
    parts = []
    for dim in (1, 2):
        place = ones.cumsum(dim)
        place = (place - 0.5) / (place.narrow(dim, size[dim - 1] - 1, 1) + 1e-6)
        phase = place[..., None] * 2 * torch.pi / period
        parts.append(torch.stack([phase[..., 0::2].sin(), phase[..., 1::2].cos()],
                                 4).flatten(3))
    return torch.cat(parts, 3).flatten(1, 2).permute(1, 0, 2)


def build(layers, feats, classes, device):
    """Return a denoiser whose samples spread, and its stock twin."""
    torch.manual_seed(0)
    ours = Denoiser(feats, CHANNELS, predictor=PointwiseConv2d(CHANNELS, classes),
                    decoder=MapDecoder(CHANNELS, layers, HEADS, POINTS, FEEDFORWARD,
                                       time_channels=4 * CHANNELS))
    for layer in ours.decoder.layers:  # as after training, not as initialised
        nn.init.normal_(layer.attn.sampling_offsets.weight, std=0.05)
        nn.init.normal_(layer.attn.attention_weights.weight, std=0.05)
    ours = ours.to(device).eval()
    return ours, StockDenoiser(ours).to(device).eval()


@whole_float32()
@torch.no_grad()
def run(name, *, size, layers, feats, classes, device, rounds, warmup,
        dtypes=DTYPES):
    """Measure a step, and a step together with what is done once per image."""
    ours, stock = build(layers, feats, classes, device)
    features = torch.randn(1, feats, *size, device=device)
    z = torch.randn(1, CHANNELS, *size, device=device)
    level = NoiseSchedule().level(torch.tensor(0.5, device=device))
    condition = ours.condition(features)
    # Sums in another order: a GPU's differ by a little more, in some cells.
    near = 1e-4 if torch.device(device).type == 'cpu' else 3e-4
    settings = dict(
        rounds=rounds, warmup=warmup, device=device, dtype=torch.float32,
        check=partial(torch.testing.assert_close, rtol=near, atol=near))

    def in_bfloat16():
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            return ours(z, level, condition)

    print(f'{name}: {layers} layers, {CHANNELS} channels, {size[0]}x{size[1]} cells, '
          f'{rounds} rounds after {warmup}', flush=True)
    results = [] if 'float32' not in dtypes else [
        compare(f'{name}_step', lambda: ours(z, level, condition),
                lambda: stock(features, z, level.log_snr), **settings),
        compare(f'{name}_step_and_condition',
                lambda: ours(z, level, ours.condition(features)),
                lambda: stock(features, z, level.log_snr), **settings)]
    if 'float32' in dtypes and torch.device(device).type == 'cpu':
        results.append(compare(
            f'{name}_step_over_products', lambda: ours(z, level, condition),
            lambda: _products(ours, z), **{
                **settings, 'rounds': MORE * rounds, 'check': lambda *_: None}))
    if 'bfloat16' in dtypes:
        results.append(compare(
            f'{name}_step_bfloat16', in_bfloat16,
            lambda: stock(features, z, level.log_snr),
            **{**settings, 'dtype': torch.bfloat16, 'check': _decides_alike}))
    return results


def _decides_alike(ours, theirs):
    agreement = float((ours.argmax(1) == theirs.argmax(1)).float().mean())
    assert agreement > 0.98, f'{agreement:.2%} of the cells are decided alike'


def _products(model, z):
    """Do the matrix products of a step, in pieces of the same size, and no more."""
    x = pointwise_conv(z, model.fuse.weight[:, model.feat_channels:]).flatten(2).mT
    chunk = map_decoder._CPU_CHUNK
    for layer in model.decoder.layers:
        attn = layer.attn
        weight = attn.sampling_weight()
        value = attn.project_value(x)
        out = []
        for cells, values in zip(x.split(chunk, 1), value.split(chunk, 1), strict=True):
            linear(cells, weight)
            values = linear(values, attn.output_proj.weight)
            for rows in values.split(ROWS, 1):
                rows = linear(rows, layer.expand.weight, layer.expand.bias)
                out.append(linear(rows, layer.reduce.weight, layer.reduce.bias))
        x = torch.cat(out, 1)
    return model.predictor(x.mT.unflatten(2, z.shape[-2:]))


def by_backend(names, measure):
    """Return the cases of a measurement under each backend, by default under none."""
    if not names:
        return measure()
    cases = []
    for name in names:
        with BACKENDS[name]():
            cases += [dict(case, name=f'{case["name"]}_{name}') for case in measure()]
    return cases


def main(argv=None):
    """Run the cases and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--case', choices=sorted(CASES), action='append',
                        help='measure this case only (may be repeated)')
    parser.add_argument('--rounds', type=int, default=3, help='timed rounds')
    parser.add_argument('--warmup', type=int, default=1, help='untimed rounds')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--dtype', choices=DTYPES, action='append',
                        help='cases of ours in it (default: both)')
    parser.add_argument('--backend', choices=BACKENDS, nargs='+', metavar='NAME',
                        help='how our attention samples, one run each: '
                             f'{", ".join(BACKENDS)}; by default what the device gets')
    args = parser.parse_args(argv)
    results = []
    for name in args.case or CASES:
        results += by_backend(args.backend, lambda name=name: run(
            name, **CASES[name], device=args.device, rounds=args.rounds,
            warmup=args.warmup, dtypes=args.dtype or DTYPES))
    return report(results)


if __name__ == '__main__':
    main()
