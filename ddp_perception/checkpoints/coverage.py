"""What a checkpoint gives to each part of a model."""
from collections.abc import Mapping

from torch import Tensor, nn


def coverage(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, tuple]:
    """Count, by part, the tensors that a state dict fills.

    Args:
        module: the model.
        state: tensors by name, of the model or another one.

    Returns:
        By name of a direct part that has tensors: (filled, all). A tensor of
        another shape fills nothing.
    """
    counts: dict[str, tuple[int, int]] = {}
    for name, tensor in module.state_dict().items():
        part = name.split('.')[0]
        filled, total = counts.get(part, (0, 0))
        fits = name in state and state[name].shape == tensor.shape
        counts[part] = (filled + fits, total + 1)
    return counts


def describe_coverage(counts: Mapping[str, tuple]) -> str:
    """Put counts into words: ``pts_neck 18 of 18, seg_head 0 of 90``."""
    return ', '.join(f'{part} {filled} of {total}'
                     for part, (filled, total) in counts.items())
