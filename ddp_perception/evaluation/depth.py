"""Depth metrics by the protocol of the KITTI Eigen split."""
import logging
import math
from collections.abc import Iterable, Sequence

import torch
from mmengine.logging import print_log
from mmseg.evaluation.metrics import DepthMetric
from terminaltables import AsciiTable
from torch import Tensor

from ddp_perception.evaluation.sample_fields import plane_of
from ddp_perception.registry import METRICS

from .depth_export import DepthExport
from .passes import describe_passes

MEASURES = DepthMetric.METRICS
"""d1, d2, d3, abs_rel, sq_rel, rmse, rmse_log, log10, silog."""

# Least and greatest row, then column, as fractions of height and width.
_FRACTIONS = {
    'garg': (.40810811, .99189189, .03594771, .96405229),
    'eigen': (.3324324, .91351351, .0359477, .96405229),
}
_NYU_BOX = (45, 471, 41, 601)  # of its 480 x 640 images
CROPS = (*_FRACTIONS, 'nyu', None)
"""Names of the evaluated boxes; None is the whole image."""


def crop_box(height: int, width: int,
             crop: str | None = 'garg') -> tuple[int, int, int, int]:
    """Return the box in which depth is evaluated.

    Args:
        height, width: Size of the depth map after the KITTI benchmark crop.
        crop: One of `CROPS`.

    Returns:
        Rows [top, bottom), columns [left, right).

    Raises:
        ValueError: an unknown crop, or 'nyu' with another size.

    Source: Garg, arXiv:1603.04992; Eigen, arXiv:1406.2283.
    """
    if crop not in CROPS:
        raise ValueError(f'crop must be one of {CROPS}, got {crop!r}')
    if crop is None:
        return 0, height, 0, width
    if crop == 'nyu':
        if (height, width) != (480, 640):
            raise ValueError("the crop 'nyu' is for maps of 480 x 640, got "
                             f'{height} x {width}')
        return _NYU_BOX
    top, bottom, left, right = _FRACTIONS[crop]
    return (int(top * height), int(bottom * height),
            int(left * width), int(right * width))


def valid_mask(truth: Tensor, min_depth: float = 1e-3, max_depth: float = 80.,
               crop: str | None = 'garg') -> Tensor:
    """Return which pixels are evaluated.

    Args:
        truth: (H, W) metres, 0 where nothing was measured.
        min_depth, max_depth: Only truth strictly between counts.
        crop: See `crop_box`.

    Returns:
        (H, W) bool.
    """
    top, bottom, left, right = crop_box(truth.shape[0], truth.shape[1], crop)
    inside = torch.zeros(truth.shape, dtype=torch.bool, device=truth.device)
    inside[top:bottom, left:right] = True
    return inside & (truth > min_depth) & (truth < max_depth)


def depth_measures(prediction: Tensor, truth: Tensor) -> dict[str, float]:
    """Return the nine measures of one image.

    With e = ln prediction - ln truth and r = max(prediction / truth,
    truth / prediction): d1, d2, d3 are the shares with r < 1.25, 1.25^2,
    1.25^3; silog = 100 sqrt(mean(e^2) - mean(e)^2), in percent; rmse and
    sq_rel are in metres.

    Args:
        prediction: (N, ) positive metres, of evaluated pixels.
        truth: (N, ) positive metres.

    Returns:
        By the names of `MEASURES`, computed in float64. All are NaN where N is
        0.

    Raises:
        ValueError: shapes differ, or a value is not positive and finite.
    """
    if prediction.shape != truth.shape or truth.dim() != 1:
        raise ValueError('prediction and truth must both be (N, ), got '
                         f'{tuple(prediction.shape)} and {tuple(truth.shape)}')
    if not truth.numel():
        return dict.fromkeys(MEASURES, math.nan)
    prediction, truth = prediction.double(), truth.double()
    for name, values in (('predicted', prediction), ('true', truth)):
        wrong = ~(torch.isfinite(values) & (values > 0))
        if wrong.any():
            raise ValueError(
                f'{int(wrong.sum())} of {len(values)} {name} depths are not '
                f'positive and finite (first: {float(values[wrong][0])})')
    ratio = torch.maximum(prediction / truth, truth / prediction)
    error = prediction - truth
    log_error = prediction.log() - truth.log()
    # Mean square about the mean: never below 0 by rounding.
    spread = (log_error - log_error.mean()).square().mean()
    measures = {
        'd1': (ratio < 1.25).double().mean(),
        'd2': (ratio < 1.25 ** 2).double().mean(),
        'd3': (ratio < 1.25 ** 3).double().mean(),
        'abs_rel': (error.abs() / truth).mean(),
        'sq_rel': (error.square() / truth).mean(),
        'rmse': error.square().mean().sqrt(),
        'rmse_log': log_error.square().mean().sqrt(),
        'log10': log_error.abs().mean() / math.log(10),
        'silog': 100 * spread.sqrt(),
    }
    return {name: float(value) for name, value in measures.items()}


def evaluate_depth(prediction: Tensor, truth: Tensor, min_depth: float = 1e-3,
                   max_depth: float = 80.,
                   crop: str | None = 'garg') -> dict[str, float] | None:
    """Evaluate one image.

    The prediction is clamped to [min_depth, max_depth] first.

    Args:
        prediction, truth: (H, W) metres.
        min_depth, max_depth, crop: See `valid_mask`.

    Returns:
        See `depth_measures`; None where no pixel is evaluated.

    Raises:
        ValueError: shapes differ, or an evaluated prediction is NaN.
    """
    if prediction.shape != truth.shape or truth.dim() != 2:
        raise ValueError('prediction and truth must both be (H, W), got '
                         f'{tuple(prediction.shape)} and {tuple(truth.shape)}')
    truth = truth.to(prediction.device)
    mask = valid_mask(truth, min_depth, max_depth, crop)
    if not mask.any():
        return None
    # In float64, so that a float16 prediction clamps to the very limits.
    return depth_measures(prediction[mask].double().clamp(min_depth,
                                                          max_depth),
                          truth[mask])


def mean_measures(per_image: Iterable[dict | None]) -> tuple[dict[str, float], int]:
    """Average over images, leaving out those without an evaluated pixel.

    Args:
        per_image: Results of `evaluate_depth`, one per image.

    Returns:
        The means, NaN where no image is left, whatever the order of the
        images; and how many were left out.
    """
    per_image = list(per_image)
    kept = [measures for measures in per_image if measures is not None]
    means = {name: math.fsum(measures[name] for measures in kept) / len(kept)
             if kept else math.nan for name in MEASURES}
    return means, len(per_image) - len(kept)


@METRICS.register_module()
class KITTIDepthMetric(DepthMetric):
    """Nine depth measures per image, averaged over images.

    A pixel counts where min_depth < truth < max_depth, both strict, inside
    the crop. Predictions are clamped to [min_depth, max_depth]. An image in
    which no pixel counts has no figure: it is left out of the average and
    counted in the log; where that is every image, the metrics are NaN.
    Figures depend neither on batch size nor on the order of images.

    Args:
        depth_metrics: Some of `MEASURES`, all by default.
        min_depth, max_depth: Metres.
        crop: 'garg', 'eigen', 'nyu' or None.
        output_dir: Also write each prediction as the KITTI benchmark wants it;
            see `DepthExport`. For the benchmark, max_depth is 88 as a rule.
        format_only: Only write, for lists without truth.
        collect_device: 'cpu' or 'gpu', for many processes.
        prefix: Put before each name.

    Reads pred_depth_map and gt_depth_map (1, H, W) in metres, img_path, and
    decoder_passes of the metainfo, where it is there, for the printed table.

    Raises:
        ValueError: unknown measures or crop, format_only without output_dir,
            a sample without prediction or truth, or of different sizes, or
            a prediction that is NaN.

    Source: protocol of the Eigen split as DDP, arXiv:2303.17559, evaluates
    it. Differs from mmseg's DepthMetric in silog, crops, clamping, images
    without truth and the names of exported files.
    """

    default_prefix = ''  # names as in mmseg, and no warning about it

    def __init__(self, depth_metrics: Sequence[str] | None = None,
                 min_depth: float = 1e-3, max_depth: float = 80.,
                 crop: str | None = 'garg', output_dir: str | None = None,
                 format_only: bool = False, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        depth_metrics = list(depth_metrics or MEASURES)
        unknown = [name for name in depth_metrics if name not in MEASURES]
        if unknown:
            raise ValueError(f'depth_metrics must be among {MEASURES}, got '
                             f'{unknown}')
        if crop not in CROPS:
            raise ValueError(f'crop must be one of {CROPS}, got {crop!r}')
        if not 0 < min_depth < max_depth:
            raise ValueError('depths must be 0 < min_depth < max_depth, got '
                             f'{min_depth} and {max_depth}')
        if format_only and not output_dir:
            raise ValueError('format_only needs an output_dir')
        super().__init__(min_depth_eval=min_depth, max_depth_eval=max_depth,
                         output_dir=output_dir, format_only=format_only,
                         collect_device=collect_device, prefix=prefix)
        self.metrics = depth_metrics  # mmseg 1.2 fails if it is given any
        self.crop = crop
        self.export = DepthExport(
            output_dir, min_depth, max_depth) if output_dir else None
        self._passes: set[tuple] = set()

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Evaluate or write each sample of a batch."""
        for sample in data_samples:
            prediction = plane_of(sample, 'pred_depth_map')
            if self.export:
                self.export(prediction, sample['img_path'])
            measures = None
            if not self.format_only:
                measures = evaluate_depth(
                    prediction, plane_of(sample, 'gt_depth_map'),
                    self.min_depth_eval, self.max_depth_eval, self.crop)
            self.results.append((sample.get('img_path'), measures))
            passes = sample.get('decoder_passes')
            if passes:
                self._passes.add(tuple(sorted(passes.items())))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average the images and print the table."""
        if self.export:
            self.export.check_names(path for path, _ in results)
            print_log(f'{len(results)} depth maps are in {self.output_dir}',
                      'current')
        if self.format_only:
            return {}
        means, skipped = mean_measures(measures for _, measures in results)
        means = {name: means[name] for name in self.metrics}
        passes = '; '.join(sorted(describe_passes(**dict(item))
                                  for item in self._passes))
        table = AsciiTable([list(means),
                            [f'{value:.4f}' for value in means.values()]])
        print_log(f'Depth, {len(results) - skipped} images, crop '
                  f'{self.crop or "none"}, {self.min_depth_eval:g} to '
                  f'{self.max_depth_eval:g} m'
                  f'{", " * bool(passes)}{passes}\n{table.table}', 'current')
        if skipped:
            print_log(f'{skipped} of {len(results)} images have no pixel to '
                      'evaluate and are left out', 'current',
                      level=logging.WARNING)
        return means
