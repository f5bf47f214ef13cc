"""Fit the temperature of a model's head; usable from Python too."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ddp_perception.cli.errors import UserError
from ddp_perception.diffusion import Presences
from ddp_perception.evaluation import (
    calibration_measures,
    count_classes,
    count_maps,
    pool_counts,
)
from ddp_perception.evaluation.calibration_cells import LEAST_PROBABILITY
from ddp_perception.evaluation.sample_fields import plane_of, tensor_of
from ddp_perception.evaluation.temperature import (
    LARGEST,
    RANGE,
    CellSubsample,
    is_at_bound,
)
from ddp_perception.heads import DiffusionHead
from ddp_perception.prediction_heads import heads_of
from ddp_perception.progress import hides_bar

if TYPE_CHECKING:
    from mmengine.model import BaseModel
    from torch.utils.data import DataLoader

    from ddp_perception.evaluation import CalibrationCounts


@dataclass(frozen=True)
class Calibration:
    """What a temperature does to the samples that it was fitted to.

    Args:
        groups: names: of each overlapping class, or 'all'.
        temperatures: one for each.
        offsets: one for each class, or None where none were fitted.
        before, after: measures of all cells at temperature 1 and at the
            fitted ones; see `calibration_measures`.
        samples: how many.
        cells: how many all samples have, all groups together.
    """

    groups: tuple[str, ...]
    temperatures: tuple[float, ...]
    offsets: tuple[float, ...] | None
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    samples: int
    cells: int

    def table(self) -> str:
        """Return temperature, NLL and ECE of each group, the means, and offsets."""
        from terminaltables import AsciiTable
        rows = [['class', 'temperature', 'NLL before', 'after', 'ECE before', 'after']]
        columns = [measures[name] for name in ('nll', 'ece')
                   for measures in (self.before, self.after)]
        for group, temperature, *values in zip(self.groups, self.temperatures, *columns,
                                               strict=True):
            rows.append([group, f'{temperature:.4f}',
                         *(f'{value:.5f}' for value in values)])
        if len(self.groups) > 1:
            rows.append(['mean', '', *(f'{column.mean():.5f}' for column in columns)])
        lines = [f'{self.samples} samples, {self.cells} cells', AsciiTable(rows).table]
        if self.offsets is not None:
            lines.append('offsets of the classes: '
                         + ' '.join(f'{value:.3f}' for value in self.offsets))
        return '\n'.join(lines)

    def warnings(self) -> list[str]:
        """Say what is odd about the result."""
        found = [f'the temperature of {group} is at the end of the range '
                 f'{RANGE[0]:g} to {RANGE[1]:g} or beyond it'
                 for group, temperature in zip(self.groups, self.temperatures,
                                               strict=True)
                 if is_at_bound(temperature)]
        if self.after['nll'].mean() > self.before['nll'].mean():
            found.append('NLL of all cells has grown: more cells per sample, or, where '
                         'probabilities are resized after the temperature '
                         "(average='all'), a model of average='last' may help")
        return found

    def record(self) -> dict[str, Any]:
        """Return it as plain values, for a checkpoint's notes."""
        return dict(
            samples=self.samples, cells=self.cells,
            temperature=dict(zip(self.groups, self.temperatures, strict=True)),
            offsets=None if self.offsets is None else list(self.offsets),
            **{f'{name}_{when}': float(measures[name].mean()) for name in ('nll', 'ece')
               for when, measures in (('before', self.before), ('after', self.after))})


def calibrated_head(model: BaseModel, config: str) -> tuple[str, Any]:
    """Return name and module of the one head of a model that has a temperature.

    Raises:
        UserError: it has none, or several.
    """
    found = [(name, module) for name, module in model.named_modules()
             if isinstance(module, DiffusionHead) and module.temperature is not None]
    if len(found) != 1:
        names = ', '.join(type(head).__name__ for head in heads_of(model)) or 'none'
        raise UserError(
            f'{config} cannot be calibrated: temperature scaling takes the one '
            'diffusion head that predicts classes, such as SegHead or MapSegHead; '
            f'depth and other quantities have no probabilities. Its heads: {names}')
    return found[0]


def calibrate_head(model: BaseModel, head: Any, loader: DataLoader,
                   cells_per_sample: int, progress: bool = True,
                   offsets: bool = False) -> Calibration:
    """Fit a head's temperature and leave it there.

    The samples are predicted twice: at temperature 1, and to measure what
    the temperature has done to what the model predicts in the end.

    Args:
        model: its weights loaded.
        head: of the model, with a temperature.
        loader: samples with truth, in a fixed order.
        cells_per_sample: to fit to; fewer where all scores would be more than
            `LARGEST`.
        progress: show a bar with the time left.
        offsets: fit an offset of each class as well.

    Raises:
        ValueError: a sample lacks prediction or truth, they differ in size, or
            scores are not finite.
        UserError: no cell has truth, or the head does not know its classes.
    """
    if offsets and head.calibration.classes is None:
        raise UserError(f'{type(head).__name__} does not say how many classes it has; '
                        'calibrate it without offsets')
    head.calibration.assign(torch.ones_like(head.temperature))
    subsample, counts = None, []
    for scores, labels in _predictions(model, head, loader, 'fitting', progress):
        counts.append(_counts(head, scores, labels))
        if subsample is None:
            samples = len(loader.dataset)  # type: ignore[arg-type]  # it is sized
            bound = LARGEST // (samples * len(scores))
            subsample = CellSubsample(max(1, min(cells_per_sample, bound)))
        subsample.add(*_cells(head, scores, labels))
    before = pool_counts(counts)
    if subsample is None or not before.cells.sum():
        raise UserError('no cell of the split has truth')
    moved = None
    if offsets:
        temperature, moved = subsample.scaling()
    else:
        temperature = torch.tensor([fit.temperature for fit in subsample.fits(
            shared=len(head.temperature) == 1)], dtype=torch.float64)
    head.calibration.assign(temperature[:len(head.temperature)].to(head.temperature),
                            moved)
    after = pool_counts([
        _counts(head, *pair)
        for pair in _predictions(model, head, loader, 'measuring', progress)])
    return Calibration(
        _groups(head, len(temperature)), tuple(temperature.tolist()),
        None if moved is None else tuple(moved.tolist()), calibration_measures(before),
        calibration_measures(after), len(counts), int(before.cells.sum()))


def _groups(head: Any, count: int) -> tuple[str, ...]:
    """Name what is calibrated apart."""
    if isinstance(head.outcome, Presences):
        names = tuple(getattr(head, 'classes', ()))
        return names if len(names) == count else tuple(map(str, range(count)))
    return ('all', )


def _predictions(model: BaseModel, head: Any, loader: DataLoader, what: str,
                 progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield scores (K, H, W) and truth, (H, W) or (K, H, W), of each sample."""
    from tqdm import tqdm
    maps = isinstance(head.outcome, Presences)
    for batch in tqdm(loader, desc=what, unit='batch', disable=hides_bar(progress)):
        with torch.no_grad():
            samples = model.test_step(batch)
        for sample in samples:
            # mmseg's segmentors keep the scores beside the labels.
            field = ('seg_logits' if not maps and 'seg_logits' in sample
                     else head.prediction_field)
            scores = tensor_of(sample, field)
            read = tensor_of if maps else plane_of
            labels = read(sample, head.truth_field,
                          'the pipeline of evaluation must load it')
            yield scores, labels.to(scores.device)


def _counts(head: Any, scores: Tensor, labels: Tensor) -> CalibrationCounts:
    logits = not head.averages_probabilities
    if isinstance(head.outcome, Presences):
        return count_maps(scores.sigmoid() if logits else scores, labels)
    return count_classes(scores, labels, logits=logits, ignore_index=_ignored(head))


def _cells(head: Any, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (K, N), and labels (N, ) or masks (K, N), that count."""
    scores = scores.double()
    if isinstance(head.outcome, Presences):
        if head.averages_probabilities:
            scores = scores.logit(LEAST_PROBABILITY)
        return scores.flatten(1), labels.flatten(1)
    if head.averages_probabilities:
        scores = scores.clamp(min=LEAST_PROBABILITY).log()
    counted = labels != _ignored(head)
    return scores[:, counted], labels[counted]


def _ignored(head: Any) -> int:
    return getattr(head, 'ignore_index', 255)
