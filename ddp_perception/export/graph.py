"""What every exported graph has: named tensors, a head, and its noise."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ddp_perception.diffusion import Classes, Presences
from ddp_perception.heads import DiffusionHead


@dataclass(frozen=True)
class GraphTensor:
    """An input or output of a graph.

    Attributes:
        name: of the tensor.
        meaning: what it holds, its unit and axes.
        sample: a tensor of its kind, from which the graph is traced.
        free: names of the axes whose length may be another one, by their place.
    """

    name: str
    meaning: str
    sample: Tensor
    free: Mapping[int, str] = field(default_factory=dict)

    @property
    def shape(self) -> list[int | str]:
        """Lengths of the axes, the names of those that are free."""
        return [self.free.get(place, length)
                for place, length in enumerate(self.sample.shape)]

    def record(self) -> dict[str, Any]:
        """Return what a reader in another language needs."""
        return dict(name=self.name, shape=self.shape, meaning=self.meaning,
                    dtype=str(self.sample.dtype).removeprefix('torch.'))


class TensorGraph(nn.Module):
    """What can be exported: from named tensors to named tensors.

    Attributes:
        inputs: in the order in which `forward` takes them.
    """

    inputs: list[GraphTensor]

    def named(self, tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Return the inputs by name."""
        return dict(zip((tensor.name for tensor in self.inputs), tensors, strict=True))

    def fix_batch(self) -> bool:
        """Make a free number of items one; say whether there was one to fix."""
        free = [one for one in self.inputs if one.free.get(0) == 'batch']
        for one in free:
            self.inputs[self.inputs.index(one)] = replace(
                one, sample=one.sample[:1], free={})
        return bool(free)

    @abstractmethod
    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs."""

    @abstractmethod
    def outputs(self, results: tuple[Tensor, ...]) -> list[GraphTensor]:
        """Describe what `forward` returned."""


class Graph(TensorGraph):
    """A model as a graph from tensors to tensors: base of the kinds there are.

    The steps of the sampler are unrolled. Whatever depends on the values of a
    tensor is no part of it: sampling that stops early is refused, and so is the
    ancestral sampler, which needs noise at each step.

    Args:
        head: of the model, in evaluation mode. It is changed: give a copy.
        constant_noise: keep the noise in the graph rather than as an input.

    Attributes:
        kind: of the graph, in one word.

    Raises:
        ValueError: the head samples in a way that no graph can hold.
    """

    kind: str
    noise: Tensor | None

    def __init__(self, head: Any, constant_noise: bool = False) -> None:
        super().__init__()
        self.head = head
        self.constant_noise = constant_noise
        self.register_buffer('noise', None)
        self.samples = isinstance(head, DiffusionHead)
        if not self.samples:
            return
        if head.sampler.method != 'ddim':
            raise ValueError(f'sampler.method={head.sampler.method!r} adds noise at '
                             "each step; a graph has that of the start alone: 'ddim'")
        head.sampler.require_fixed()
        if head.calibration is not None and not head.calibration.fitted:
            head.calibration = None

    def add_noise_input(self, size: tuple[int, int]) -> None:
        """Complete the inputs by the noise, or keep it.

        Args:
            size: height and width of the noisy map.
        """
        if not self.samples:
            return
        noise = start_noise(self.head, size)
        self.head.diffusion.colour = 'white'  # it has its colour already
        if self.constant_noise or not noise.shape[1]:
            self.noise = noise
            return
        self.inputs.append(GraphTensor(
            'noise', 'noise that sampling starts from, the same for every item: '
            'standard normal draws (seeds, channels, rows, columns) times the '
            "sampler's initial_noise; pink noise is coloured already", noise))

    def sample(self, feats: Tensor, tensors: Mapping[str, Tensor]
               ) -> tuple[Tensor, Tensor | None]:
        """Return the head's prediction of features and how uncertain it is."""
        noise = (tensors.get('noise', self.noise), ) if self.samples else ()
        steps = [step.float() for step in self.head.prediction_steps(feats, *noise)]
        uncertain = self.head.uncertainty(steps) \
            if hasattr(self.head, 'uncertainty') else None
        return self.head.average(steps), uncertain

    @abstractmethod
    def features(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return the features that the head reads, of the inputs by name."""

    def output(self, prediction: Tensor, uncertain: Tensor | None
               ) -> tuple[Tensor, ...]:
        """Return what the graph gives of the head's average and uncertainty."""
        return (prediction, ) if uncertain is None else (prediction, uncertain)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the prediction and, where there is one, its uncertainty."""
        named = self.named(tensors)
        return self.output(*self.sample(self.features(named), named))

    @property
    def predicts(self) -> str:
        """What the first output is called."""
        if isinstance(self.outcome, Classes | Presences):
            return 'probabilities'
        return 'metres' if getattr(self.outcome, 'unit', '') == 'metres' \
            else 'prediction'

    @property
    def outcome(self) -> Any:
        """What a prediction says of a cell."""
        return getattr(self.head, 'outcome', Presences())

    def outputs(self, results: tuple[Tensor, ...]) -> list[GraphTensor]:
        """Describe what `forward` returned."""
        free = {0: 'batch'} if self.inputs[0].free.get(0) == 'batch' else {}
        meanings = [self.meaning, 'uncertainty of each cell: '
                    f'{getattr(self.head, "uncertainty_kind", None)}']
        names = (self.predicts, 'uncertainty')
        return [GraphTensor(name, meaning, result, free)
                for name, meaning, result in zip(names, meanings, results)]

    @property
    @abstractmethod
    def meaning(self) -> str:
        """Of the first output."""


def start_noise(head: DiffusionHead, size: tuple[int, int]) -> Tensor:
    """Return the (seeds, channels, *size) noise that a head starts from, coloured."""
    noise, _ = head.sampler.noise(head.diffusion.codec.channels, size, 'cpu')
    return head.diffusion.coloured(noise)


def example(*shape: int, seed: int = 0) -> Tensor:
    """Return normal draws, to trace and check a graph with."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
