"""Draw the curves that the metrics of an evaluation have written."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.evaluator import BaseMetric


def draw_curves(metrics: Iterable[BaseMetric]) -> list[Path]:
    """Draw each ``curves_file`` or ``counts_file`` beside it, as a PNG file.

    Args:
        metrics: After the evaluation; those that write none are passed over.

    Returns:
        The pictures.
    """
    from ddp_perception.evaluation import (
        CalibrationMetric,
        ConfusionMetric,
        DepthUncertaintyMetric,
    )
    from ddp_perception.visualization import (
        save_calibration,
        save_confusion,
        save_sparsification,
    )
    kinds: tuple[tuple[type, str, Callable], ...] = (
        (CalibrationMetric, 'curves_file', save_calibration),
        (DepthUncertaintyMetric, 'curves_file', save_sparsification),
        (ConfusionMetric, 'counts_file', save_confusion))
    pictures = []
    for metric in metrics:
        for kind, name, save in kinds:
            if not isinstance(metric, kind) or not getattr(metric, name):
                continue
            file = Path(getattr(metric, name))
            pictures.append(
                save(file.with_suffix('.png'), json.loads(file.read_text())))
    return pictures
