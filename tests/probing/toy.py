"""A model of one head, and denoisers whose behaviour is known."""
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from ddp_perception.registry import MODELS
from tests.heads import toy_height_head  # noqa: F401  registers ddp.HeightHead

COUNT, CHANNELS, SIZE = 5, 6, (5, 7)


class HeightModel(BaseModel):
    """Features come in as they are; counts how often they are asked for."""

    def __init__(self, **head):
        super().__init__()
        torch.manual_seed(0)
        self.head = MODELS.build(dict(
            type='ddp.HeightHead', in_channels=CHANNELS,
            input_grid=[[0, SIZE[0], 1], [0, SIZE[1], 1]],
            decoder=dict(channels=8, num_layers=1),
            **{'diffusion': dict(scale=1.), **head}))
        self.asked = 0

    def extract_feat(self, inputs):
        self.asked += 1
        return inputs['feats']

    def forward(self, inputs, data_samples, mode='predict'):
        self.head.predict(self.extract_feat(inputs), data_samples)
        return data_samples


class Follow(nn.Module):
    """Predicts from features and noise at time 1, what its map says below."""

    def condition(self, feats):
        return feats[:, :1]

    def forward(self, z, level, condition):
        if float(level.time) == 1:
            seeds = len(z) // len(condition)
            return 0.3 * (condition.repeat_interleave(seeds, 0) + z)
        return 2 * torch.atanh(z.clamp(-0.9999, 0.9999))


def ignore_the_map(head):
    """Cut the noisy map off in a real denoiser, which still knows the time."""
    denoiser = head.diffusion.denoiser
    with torch.no_grad():
        denoiser.fuse.weight[:, denoiser.feat_channels:] = 0


class HeightError(BaseMetric):
    """Mean absolute error, metres."""

    default_prefix = ''

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            truth = sample['gt_height']['data']
            predicted = sample['pred_height']['data']
            self.results.append(float((truth - predicted).abs().mean()))

    def compute_metrics(self, results):
        return {'count': len(results), 'mae': sum(results) / len(results)}


def features():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(COUNT, CHANNELS, *SIZE, generator=generator)


def heights():
    """Truth that the features do not tell."""
    generator = torch.Generator().manual_seed(2)
    return 2 * torch.randn(COUNT, 1, *SIZE, generator=generator).clamp(-1.5, 1.5)


def batches(*sizes):
    """Batches of these sizes, five samples together."""
    assert sum(sizes) == COUNT
    samples = [BaseDataElement(gt_height=PixelData(data=truth)) for truth in heights()]
    start = 0
    for size in sizes:
        yield {'inputs': {'feats': features()[start:start + size]},
               'data_samples': samples[start:start + size]}
        start += size


def evaluators(probe):
    return {item.key: Evaluator([HeightError()]) for item in probe.variations}
