"""Calibration of class labels and of maps over a data set."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from terminaltables import AsciiTable

from ddp_perception.datasets.map_classes import MAP_CLASSES
from ddp_perception.evaluation.calibration import calibration_measures, reliability
from ddp_perception.evaluation.calibration_counts import (
    RELIABILITY_BINS,
    CalibrationCounts,
    count_classes,
    count_maps,
    pool_counts,
)
from ddp_perception.evaluation.ranking import (
    ranking_bounds,
    ranking_measures,
    risk_coverage,
)
from ddp_perception.evaluation.sample_fields import (
    plane_of,
    tensor_of,
    write_curves,
)
from ddp_perception.registry import METRICS

UNCERTAINTIES = ('entropy', 'confidence', 'field')
"""Entropy of the prediction; 1 less its greatest probability; what a head wrote."""

SCORES = ('logits', 'probabilities', 'multi_label')
"""Of classes that exclude each other: logits or probabilities; of overlapping ones."""


@METRICS.register_module()
class CalibrationMetric(BaseMetric):
    """How true probabilities are, and how well an uncertainty finds errors.

    All cells of the set are pooled, not averaged per image. Each sample leaves
    counts of a fixed size, some 9 KB per uncertainty, so the figures depend
    neither on the batch size nor on how samples were shared among processes.

    Figures:

    - ``calibration/ece``, ``brier`` and ``nll`` (nats). For overlapping classes
      means over those, which are given too, as ``calibration/<class>/ece``.
    - ``uncertainty/error_rate``, the share of wrong cells, and per uncertainty
      ``uncertainty/<name>/auroc``, ``aupr`` (wrong cells are the positives) and
      ``aurc``, over the cells of all classes. Uncertainties are compared in
      1089 bins; the printed table tells within which interval the exact
      figure lies.

    Pixels with the ignored label do not count, and an image that has no others
    changes no figure. Every cell of a map counts.

    Args:
        scores: what is predicted: ``'logits'`` of classes that exclude each
            other, their ``'probabilities'`` (of a `SegHead` with
            ``sampler=dict(average='all')``), or ``'multi_label'``,
            probabilities of overlapping classes.
        uncertainty: one or more of `UNCERTAINTIES`.
        scores_field: of the data sample; by default ``seg_logits`` or, for
            maps, ``pred_map_seg``. (K, H, W).
        truth_field: by default ``gt_sem_seg``, (1, H, W) labels, or
            ``gt_map_seg``, (K, H, W) masks.
        uncertainty_field: what ``'field'`` reads; by default
            ``pred_sem_seg_uncertainty`` or ``pred_map_seg_uncertainty``.
            (1, H, W), or for maps also (K, H, W).
        ignore_index: label of pixels that do not count.
        threshold: probability from which an overlapping class is predicted.
        bins: of the reliability data.
        classes: names of overlapping classes, by default the data set's
            ``map_classes``.
        curves_file: also write the reliability data and the risk at 100
            coverages there, as JSON.
        collect_device: ``'cpu'`` or ``'gpu'``, for many processes.
        prefix: put before each name; two metrics of one evaluator need it.

    Raises:
        ValueError: an unknown option, a sample without prediction, truth or
            uncertainty, shapes that differ, values that are no probabilities.

    Source: see `calibration_measures` and `ranking_measures`.
    """

    default_prefix = ''  # the names say what they are

    def __init__(self, scores: str = 'logits',
                 uncertainty: str | Sequence[str] = 'entropy', *,
                 scores_field: str | None = None, truth_field: str | None = None,
                 uncertainty_field: str | None = None, ignore_index: int = 255,
                 threshold: float = 0.5, bins: int = RELIABILITY_BINS,
                 classes: Sequence[str] | None = None,
                 curves_file: str | None = None, collect_device: str = 'cpu',
                 prefix: str | None = None):
        if scores not in SCORES:
            raise ValueError(f'scores must be one of {SCORES}, got {scores!r}')
        names = (uncertainty, ) if isinstance(uncertainty, str) else tuple(uncertainty)
        if not set(names) <= set(UNCERTAINTIES) or len(set(names)) < len(names):
            raise ValueError(f'uncertainty must be among {UNCERTAINTIES}, each once, '
                             f'got {uncertainty!r}')
        if not 0 < threshold < 1:
            raise ValueError(f'threshold must be between 0 and 1, got {threshold}')
        if bins < 1:
            raise ValueError(f'bins must be at least 1, got {bins}')
        super().__init__(collect_device=collect_device, prefix=prefix)
        maps = scores == 'multi_label'
        prediction = 'pred_map_seg' if maps else 'pred_sem_seg'
        self.scores = scores
        self.uncertainties = names
        self.scores_field = scores_field or (prediction if maps else 'seg_logits')
        self.truth_field = truth_field or ('gt_map_seg' if maps else 'gt_sem_seg')
        self.uncertainty_field = uncertainty_field or f'{prediction}_uncertainty'
        self.ignore_index = ignore_index
        self.threshold = threshold
        self.bins = bins
        self.classes = None if classes is None else tuple(classes)
        self.curves_file = curves_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count each sample of a batch."""
        self.results.extend(self._count(sample) for sample in data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Pool the counts of all samples and print the tables."""
        counts = pool_counts(results)
        names = self._groups(len(counts.cells))
        measures = calibration_measures(counts)
        figures = {f'calibration/{key}': float(values.mean())
                   for key, values in measures.items()}
        if self.scores == 'multi_label':
            figures |= {f'calibration/{name}/{key}': float(values[index])
                        for index, name in enumerate(names)
                        for key, values in measures.items()}
        bounds: dict = {}
        for name, ranked in zip(self.uncertainties, counts.ranked, strict=True):
            ranking = ranking_measures(ranked)
            figures['uncertainty/error_rate'] = ranking.pop('error_rate')
            figures |= {f'uncertainty/{name}/{key}': value
                        for key, value in ranking.items()}
            bounds |= {f'uncertainty/{name}/{key}': value
                       for key, value in ranking_bounds(ranked).items()}
        if self.curves_file:
            write_curves(self.curves_file, self._curves(counts, names, figures))
        print_log(f'Calibration, {len(results)} samples, '
                  f'{int(counts.cells.sum())} cells\n'
                  + _table(figures, bounds), 'current')
        return figures

    def _count(self, sample: Mapping[str, Any]) -> CalibrationCounts:
        scores = tensor_of(sample, self.scores_field)
        maps = self.scores == 'multi_label'
        field = None
        if 'field' in self.uncertainties:
            read = tensor_of if maps else plane_of
            field = read(sample, self.uncertainty_field,
                         'ask the head for an uncertainty')
        if maps:
            counts = count_maps(
                scores, tensor_of(sample, self.truth_field), self.uncertainties, field,
                threshold=self.threshold, bins=self.bins)
        else:
            counts = count_classes(
                scores, plane_of(sample, self.truth_field), self.uncertainties, field,
                logits=self.scores == 'logits', ignore_index=self.ignore_index,
                bins=self.bins)
        return counts

    def _groups(self, count: int) -> tuple[str, ...]:
        if self.scores != 'multi_label':
            return ('all', )
        names = tuple(self.classes or (self.dataset_meta or {}).get('map_classes')
                      or MAP_CLASSES)
        if len(names) != count:
            raise ValueError(f'{count} classes are predicted, but {len(names)} have '
                             f'names: {names}')
        return names

    def _curves(self, counts: CalibrationCounts, names: Sequence[str],
                figures: Mapping[str, float]) -> dict[str, Any]:
        data = reliability(counts)
        edges = data.pop('edges')
        return dict(
            figures=figures, edges=edges,
            reliability={name: {key: values[index] for key, values in data.items()}
                         for index, name in enumerate(names)},
            risk_coverage={name: dict(zip(('coverage', 'risk'), risk_coverage(ranked)))
                           for name, ranked in zip(self.uncertainties, counts.ranked)})


def _table(figures: Mapping[str, float], bounds: Mapping[str, tuple[float, float]]
           ) -> str:
    rows = [['figure', 'value', 'exact value within']]
    for name, value in figures.items():
        low, high = bounds.get(name, (value, value))
        within = '' if np.isnan(value) or low == high else f'{low:.5f} to {high:.5f}'
        rows.append([name, f'{value:.5f}', within])
    return AsciiTable(rows).table
