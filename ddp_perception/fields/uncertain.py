"""The uncertainty that a head writes beside its prediction."""
from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmengine.structures import BaseDataElement

from ddp_perception.fields.field import Setting, values_of
from ddp_perception.fields.images import place_in_image
from ddp_perception.files import write_file

if TYPE_CHECKING:
    from ddp_perception.visualization import Uncertainty


def uncertainty_of(sample: BaseDataElement, prediction: str, setting: Setting
                   ) -> Uncertainty | None:
    """Return (G, H, W) uncertainty of a prediction and its label, or None.

    Args:
        sample: as a head leaves it.
        prediction: field of the prediction.
        setting: its head knows the unit.
    """
    from ddp_perception.visualization import Uncertainty
    values = values_of(sample, f'{prediction}_uncertainty')
    if values is None:
        return None
    outcome = getattr(setting.head, 'outcome', None)
    kind = sample.metainfo.get('uncertainty', 'uncertainty')
    return Uncertainty.of_kind(values, kind, getattr(outcome, 'unit', ''))


def uncertainty_in_image(sample: BaseDataElement, prediction: str, setting: Setting
                         ) -> Uncertainty | None:
    """Return it at its place in the uncropped image, NaN outside the crop.

    Takes the arguments of :func:`uncertainty_of`.
    """
    from ddp_perception.visualization import Uncertainty
    uncertainty = uncertainty_of(sample, prediction, setting)
    if uncertainty is None:
        return None
    return Uncertainty(place_in_image(sample, uncertainty.plane, np.nan),
                       uncertainty.label)


def save_uncertainty(uncertainty: Uncertainty | None, stem: Path) -> Path | None:
    """Write ``<stem>_uncertainty.npz``: ``uncertainty`` (float16) and its ``label``."""
    if uncertainty is None:
        return None
    content = io.BytesIO()
    np.savez_compressed(content, uncertainty=uncertainty.values.astype(np.float16),
                        label=np.array(uncertainty.label))
    return write_file(stem.with_name(f'{stem.name}_uncertainty.npz'),
                      content.getvalue())
