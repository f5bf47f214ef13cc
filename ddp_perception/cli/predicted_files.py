"""Write what a model predicts for one sample, whatever it is."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.structures import BaseDataElement
    from torch import nn


def write_predictions(model: nn.Module, sample: BaseDataElement, stem: Path,
                      metainfo: Mapping[str, Any], what: str, pictures: bool = True,
                      threshold: float = 0.5, truth: bool = True) -> str:
    """Save and draw every registered field that a sample predicts.

    Args:
        model: That predicted.
        sample: With the prediction.
        stem: Of the files, without their endings.
        metainfo: Of the data set: classes, palettes.
        what: The sample, for messages.
        pictures: Draw them too.
        threshold: Probability from which a picture shows a class.
        truth: Draw the truth too where the sample has it.

    Returns:
        What was predicted, such as 'maps'.

    Raises:
        UserError: the sample predicts nothing that is registered, or it
            cannot be written; names it.
    """
    from ddp_perception.fields import Setting, fields_of
    from ddp_perception.prediction_heads import heads_by_field
    heads = heads_by_field(model)
    try:
        found = fields_of(sample)
        for field in found:
            setting = Setting(heads.get(field.prediction), metainfo, threshold)
            field.save(sample, stem, setting)
            if not truth:
                for key in (field.truth, *field.further_truth):
                    sample.pop(key, None)
            if pictures:
                field.draw(sample, stem.with_name(stem.name + field.picture_ending),
                           setting)
    except ValueError as error:
        raise UserError(f'{what}: {error}') from error
    return ' and '.join(field.plural for field in found)
