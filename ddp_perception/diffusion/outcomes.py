"""What a prediction says about each cell: a class, classes, or a quantity.

Everything that compares predictions with each other (convergence over steps,
disagreement of seeds, entropy) asks these three kinds, and never the task.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


class Outcome(ABC):
    """One kind of prediction.

    Predictions are (..., C, H, W) as a denoiser makes them; cells are
    (..., G, H, W), where G is the number of groups that are decided each for
    itself: one, or as many as there are overlapping classes.

    Attributes:
        has_entropy: whether values are probabilities.
        unit: unit of a spread of the values, for legends.
    """

    has_entropy: bool
    unit: str

    @abstractmethod
    def values(self, prediction: Tensor) -> Tensor:
        """Return (..., C, H, W) probabilities, or the quantity itself."""

    def groups(self, channels: int) -> int:
        """Number of groups G of a prediction of C channels."""
        return 1

    @abstractmethod
    def differs(self, first: Tensor, second: Tensor) -> Tensor:
        """Return (..., G, H, W) bool: cells that two predictions decide apart.

        Args:
            first: (..., C, H, W) values, as :meth:`values` returns them.
            second: values of the same shape.
        """

    def entropy(self, values: Tensor) -> Tensor:
        """Return the (..., G, H, W) entropy of probabilities, in nats.

        Raises:
            ValueError: values of this kind are no probabilities.
        """
        raise ValueError(f'{type(self).__name__} has no entropy: its values are no '
                         'probabilities')

    def spread(self, values: Tensor, dim: int) -> Tensor:
        """Return the (..., G, H, W) standard deviation over a dimension.

        That of a population, in the unit of the values; of several classes
        that exclude each other the root of the mean variance.
        """
        return values.std(dim, correction=0)


class Classes(Outcome):
    """Classes that exclude each other; predictions are logits."""

    has_entropy = True
    unit = 'probability'

    def values(self, prediction: Tensor) -> Tensor:
        """Softmax over the classes."""
        return prediction.softmax(-3)

    def differs(self, first: Tensor, second: Tensor) -> Tensor:
        """Whether the most probable class is another one."""
        return first.argmax(-3, keepdim=True) != second.argmax(-3, keepdim=True)

    def entropy(self, values: Tensor) -> Tensor:
        """Entropy of the classes; at most the logarithm of their number."""
        return torch.special.entr(values).sum(-3, keepdim=True)

    def spread(self, values: Tensor, dim: int) -> Tensor:
        """Root of the variance's mean over the classes."""
        variance = values.var(dim, correction=0)
        return variance.mean(-3, keepdim=True).sqrt()


@dataclass(frozen=True)
class Presences(Outcome):
    """Overlapping classes, each there or not; predictions are logits.

    Args:
        threshold: probability above which a class is there.
    """

    threshold: float = 0.5
    has_entropy = True
    unit = 'probability'

    def groups(self, channels: int) -> int:
        """Each class is decided for itself."""
        return channels

    def values(self, prediction: Tensor) -> Tensor:
        """Sigmoid of each class."""
        return prediction.sigmoid()

    def differs(self, first: Tensor, second: Tensor) -> Tensor:
        """Whether a class is there in one and not in the other."""
        return (first > self.threshold) != (second > self.threshold)

    def entropy(self, values: Tensor) -> Tensor:
        """Entropy of each class; at most log 2."""
        return torch.special.entr(values) + torch.special.entr(1 - values)


@dataclass(frozen=True)
class Quantity(Outcome):
    """A quantity such as depth or flow.

    Args:
        tolerance: two values are apart where they differ by more than this
            share of the greater one's magnitude.
        unit: unit of the values.
    """

    tolerance: float = 0.01
    unit: str = 'metres'
    has_entropy = False

    def values(self, prediction: Tensor) -> Tensor:
        """Return the prediction itself."""
        return prediction

    def differs(self, first: Tensor, second: Tensor) -> Tensor:
        """Whether a channel differs by more than the tolerance."""
        greatest = torch.maximum(first.abs(), second.abs())
        return ((first - second).abs() > self.tolerance * greatest).any(
            -3, keepdim=True)

    def spread(self, values: Tensor, dim: int) -> Tensor:
        """Root of the variance's sum over the channels."""
        variance = values.var(dim, correction=0)
        return variance.sum(-3, keepdim=True).sqrt()
