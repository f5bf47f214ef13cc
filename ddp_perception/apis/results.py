"""What a prediction holds, and how it is saved and drawn."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from PIL import Image

from ddp_perception.cli.errors import UserError
from ddp_perception.fields import (
    DepthField,
    Field,
    LabelField,
    MapField,
    Setting,
    fields_of,
    place_in_image,
)
from ddp_perception.fields.field import prediction_of
from ddp_perception.fields.uncertain import uncertainty_in_image, uncertainty_of
from ddp_perception.prediction_heads import heads_by_field


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What a model predicts for one frame or image.

    Of a task of your own it is this class itself, whose `sample` has the values.

    Attributes:
        name: Of the frame or image.
        sample: OpenMMLab's data sample, on the CPU, with all that the model wrote.
        field: Saves and draws it.
        setting: What the field is told of head and data set.
        uncertainty: float32, per class (C, X, Y) of a map, (H, W) of an image with NaN
            where nothing is predicted; None where the head is asked for none.
        uncertainty_label: What it is, with its unit.
    """

    name: str
    sample: BaseDataElement
    field: Field
    setting: Setting
    uncertainty: np.ndarray | None
    uncertainty_label: str

    def save(self, stem: str | Path) -> Path:
        """Write the files that ``ddp-perception predict`` writes, without a picture.

        Args:
            stem: Path of the files without their endings; the folder is made where it
                is missing.

        Returns:
            The file of the prediction; an uncertainty may lie beside it.

        Raises:
            UserError: it is a folder that exists.
        """
        stem = Path(stem).expanduser()
        if stem.is_dir():
            raise UserError(f'{stem} is a folder; save takes the path of the files in '
                            'it, without their endings')
        stem.parent.mkdir(parents=True, exist_ok=True)
        return self.field.save(self.sample, stem, self.setting)

    def draw(self, path: str | Path | None = None, threshold: float = 0.5
             ) -> np.ndarray:
        """Draw the picture that ``ddp-perception predict`` draws.

        Args:
            path: Write it there too, in the format that the suffix names.
            threshold: Probability from which a map shows a class.

        Returns:
            (H, W, 3) uint8, RGB.
        """
        setting = replace(self.setting, threshold=threshold)
        if path is not None:
            path = Path(path).expanduser()
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn = self.field.draw(self.sample, path, setting)
            if path.suffix.lower() == '.png':  # without a loss: no need to draw twice
                return _pixels(drawn)
        with TemporaryDirectory() as folder:
            return _pixels(self.field.draw(self.sample, Path(folder, 'picture.png'),
                                           setting))

    def __repr__(self) -> str:
        """Show what there is, in one line: arrays by their shape."""
        shown = ', '.join(f'{item.name}={_shown(getattr(self, item.name))}'
                          for item in fields(self)
                          if item.name not in ('sample', 'field', 'setting'))
        return f'{type(self).__name__}({shown})'


@dataclass(frozen=True, eq=False, repr=False)
class MapPrediction(Prediction):
    """A bird's-eye-view map; axis 1 is x to the right, axis 2 is y forward.

    Attributes:
        probabilities: (C, X, Y) float32; classes overlap, so they need not sum to 1.
        classes: C names.
        xbound: Least, greatest x and size of a cell, in metres, in the frame that
            `Calibration` describes.
        ybound: The same of y.
    """

    probabilities: np.ndarray
    classes: tuple[str, ...]
    xbound: tuple[float, float, float]
    ybound: tuple[float, float, float]

    @property
    def labels(self) -> np.ndarray:
        """Classes of probability 0.5 or more, (C, X, Y) bool."""
        return self.probabilities >= 0.5

    @property
    def samples(self) -> np.ndarray | None:
        """The map of each noise seed, (S, C, X, Y) float32.

        None where the head does not ``keep_seeds``. Their mean is
        `probabilities`, where the last step alone counts and no temperature
        is fitted.
        """
        values = self.sample.get(f'{self.field.prediction}_seeds')
        return None if values is None else np.asarray(values, np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class LabelPrediction(Prediction):
    """A class for every pixel of an image.

    Attributes:
        labels: (H, W) int64, indices of `classes`; -1 where nothing is predicted,
            outside of a crop.
        probabilities: (C, H, W) float32; zeros there.
        classes: C names.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class DepthPrediction(Prediction):
    """A depth for every pixel of an image.

    Attributes:
        metres: (H, W) float32; NaN where nothing is predicted, outside of a crop.
    """

    metres: np.ndarray


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert('RGB'))


def _shown(value: Any) -> str:
    return (f'{value.shape} {value.dtype}' if isinstance(value, np.ndarray)
            else repr(value))


def results_of(model: BaseModel, sample: BaseDataElement, name: str,
               metainfo: Mapping[str, Any]) -> list[Prediction]:
    """Return what a model predicted for a sample, one result for each of its fields.

    Args:
        model: That predicted.
        sample: With the prediction.
        name: Of the frame or image.
        metainfo: Of the data set: classes, palettes.

    Raises:
        ValueError: the sample predicts nothing that is registered.
    """
    sample = sample.to('cpu')
    heads = heads_by_field(model)
    return [_result(sample, field, name,
                    Setting(heads.get(field.prediction), metainfo))
            for field in fields_of(sample)]


def _result(sample: BaseDataElement, field: Field, name: str, setting: Setting
            ) -> Prediction:
    """Return the result of the kind that a field is of."""
    values = prediction_of(sample, field.prediction)
    in_image = not isinstance(field, MapField) and 'ori_shape' in sample.metainfo
    found = (uncertainty_in_image if in_image else uncertainty_of)(
        sample, field.prediction, setting)
    common: dict[str, Any] = dict(
        name=name, sample=sample, field=field, setting=setting,
        uncertainty=None if found is None else np.asarray(found.values, np.float32),
        uncertainty_label='' if found is None else found.label)
    if isinstance(field, MapField):
        scene = field.scene(setting)
        return MapPrediction(**common, probabilities=values.astype(np.float32), **scene)
    if isinstance(field, LabelField):
        scores = prediction_of(sample, 'seg_logits')
        return LabelPrediction(
            **common, labels=place_in_image(sample, values[0].astype(np.int64), -1),
            probabilities=place_in_image(sample, _probabilities(scores, setting)),
            classes=tuple(setting.metainfo['classes']))
    if isinstance(field, DepthField):
        return DepthPrediction(**common, metres=place_in_image(
            sample, values[0].astype(np.float32), np.nan))
    return Prediction(**common)


def _probabilities(scores: np.ndarray, setting: Setting) -> np.ndarray:
    """Return (C, h, w) of what a segmentor writes as its scores."""
    if len(scores) == 1:  # of two classes; mmseg has applied the sigmoid
        return np.concatenate([1 - scores, scores])
    if getattr(setting.head, 'averages_probabilities', False):
        return scores
    return torch.from_numpy(scores).softmax(0).numpy()
