"""Metrics, registered as ``ddp.<Type>``."""
from .constant_map import (evaluate_constant_map, iter_masks,
                           training_frequency)
from .map_iou import (MapIoUMetric, count_map, describe_passes, iou_table,
                      map_iou)

__all__ = [
    'MapIoUMetric', 'count_map', 'describe_passes', 'evaluate_constant_map',
    'iou_table', 'iter_masks', 'map_iou', 'training_frequency'
]
