"""The base of all fields, and how they are found."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from ddp_perception.pixels import pixel_data
from ddp_perception.registry import FIELDS

if TYPE_CHECKING:
    from ddp_perception.visualization.panels import Swatch


@dataclass(frozen=True)
class Setting:
    """What drawing and saving may need to know beside the sample.

    Args:
        head: that made the prediction, where there is one.
        metainfo: the data set's classes and palettes.
        threshold: probability from which a map shows a class.
        ignore_index: label of true pixels that do not count.
        bounds: xbound and ybound of maps where no head says them.
        bgr: whether blue is the first channel of loaded images, as mmcv loads them.
    """

    head: nn.Module | None = None
    metainfo: Mapping[str, Any] = field(default_factory=dict)
    threshold: float = 0.5
    ignore_index: int = 255
    bounds: tuple[Sequence[float], Sequence[float]] | None = None
    bgr: bool = True


class Field(ABC):
    """One kind of prediction.

    Registered with ``@FIELDS.register_module(name=<prediction>)``.

    Attributes:
        prediction: field of a data sample that a head writes.
        truth: field that holds the truth.
        further_truth: other fields that hold truth which its pictures show.
        source: key of the pipeline's results that `PackMapInputs` packs as
            truth; None where another step packs it.
        plural: what it is called, for messages.
        picture_ending: ending of a picture's file name, suffix included.
    """

    prediction: str
    truth: str
    further_truth: tuple[str, ...] = ()
    source: str | None = None
    plural: str
    picture_ending = '.png'

    def pack(self, value: Any) -> BaseDataElement:
        """Turn what the pipeline made into the truth of a data sample."""
        return PixelData(data=torch.from_numpy(np.ascontiguousarray(value)))

    @abstractmethod
    def save(self, sample: BaseDataElement, stem: Path, setting: Setting) -> Path:
        """Write a prediction.

        Args:
            sample: holds the prediction.
            stem: path of the file without its ending.
            setting: what is known beside the sample.

        Returns:
            The file, replaced as a whole.

        Raises:
            ValueError: the prediction cannot be written.
        """

    @abstractmethod
    def draw(self, sample: BaseDataElement, path: Path, setting: Setting) -> Path:
        """Draw a prediction and, where the sample has it, its truth.

        Args:
            sample: holds the prediction.
            path: picture file.
            setting: what is known beside the sample.

        Returns:
            The file.

        Raises:
            ValueError: the sample lacks what a picture needs.
        """

    def draw_truth(self, inputs: Any, sample: BaseDataElement, path: Path,
                   setting: Setting) -> Path | None:
        """Draw the truth of a loaded sample and what a model gets with it.

        Args:
            inputs: as the last step of the pipeline packs them, not batched.
            sample: holds the truth.
            path: picture file.
            setting: what is known beside the sample.

        Returns:
            The file; None where a field cannot.
        """
        return None

    def paint(self, sample: BaseDataElement, setting: Setting) -> np.ndarray | None:
        """Paint the prediction alone, for strips and animations.

        Returns:
            (H, W, 3) uint8, RGB; None where a field cannot.
        """
        return None

    def legend(self, setting: Setting) -> list[Swatch]:
        """Return what the colours of :meth:`paint` mean, and what else it takes."""
        return []


def fields_of(sample: BaseDataElement) -> list[Field]:
    """Return the registered fields that a sample predicts.

    Raises:
        ValueError: there is none; names what the sample has.
    """
    FIELDS.import_from_location()
    found = [kind() for name, kind in FIELDS.module_dict.items() if name in sample]
    if not found:
        raise ValueError(
            'the sample has no registered prediction: it has '
            f'{", ".join(sample.all_keys())}, and {", ".join(FIELDS.module_dict)} are '
            'registered; see ddp_perception.fields.Field')
    return found


def prediction_of(sample: BaseDataElement, key: str) -> np.ndarray:
    """Return the array of a pixel field that must be there.

    Raises:
        ValueError: the sample lacks it.
    """
    values = values_of(sample, key)
    if values is None:
        raise ValueError(f'the sample has no {key}')
    return values


def values_of(sample: BaseDataElement, key: str) -> np.ndarray | None:
    """Return the array of a pixel field, packed or as a dictionary, or None."""
    values = pixel_data(sample, key)
    if values is None:
        return None
    values = values.detach().cpu()
    return (values.float() if values.is_floating_point() else values).numpy()
