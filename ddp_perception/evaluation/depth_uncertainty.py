"""How well an uncertainty of depth follows its error, over a data set."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from terminaltables import AsciiTable

from ddp_perception.evaluation.depth import CROPS, valid_mask
from ddp_perception.evaluation.sample_fields import plane_of, write_curves
from ddp_perception.evaluation.sparsification import (
    ERRORS,
    DepthCounts,
    ause,
    correlations,
    count_depth,
    pool_depth,
    sparsification,
)
from ddp_perception.registry import METRICS


@METRICS.register_module()
class DepthUncertaintyMetric(BaseMetric):
    """Sparsification error and correlation of a depth uncertainty.

    The same pixels count as in `KITTIDepthMetric`, and predictions are clamped
    alike, but all pixels of the set are pooled, not averaged per image: an
    image counts by its measured pixels, one without any not at all. Figures
    depend neither on the batch size nor on how images were shared among
    processes.

    Figures: ``uncertainty/ause_abs_rel`` and ``ause_rmse`` (of errors as a
    fraction of the error of all pixels; 0 is best), ``uncertainty/pearson``
    and ``spearman`` (of uncertainty and absolute error in metres).

    Args:
        prediction_field: metres, (1, H, W).
        truth_field: metres, (1, H, W), 0 where nothing was measured.
        uncertainty_field: (1, H, W), at least 0, of any unit; by default
            ``<prediction_field>_uncertainty``.
        min_depth, max_depth: metres; only truth strictly between counts.
        crop: ``'garg'``, ``'eigen'``, ``'nyu'`` or None.
        curves_file: also write the sparsification curves there, as JSON.
        collect_device: ``'cpu'`` or ``'gpu'``, for many processes.
        prefix: put before each name; two metrics of one evaluator need it.

    Raises:
        ValueError: an unknown crop, a sample without prediction, truth or
            uncertainty, sizes that differ, or an evaluated value that is NaN.

    Source: see `sparsification`.
    """

    default_prefix = ''  # the names say what they are

    def __init__(self, prediction_field: str = 'pred_depth_map',
                 truth_field: str = 'gt_depth_map',
                 uncertainty_field: str | None = None, *, min_depth: float = 1e-3,
                 max_depth: float = 80., crop: str | None = 'garg',
                 curves_file: str | None = None, collect_device: str = 'cpu',
                 prefix: str | None = None):
        if crop not in CROPS:
            raise ValueError(f'crop must be one of {CROPS}, got {crop!r}')
        if not 0 < min_depth < max_depth:
            raise ValueError('depths must be 0 < min_depth < max_depth, got '
                             f'{min_depth} and {max_depth}')
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.prediction_field = prediction_field
        self.truth_field = truth_field
        self.uncertainty_field = uncertainty_field or f'{prediction_field}_uncertainty'
        self.min_depth, self.max_depth, self.crop = min_depth, max_depth, crop
        self.curves_file = curves_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count each sample of a batch."""
        self.results.extend(self._count(sample) for sample in data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Pool the counts of all images and print the table."""
        counts = pool_depth(results)
        measures = {f'ause_{error}': ause(counts, error) for error in ERRORS}
        figures = {f'uncertainty/{name}': value
                   for name, value in (measures | correlations(counts)).items()}
        if self.curves_file:
            write_curves(self.curves_file, dict(figures=figures, sparsification={
                error: dict(zip(('kept', 'error', 'oracle'),
                                sparsification(counts, error)))
                for error in ERRORS}))
        table = AsciiTable([list(figures), [f'{value:.4f}'
                                            for value in figures.values()]])
        print_log(f'Uncertainty of depth, {len(results)} images, {counts.pixels} '
                  f'pixels, crop {self.crop or "none"}, {self.min_depth:g} to '
                  f'{self.max_depth:g} m\n{table.table}', 'current')
        return figures

    def _count(self, sample: Mapping[str, Any]) -> DepthCounts:
        prediction = plane_of(sample, self.prediction_field)
        truth = plane_of(sample, self.truth_field).to(prediction.device)
        uncertainty = plane_of(sample, self.uncertainty_field,
                               'ask the head for an uncertainty')
        if not prediction.shape == truth.shape == uncertainty.shape:
            raise ValueError(
                'prediction, truth and uncertainty must be of one size, got '
                f'{tuple(prediction.shape)}, {tuple(truth.shape)} and '
                f'{tuple(uncertainty.shape)}')
        mask = valid_mask(truth, self.min_depth, self.max_depth, self.crop)
        # In float64, so that a float16 prediction clamps to the very limits.
        return count_depth(
            prediction[mask].double().clamp(self.min_depth, self.max_depth),
            truth[mask], uncertainty.to(mask.device)[mask])
