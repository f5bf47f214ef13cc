"""The codec of depth: metres to a map within +/- scale, and back."""
import torch
import torch.nn.functional as F
from torch import Tensor

from ddp_perception.diffusion.codecs import LabelCodec

_SPARSE_TRUTH = ('fill', 'centre', 'bilinear')


class DepthCodec(LabelCodec):
    """Depth as its place in a range: z0 = (2 (d - min) / (max - min) - 1) scale.

    LiDAR truth is sparse: most pixels are 0, which says that nothing was
    measured and not that something is at no distance. A cell of the continuous
    map is the mean of the valid returns inside it; what a cell without any
    return is, ``sparse_truth`` says:

    - ``'fill'``: the mean of the nearest block that has returns. Blocks are
      the cells of ever coarser grids (2, 4, 8, ... cells a side), so a hole
      takes on what is around it and the map looks as dense as a prediction,
      which is what the sampler feeds back.
    - ``'centre'``: z0 = 0, the middle of the range: no statement.
    - ``'bilinear'``: bilinear resizing of the truth with its zeros, and no
      clamp, as the released models were trained. It mixes "nothing measured"
      into depth, so most cells become far too near.

    A truth without a single return is all ``'centre'``. With the first two,
    depth beyond the range is clamped to it.

    Args:
        min_depth, max_depth: limits of the depth range, metres.
        scale: the map lies within +/- scale.
        sparse_truth: see above.

    Shape:
        labels: (B, 1, H, W) float metres, 0 where nothing was measured.
        prediction: (B, 1, h, w) metres; clamped to the range.

    Raises:
        ValueError: an empty range, another ``sparse_truth``, or truth that is
            negative or not finite.

    Source: DDP, arXiv:2303.17559, depth estimation. Departs from it by
    default: truth is shrunk by its valid returns alone.
    """

    channels = 1

    def __init__(self, min_depth: float, max_depth: float, scale: float = 0.1,
                 sparse_truth: str = 'fill') -> None:
        super().__init__()
        if not 0 <= min_depth < max_depth:
            raise ValueError('depths must be 0 <= min_depth < max_depth, '
                             f'got {min_depth} and {max_depth}')
        if scale <= 0:
            raise ValueError(f'scale must be positive, got {scale}')
        if sparse_truth not in _SPARSE_TRUTH:
            raise ValueError(f'sparse_truth must be one of {_SPARSE_TRUTH}, '
                             f'got {sparse_truth!r}')
        self.min_depth, self.max_depth = min_depth, max_depth
        self.scale = scale
        self.sparse_truth = sparse_truth

    def encode(self, labels: Tensor, size: tuple[int, int]) -> Tensor:
        """Encode true depth, shrunk to ``size``."""
        wrong = ~torch.isfinite(labels) | (labels < 0)
        if wrong.any():
            raise ValueError('depth truth must be finite and at least 0 (0 where '
                             'nothing was measured), got '
                             f'{labels[wrong].unique()[:8].tolist()}')
        if self.sparse_truth == 'bilinear':
            return self._normalise(F.interpolate(
                labels, size, mode='bilinear', align_corners=False))
        depth, known = shrink_valid(labels, size)
        z = self._normalise(depth).clamp(-self.scale, self.scale)
        z = z.masked_fill(~known, 0.)
        return fill_from_blocks(z, known) if self.sparse_truth == 'fill' else z

    def encode_prediction(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Encode predicted depth, clamped to the range."""
        if tuple(prediction.shape[-2:]) != tuple(size):
            prediction = F.interpolate(prediction, size, mode='bilinear',
                                       align_corners=False)
        return self._normalise(prediction).clamp(-self.scale, self.scale)

    def decode(self, maps: Tensor) -> Tensor:
        """Return the metres that a continuous map stands for."""
        return (maps / self.scale + 1) / 2 * (self.max_depth - self.min_depth) \
            + self.min_depth

    def _normalise(self, depth: Tensor) -> Tensor:
        place = (depth - self.min_depth) / (self.max_depth - self.min_depth)
        return (2 * place - 1) * self.scale


def shrink_valid(depth: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Shrink sparse maps by the mean of what is above zero in each cell.

    Args:
        depth: (B, C, H, W), 0 where nothing is known.

    Returns:
        (B, C, *size) means, 0 in cells without any, and where there is one.
    """
    share = F.adaptive_avg_pool2d((depth > 0).to(depth.dtype), size)
    known = share > 0
    total = F.adaptive_avg_pool2d(depth.clamp(min=0), size)
    return total / share.masked_fill(~known, 1.), known


def fill_from_blocks(maps: Tensor, known: Tensor) -> Tensor:
    """Give unknown cells the mean of the smallest block around them with any.

    Args:
        maps: (B, C, H, W), 0 where unknown.
        known: (B, C, H, W) boolean.

    Returns:
        The maps, filled; a map without any known cell stays 0.
    """
    height, width = maps.shape[-2:]
    if known.all() or (height == 1 and width == 1):
        return maps
    padding = (0, width % 2, 0, height % 2)
    share = F.avg_pool2d(F.pad(known.to(maps.dtype), padding), 2)
    total = F.avg_pool2d(F.pad(maps, padding), 2)
    coarse = fill_from_blocks(total / share.masked_fill(share == 0, 1.), share > 0)
    around = coarse.repeat_interleave(2, -2).repeat_interleave(2, -1)
    return torch.where(known, maps, around[..., :height, :width])
