"""Metrics, registered as ``ddp.<Type>``."""
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
from .map_iou import MapIoUMetric, count_map, iou_table, map_iou
from .passes import describe_passes

__all__ = [
    'DepthExport', 'KITTIDepthMetric', 'MapIoUMetric', 'benchmark_name',
    'count_map', 'crop_box', 'depth_measures', 'describe_passes',
    'evaluate_constant_depth', 'evaluate_constant_labels',
    'evaluate_constant_map', 'evaluate_depth', 'iou_table', 'iter_depths',
    'iter_labels', 'iter_masks', 'map_iou', 'mean_measures',
    'most_frequent_class', 'pixel_median_depth', 'to_benchmark',
    'training_frequency', 'valid_mask'
]
