"""The option records that every diffusion head takes.

A head is configured by three of them: how the map decoder is built, how labels
are noised, and (`Sampler`) how predictions are sampled. In a configuration each
is a dictionary that names what differs from the head's own defaults::

    decoder=dict(num_layers=4), diffusion=dict(scale=1.), sampler=dict(num_steps=10)
"""
from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from ddp_perception.decoder.recipes import TrainingMaps, training_maps

Record = TypeVar('Record')


def record_of(kind: type[Record], value: Record | Mapping[str, Any] | None,
              **defaults: Any) -> Record:
    """Build an option record from what a configuration says.

    Args:
        kind: class of the record.
        value: the record itself, the options that differ from the defaults,
            or None.
        defaults: the head's own defaults.

    Raises:
        TypeError: ``value`` is neither, or has an option that the record does
            not have; names the nearest one that it has.
    """
    if isinstance(value, kind):
        return value
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        raise TypeError(f'{kind.__name__} is given as a dictionary of options, got '
                        f'{value!r}')
    names = [field.name for field in dataclasses.fields(cast(Any, kind)) if field.init]
    for name in value:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, 1)
            raise TypeError(
                f'{kind.__name__} has no option {name!r}'
                + (f'; did you mean {near[0]!r}?' if near else '')
                + f' It has {", ".join(names)}')
    return kind(**{**defaults, **value})


@dataclass(frozen=True)
class DecoderOptions:
    """Size of the map decoder; see `MapDecoder`.

    Args:
        channels: width of the decoded map and, where classes are embedded, of
            the noisy map.
        num_layers: deformable-attention layers.
        num_heads: attention heads.
        num_points: positions that each head samples.
        feedforward_channels: hidden width of the feed-forward parts, by
            default four times ``channels``.
        time_conditioning: False builds layers that ignore the noise level, as
            the released BEV and depth models do.
        with_cp: less memory in training for more time (activation
            checkpointing); see `MapDecoder`.

    Raises:
        ValueError: a number below 1.
    """

    channels: int = 256
    num_layers: int = 6
    num_heads: int = 8
    num_points: int = 4
    feedforward_channels: int | None = None
    time_conditioning: bool = True
    with_cp: bool = False

    def __post_init__(self) -> None:
        for name in ('channels', 'num_layers', 'num_heads', 'num_points',
                     'feedforward_channels'):
            value = getattr(self, name)
            if value is None and name == 'feedforward_channels':
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f'decoder.{name} must be a whole number of at least '
                                 f'1, got {value!r}')


@dataclass(frozen=True)
class DiffusionOptions:
    """How labels are encoded and noised; see `LabelDiffusion`.

    Args:
        scale: encoded labels lie within +/- scale, while noise has unit
            variance.
        schedule: ``'cosine'``, ``'cosine_unclamped'`` or ``'linear'``; see
            `NoiseSchedule`.
        sample_range: least and greatest time in training; sampling ends at
            the least.
        time_difference: see `sampling_times`.
        self_aligned: share of the iterations that train on the head's own
            noised predictions in place of the noised truth; True is all.
        recipe: which noisy maps training sees: ``'published'``,
            ``'on_policy'``, ``'unrolled'``, ``'rollout'``, ``'samples'``, or shares;
            see `training_maps`.
        feedback: what of a prediction goes back into the sampler: ``'decided'``, its
            classes, as published, or ``'expected'``, their mean by probability.
        noise: ``'white'``, or ``'pink'``, whose draws differ in the layout more
            than in details; see `pink_noise`.
        noisy_map: False builds the same decoder without a noisy map: no
            diffusion, one pass. Only ``recipe='published'`` and a sampler of
            one step fit it.

    Raises:
        ValueError: a scale that is not positive, or what `training_maps`
            refuses.
    """

    scale: float = 0.1
    schedule: str = 'cosine'
    sample_range: tuple[float, float] = (0., 0.999)
    time_difference: float = 1.
    self_aligned: float = False
    recipe: str | Mapping[str, float] | TrainingMaps = 'published'
    noise: str = 'white'
    noisy_map: bool = True
    feedback: str = 'decided'

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f'diffusion.scale must be positive, got {self.scale!r}')
        maps = self.training_maps
        if not self.noisy_map and maps != TrainingMaps():
            raise ValueError('diffusion.noisy_map=False has no noisy maps to train on, '
                             f'got {maps}')

    @property
    def training_maps(self) -> TrainingMaps:
        """Which noisy maps training sees."""
        return training_maps(self.recipe, self.self_aligned)
