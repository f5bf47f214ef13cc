"""Metrics, registered as ``ddp.<Type>``."""
from .calibration import calibration_measures, reliability
from .calibration_counts import (
    CalibrationCounts,
    count_classes,
    count_maps,
    pool_counts,
)
from .calibration_metric import CalibrationMetric
from .confusion import ConfusionMetric, confuse_labels, confuse_maps
from .constant_depth import evaluate_constant_depth, iter_depths, pixel_median_depth
from .constant_labels import evaluate_constant_labels, iter_labels, most_frequent_class
from .constant_map import evaluate_constant_map, iter_masks, training_frequency
from .depth import (
    KITTIDepthMetric,
    crop_box,
    depth_measures,
    evaluate_depth,
    mean_measures,
    valid_mask,
)
from .depth_export import DepthExport, benchmark_name, to_benchmark
from .depth_uncertainty import DepthUncertaintyMetric
from .map_iou import MapIoUMetric, count_map, iou_table, map_iou
from .offsets import Scaling, fit_scaling
from .passes import describe_passes
from .ranking import (
    mean_of_kept,
    ranking_bounds,
    ranking_measures,
    risk_coverage,
    uncertainty_bins,
)
from .sparsification import (
    DepthCounts,
    ause,
    correlations,
    count_depth,
    pool_depth,
    sparsification,
)
from .temperature import CellSubsample, Fit, fit_temperature

__all__ = [
    'CalibrationCounts', 'CalibrationMetric', 'CellSubsample',
    'ConfusionMetric', 'DepthCounts',
    'DepthExport', 'DepthUncertaintyMetric', 'Fit', 'KITTIDepthMetric', 'MapIoUMetric',
    'Scaling', 'ause', 'benchmark_name', 'calibration_measures',
    'confuse_labels', 'confuse_maps', 'correlations', 'count_classes',
    'count_depth', 'count_map', 'count_maps', 'crop_box', 'depth_measures',
    'describe_passes', 'evaluate_constant_depth', 'evaluate_constant_labels',
    'evaluate_constant_map', 'evaluate_depth', 'fit_scaling', 'fit_temperature',
    'iou_table',
    'iter_depths', 'iter_labels', 'iter_masks', 'map_iou', 'mean_measures',
    'mean_of_kept', 'most_frequent_class', 'pixel_median_depth', 'pool_counts',
    'pool_depth', 'ranking_bounds', 'ranking_measures', 'reliability', 'risk_coverage',
    'sparsification', 'to_benchmark', 'training_frequency', 'uncertainty_bins',
    'valid_mask'
]
