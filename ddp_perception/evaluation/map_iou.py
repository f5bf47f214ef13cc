"""IoU of map segmentation, by the nuScenes BEV protocol."""
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from terminaltables import AsciiTable
from torch import Tensor

from ddp_perception.datasets.map_classes import MAP_CLASSES
from ddp_perception.evaluation.passes import describe_passes
from ddp_perception.evaluation.sample_fields import tensor_of
from ddp_perception.registry import METRICS

THRESHOLDS = (0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65)


def count_map(probability: Tensor, label: Tensor,
              thresholds: Sequence[float] = THRESHOLDS) -> Tensor:
    """Count true positives, false positives and false negatives.

    A cell counts as predicted where its probability is at least the
    threshold, compared in float32. Every cell of the grid counts, seen by a
    sensor or not; none is ignored. Cells are those of `MapRasterizer`.

    Args:
        probability: (C, X, Y), in [0, 1].
        label: (C, X, Y), 0 or 1. Classes may overlap.
        thresholds: T thresholds.

    Returns:
        (C, T, 3) int64 on the device of `probability`: TP, FP, FN.

    Raises:
        ValueError: shapes differ, a label is not 0 or 1, or a probability is
            NaN.
    """
    if probability.shape != label.shape or probability.dim() != 3:
        raise ValueError(
            'prediction and label must both be (classes, X, Y), got '
            f'{tuple(probability.shape)} and {tuple(label.shape)}')
    probability = probability.flatten(1).float()
    label = label.to(probability.device).flatten(1)
    if label.dtype != torch.bool:
        wrong = label[(label != 0) & (label != 1)]
        if wrong.numel():
            raise ValueError('map labels must be 0 or 1, got '
                             f'{wrong.unique().tolist()[:5]}')
        label = label.bool()
    if probability.isnan().any():
        raise ValueError(f'{int(probability.isnan().sum())} of '
                         f'{probability.numel()} probabilities are NaN')
    limits = torch.tensor(thresholds, dtype=torch.float32,
                          device=probability.device)
    counts = probability.new_zeros((len(label), len(limits), 3),
                                   dtype=torch.int64)
    positives = label.sum(1)
    for index, limit in enumerate(limits):
        predicted = probability >= limit
        hits = (predicted & label).sum(1)
        counts[:, index, 0] = hits
        counts[:, index, 1] = predicted.sum(1) - hits
        counts[:, index, 2] = positives - hits
    return counts


def map_iou(counts: Tensor, classes: Sequence[str] = MAP_CLASSES,
            thresholds: Sequence[float] = THRESHOLDS) -> dict[str, float]:
    """Turn pooled counts into the metrics of the protocol.

    IoU = TP / (TP + FP + FN + 1e-7) from counts summed over all frames, per
    class and threshold; `iou@max` is a class's best threshold; the mean is
    over the classes' best. A class that never occurs and is never predicted
    has IoU 0 and counts in the mean.

    Args:
        counts: (C, T, 3) int64, summed over frames.
        classes: C names.
        thresholds: T thresholds.

    Returns:
        map/<class>/iou@<threshold>, map/<class>/iou@max, map/mean/iou@max;
        fractions, not percent.
    """
    if counts.shape != (len(classes), len(thresholds), 3):
        raise ValueError(f'counts must be ({len(classes)}, {len(thresholds)}, '
                         f'3), got {tuple(counts.shape)}')
    pooled = counts.cpu().numpy().astype(np.float64)
    iou = pooled[..., 0] / (pooled.sum(-1) + 1e-7)
    metrics = {}
    for name, row in zip(classes, iou, strict=True):
        metrics[f'map/{name}/iou@max'] = float(row.max())
        for threshold, value in zip(thresholds, row, strict=True):
            metrics[f'map/{name}/iou@{threshold:.2f}'] = float(value)
    metrics['map/mean/iou@max'] = float(iou.max(1).mean())
    return metrics


@METRICS.register_module()
class MapIoUMetric(BaseMetric):
    """Map segmentation IoU over a data set, in any number of processes.

    Counts are integers, one set per frame, so the metrics depend neither on
    the batch size nor on how frames were shared among processes.

    Args:
        thresholds: Tried for every class.
        classes: Names in the order of the masks. By default the data set's
            `map_classes`.
        step: Evaluate one sampling step's own probabilities (0 is the first
            step) instead of the final ones. They must be in the data sample as
            `pred_map_seg_steps` (steps, C, X, Y). The metrics are then named
            step_<step + 1>/map/...
        collect_device: 'cpu' or 'gpu', for many processes.
        prefix: Put before each name.

    Reads pred_map_seg (probabilities) and gt_map_seg of the data samples,
    and decoder_passes of their metainfo for the printed table.

    Raises:
        ValueError: a sample has no prediction or truth, or see `count_map`.

    Source: MIT BEVFusion, arXiv:2205.13542, as DDP uses it. Departs from it
    in summing integers, which never round.
    """

    default_prefix = ''  # the names say "map" already

    def __init__(self, thresholds: Sequence[float] = THRESHOLDS,
                 classes: Sequence[str] | None = None, step: int | None = None,
                 collect_device: str = 'cpu', prefix: str | None = None) -> None:
        if step is not None and step < 0:
            raise ValueError(f'step must be at least 0, got {step}')
        if step is not None and prefix is None:
            prefix = f'step_{step + 1}'
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.thresholds = tuple(thresholds)
        self.classes = None if classes is None else tuple(classes)
        self.step = step
        self._passes: set[tuple] = set()

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Count each sample of a batch."""
        for sample in data_samples:
            truth = tensor_of(sample, 'gt_map_seg')
            counts = count_map(self._probability(sample), truth,
                               self.thresholds)
            self.results.append(counts.cpu())
            passes = sample.get('decoder_passes')
            if passes:
                self._passes.add(tuple(sorted(passes.items())))

    def compute_metrics(self, results: list[Tensor]) -> dict[str, float]:
        """Pool the counts of all frames and print the table."""
        classes = (self.classes
                   or (self.dataset_meta or {}).get('map_classes')
                   or MAP_CLASSES)
        metrics = map_iou(torch.stack(results).sum(0), classes,
                          self.thresholds)
        print_log(f'Map segmentation, {len(results)} frames, '
                  f'{self._describe()}\n'
                  + iou_table(metrics, classes, self.thresholds), 'current')
        return metrics

    def _probability(self, sample: dict) -> Tensor:
        if self.step is None:
            return tensor_of(sample, 'pred_map_seg')
        steps = sample.get('pred_map_seg_steps')
        if steps is None:
            raise ValueError('the sample has no pred_map_seg_steps; ask the head '
                             'to keep the steps')
        if self.step >= len(steps):
            raise ValueError(f'step {self.step} was asked for, but only '
                             f'{len(steps)} steps were kept')
        return steps[self.step]

    def _describe(self) -> str:
        if self.step is not None:
            return f'sampling step {self.step + 1} alone'
        if not self._passes:
            return 'one pass'
        return '; '.join(sorted(describe_passes(**dict(passes))
                                for passes in self._passes))


def iou_table(metrics: Mapping[str, float], classes: Sequence[str] = MAP_CLASSES,
              thresholds: Sequence[float] = THRESHOLDS) -> str:
    """Return the metrics as a text table, in percent."""
    head = ['class', *(f'@{threshold:.2f}' for threshold in thresholds),
            'best']
    rows = [[name, *(f'{100 * metrics[f"map/{name}/iou@{threshold:.2f}"]:.1f}'
                     for threshold in thresholds),
             f'{100 * metrics[f"map/{name}/iou@max"]:.1f}']
            for name in classes]
    rows.append(['mean', *[''] * len(thresholds),
                 f'{100 * metrics["map/mean/iou@max"]:.1f}'])
    table = AsciiTable([head, *rows])
    table.inner_footing_row_border = True
    return table.table
