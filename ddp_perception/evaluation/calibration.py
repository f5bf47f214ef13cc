"""Whether probabilities are true to what happens: measures of pooled counts."""
from __future__ import annotations

import math

import numpy as np

from ddp_perception.evaluation.calibration_counts import CalibrationCounts


def reliability(counts: CalibrationCounts) -> dict[str, np.ndarray]:
    """Return the data of a reliability diagram.

    Args:
        counts: pooled.

    Returns:
        edges (bins + 1, ), and per group and bin, (G, bins): cells (int64),
        probability (mean) and frequency (of the event), NaN in empty bins.
    """
    cells = counts.cells
    filled = np.where(cells, cells, 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.where(cells, values / filled, math.nan)

    return dict(edges=np.arange(cells.shape[1] + 1) / cells.shape[1], cells=cells,
                probability=mean(counts.probability), frequency=mean(counts.hits))


def calibration_measures(counts: CalibrationCounts) -> dict[str, np.ndarray]:
    """Return the measures of each group.

    Args:
        counts: pooled.

    Returns:
        ece: mean over cells of |frequency - mean probability| of their bin.
        brier: mean squared distance; in [0, 2] for exclusive classes, in
        [0, 1] for overlapping ones.
        nll: mean negative logarithm of the truth's probability, nats.
        Each (G, ) float64, NaN for a group without cells.

    Source: ece by Guo et al., arXiv:1706.04599, eq. 3. For an overlapping class
    its probability and frequency take the place of confidence and accuracy.
    """
    total = counts.cells.sum(1)
    divisor = np.where(total, total, 1)
    gaps = np.abs(counts.hits - counts.probability).sum(1)
    return {name: np.where(total, values / divisor, math.nan)
            for name, values in dict(ece=gaps, brier=counts.brier,
                                     nll=counts.nll).items()}
