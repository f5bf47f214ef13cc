"""A temperature and offsets: for data on which classes are rarer than in training.

A temperature alone cannot mend probabilities that are all too great or all too small.

Source: Platt, "Probabilistic outputs for support vector machines", 1999, for a class
that is there or not; Alexandari et al., arXiv:1901.06852 (bias-corrected temperature
scaling), for several.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_ITERATIONS = 200
_WEAK = 1e-7
"""Weight of the squares of what is searched: it stays finite where a class never occurs
or the data are separable."""


@dataclass(frozen=True)
class Scaling:
    """What becomes of scores: ``slope * scores + offsets``.

    Args:
        slope: the inverse of a temperature, above 0.
        offsets: (K, ) float32, the first one 0.
    """

    slope: float
    offsets: Tensor

    def __call__(self, scores: Tensor) -> Tensor:
        """Scale (K, ...) logits."""
        offsets = self.offsets.to(scores)
        return self.slope * scores + offsets.view(-1, *[1] * (scores.dim() - 1))


def require_cells(scores: Tensor, labels: Tensor, classes: int = 1) -> None:
    """Refuse what nothing can be fitted to.

    Args:
        scores: must be (K, N), finite, of so many ``classes`` at least.
        labels: must be (N, ).

    Raises:
        ValueError: shapes differ, there is no cell, or a score is not finite.
    """
    if scores.dim() != 2 or len(scores) < classes or labels.shape != scores.shape[1:] \
            or not labels.numel():
        raise ValueError('scores and labels must be (classes, N) and (N, ) with N > 0, '
                         f'got {tuple(scores.shape)} and {tuple(labels.shape)}')
    if not torch.isfinite(scores).all():
        raise ValueError('scores must be finite')


def fit_scaling(scores: Tensor, labels: Tensor, weights: Tensor | None = None
                ) -> Scaling:
    """Find slope and offsets of least NLL, by L-BFGS in float64.

    Args:
        scores: (K, N) finite logits, or logarithms of probabilities; K at least 2.
            For a class that is there or not, zeros and its logit.
        labels: (N, ) int64, 0 to K - 1.
        weights: (N, ) at least 0, 1 by default.

    Raises:
        ValueError: shapes differ, there is no cell, or a score is not finite.
    """
    require_cells(scores, labels, classes=2)
    rows = scores.double().mT
    shares = torch.ones(len(rows)) if weights is None else weights
    shares = (shares / shares.sum()).to(rows)
    # The logarithm of the slope, which keeps it above 0, and all offsets but one.
    unknown = rows.new_zeros(len(scores)).requires_grad_()
    search = torch.optim.LBFGS([unknown], max_iter=_ITERATIONS, tolerance_grad=1e-9,
                               tolerance_change=1e-12, line_search_fn='strong_wolfe')

    def nll() -> Tensor:
        search.zero_grad()
        logits = unknown[0].exp() * rows + F.pad(unknown[1:], (1, 0))
        value = (shares * F.cross_entropy(logits, labels, reduction='none')).sum()
        value = value + _WEAK * unknown.square().sum()
        value.backward()
        return value
    with torch.enable_grad():
        search.step(nll)
    found = unknown.detach()
    return Scaling(float(found[0].exp()), F.pad(found[1:], (1, 0)).float())
