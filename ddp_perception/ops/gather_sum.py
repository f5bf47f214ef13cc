"""The weighted gather-sum, the one operation behind attention and lifting.

``out[i] = sum_j weights[i, j] * table[index[i, j]]``. Deformable attention
(bags of a fixed size) and the pooling of lifted camera features into a BEV
grid (bags of any size) are both this sum. ``embedding_bag`` computes it
without ever storing the gathered rows.
"""
import torch.nn.functional as F
from torch import Tensor


def gather_sum(table: Tensor, index: Tensor, weights: Tensor,
               offsets: Tensor | None = None) -> Tensor:
    """Sum weighted rows of a table, bag by bag.

    Args:
        table: (R, C) rows to gather from.
        index: rows to take: (I, J) integers for I bags of J rows each, or
            (N,) integers with the bags one after another.
        weights: factors of the shape of ``index`` and the dtype of ``table``.
        offsets: (I,) integers of the dtype of ``index``, where each bag of a
            one-dimensional ``index`` starts. An empty bag gives zeros.

    Returns:
        (I, C), dtype of ``table``. Differentiable in ``table`` and
        ``weights``.

    Raises:
        ValueError: the shapes of ``index`` and ``weights`` differ, or
            ``offsets`` is missing or superfluous.
    """
    if index.shape != weights.shape:
        raise ValueError('index and weights must have the same shape, got '
                         f'{tuple(index.shape)} and {tuple(weights.shape)}')
    if (index.dim() == 1) != (offsets is not None):
        raise ValueError('offsets go with a one-dimensional index, and only '
                         f'with it; index has {index.dim()} dimensions')
    return F.embedding_bag(index, table, offsets, mode='sum',
                           per_sample_weights=weights)
