"""A proper score of samples: near the truth, and as far apart as the truth may be."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.registry import MODELS

OUTCOMES = ('presences', 'classes', 'depth')
PATCHES = (8, 40, 200)
_LEAST_SQUARE = 1e-6  # a root has no slope at 0
_LEAST_METRES = 1e-3


@MODELS.register_module()
class EnergyScore(nn.Module):
    """Energy score of two predictions of an image from two draws of noise.

    For predictions a and b of a truth y, ``(d(a, y) + d(b, y) - d(a, b)) / 2``. Its
    mean is least where predictions are distributed as the truth is, given the
    features. A loss of each cell alone has its optimum in the mean of all
    truths that are possible, whatever the noise; here one draw may be one of
    them, whole, and another draw another.

    d is the root of the mean squared distance of a patch's cells, a mean over
    the patches of the map and over their sizes. Large patches judge how parts
    fit together, small ones tell where.

    Goes with ``diffusion=dict(recipe='samples')``, or a recipe of your own with
    ``draws=2`` and without noised truth, whose draws are no draws of one
    distribution.

    Args:
        outcome: ``'presences'`` compares sigmoids of overlapping classes, in the
            head's map loss; ``'classes'`` softmaxes, ``'depth'`` logarithms
            of metres, in ``loss_decode``.
        patches: sides of the patches, cells of the prediction; a greater one
            than the map is the whole map.
        loss_weight: factor.
        loss_name: key in the log of ``loss_decode``.

    Shape:
        prediction: (2 B, C, H, W) logits or metres, the two of an image one after
            another.
        truth: (2 B, C, H, W) masks of 0 and 1, (2 B, H, W) labels, or (2 B, 1, H,
            W) metres, 0 where nothing was measured; that of an image twice.
        returns: scalar, float32; of presences (C,), the share of each class
            being the same.

    Raises:
        ValueError: an unknown outcome, a patch below 1, or predictions that are
            no pairs.

    Source: Gneiting and Raftery, Strictly proper scoring rules, prediction, and
    estimation, JASA 2007; as a loss of a network that takes noise, engression,
    arXiv:2307.00835.
    """

    def __init__(self, outcome: str = 'presences', patches: Sequence[int] = PATCHES,
                 loss_weight: float = 1., loss_name: str = 'loss_energy') -> None:
        super().__init__()
        if outcome not in OUTCOMES:
            raise ValueError(f'outcome must be one of {OUTCOMES}, got {outcome!r}')
        if not patches or any(side < 1 for side in patches):
            raise ValueError('patches are sides of at least one cell, got '
                             f'{list(patches)}')
        self.outcome = outcome
        self.patches = tuple(patches)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, prediction: Tensor, truth: Tensor, weight: Tensor | None = None,
                ignore_index: int = 255) -> Tensor:
        """Return the mean score of the pairs."""
        if weight is not None:
            raise ValueError('EnergyScore takes no weights of pixels, got some of a '
                             'sampler')
        if len(truth) % 2 or not torch.equal(truth[0::2], truth[1::2]):
            raise ValueError(
                'EnergyScore compares two predictions of each image, got '
                f"{len(truth)} that are no such pairs: diffusion=dict(recipe="
                "'samples') makes them")
        values, target, counts = self._comparable(prediction.float(), truth,
                                                  ignore_index)
        score = energy_score(values[0::2], values[1::2], target[0::2], counts[0::2],
                             self.patches) * self.loss_weight
        if self.outcome != 'presences':
            return score
        classes = prediction.shape[1]
        return (score / classes).expand(classes)

    def _comparable(self, prediction: Tensor, truth: Tensor, ignore_index: int
                    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return values, truth as such values, and the (B, 1, H, W) cells that count.
        """
        if self.outcome == 'presences':
            return prediction.sigmoid(), truth.float(), torch.ones_like(
                prediction[:, :1])
        if self.outcome == 'depth':
            counts = truth > 0
            return ((prediction + _LEAST_METRES).log(),
                    (truth.where(counts, 1.) + _LEAST_METRES).log(), counts.float())
        counts = truth != ignore_index
        labels = F.one_hot(truth.where(counts, 0), prediction.shape[1])
        return (prediction.softmax(1), labels.movedim(-1, 1).float(),
                counts[:, None].float())


def energy_score(first: Tensor, second: Tensor, truth: Tensor, counts: Tensor,
                 patches: Sequence[int] = PATCHES) -> Tensor:
    """Return the mean energy score of pairs of samples.

    Args:
        first, second: (B, C, H, W) samples of each image.
        truth: (B, C, H, W) of the same kind.
        counts: (B, 1, H, W), 1 for cells that count and 0 for others.
        patches: sides of the patches, cells.

    Returns:
        Scalar; 0 where no cell counts.
    """
    squares = torch.stack([(one - other).square().sum(1) for one, other in (
        (first, truth), (second, truth), (first, second))], 1) * counts
    scores = []
    for side in patches:
        window = [min(side, length) for length in squares.shape[-2:]]
        total = F.avg_pool2d(torch.cat([squares, counts], 1), window, ceil_mode=True)
        share = total[:, 3:]
        distance = (total[:, :3] / share.clamp(min=1e-12) + _LEAST_SQUARE).sqrt()
        there = share > 0
        score = (distance[:, :1] + distance[:, 1:2] - distance[:, 2:]) / 2
        scores.append((score * there).sum() / there.sum().clamp(min=1))
    return torch.stack(scores).mean()
