"""Draw the curves that the metrics of an evaluation have written."""
from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.evaluator import BaseMetric


def draw_curves(metrics: Iterable[BaseMetric]) -> list[Path]:
    """Draw each ``curves_file`` beside it, as a PNG file of its name.

    Args:
        metrics: After the evaluation; those that write none are passed over.

    Returns:
        The pictures.
    """
    from ddp_perception.evaluation import CalibrationMetric, DepthUncertaintyMetric
    from ddp_perception.visualization import save_calibration, save_sparsification
    pictures = []
    for metric in metrics:
        if not isinstance(metric, CalibrationMetric | DepthUncertaintyMetric) or (
                not metric.curves_file):
            continue
        file = Path(metric.curves_file)
        save = (save_calibration if isinstance(metric, CalibrationMetric)
                else save_sparsification)
        pictures.append(save(file.with_suffix('.png'), json.loads(file.read_text())))
    return pictures
