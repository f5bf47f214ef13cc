"""Predict classes or depth of single images."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import PIL.Image
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmseg.datasets.transforms import LoadImageFromNDArray

from ddp_perception.apis.batches import predict_samples
from ddp_perception.apis.model import config_of
from ddp_perception.apis.pixels import blue_green_red
from ddp_perception.apis.results import Prediction, results_of
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.image_files import find_images
from ddp_perception.cli.image_prediction import (
    build_pipeline,
    prepare_image,
    read_metainfo,
)
from ddp_perception.cli.sample_input import IMAGES, input_kind

Image = np.ndarray | PIL.Image.Image | str | Path
_PREPARED: WeakKeyDictionary[BaseModel, tuple[Compose, Compose, Mapping[str, Any]]] = (
    WeakKeyDictionary())


def predict_image(model: BaseModel, image: Image, *, name: str = '',
                  channel_order: str = 'bgr') -> Prediction:
    """Predict the classes or the depth of one image.

    Args:
        model: Of `init_model`, or of mmseg's.
        image: (H, W, 3) uint8 of any size that the configuration takes, an image of
            Pillow, or a file.
        name: Of the image; by default the stem of its file.
        channel_order: Of an array, 'bgr' or 'rgb'.

    Returns:
        A `LabelPrediction` or a `DepthPrediction`, as the model is, of the size of the
        image; a plain `Prediction` of a task of your own.

    Raises:
        UserError: the image cannot be read or is no such array; the model predicts no
            single images.
    """
    if isinstance(image, str | Path):
        name = name or Path(image).stem
        if Path(image).expanduser().is_dir():
            raise UserError(f'{image} is a folder; predict_images takes one')
    return next(_predict(model, [(name, image)], 1, channel_order))


def predict_images(model: BaseModel, images: Iterable[Image] | str | Path, *,
                   batch_size: int = 1, limit: int | None = None,
                   channel_order: str = 'bgr') -> Iterator[Prediction]:
    """Predict images one after another; a generator.

    Args:
        model: See `predict_image`.
        images: Arrays or files, read as they are needed, such as the pictures of a
            video; or a folder, which is searched with all folders below it.
        batch_size: Images of one size that go through the model at once.
        limit: Only the first images.
        channel_order: See `predict_image`.

    Yields:
        One prediction per image, in order. Files are named by their stem, those of a
        folder by their path in it without the suffix, arrays by their number.

    Raises:
        UserError: see `predict_image`; images before the one that fails are yielded.
    """
    if limit is not None and limit < 1:
        raise UserError(f'limit must be at least 1, got {limit}')
    if isinstance(images, str | Path):
        folder, found = find_images(images)
        named: Iterable[tuple[str, Image]] = (
            (str(path.with_suffix('')), folder / path) for path in found)
    elif isinstance(images, PIL.Image.Image) or getattr(images, 'ndim', 4) == 3:
        raise UserError('images must be several, a file or a folder, got one image; '
                        'predict_image takes one')
    else:
        named = map(_named, count(), images)
    return _predict(model, islice(named, limit), batch_size, channel_order)


def _named(number: int, image: Image) -> tuple[str, Image]:
    if isinstance(image, str | Path):
        return Path(image).stem, image
    return f'{number:06d}', image


def _predict(model: BaseModel, images: Iterable[tuple[str, Image]], batch_size: int,
             channel_order: str) -> Iterator[Prediction]:
    from_file, from_array, metainfo = _prepared(model)
    samples = ((name, prepare_image(from_file, Path(image).expanduser())
                if isinstance(image, str | Path)
                else _prepare_array(from_array, image, name, channel_order))
               for name, image in images)
    predicted = predict_samples(model, samples, batch_size)
    return (results_of(model, sample, name, metainfo)[0] for name, sample in predicted)


def _prepared(model: BaseModel) -> tuple[Compose, Compose, Mapping[str, Any]]:
    """Return the pipelines of files and of arrays, and the metainfo, built once."""
    if model not in _PREPARED:
        cfg = config_of(model)
        if input_kind(cfg) != IMAGES:
            raise UserError('the configuration does not predict from single images; '
                            'use predict_map')
        from_file = build_pipeline(cfg)
        first, *others = from_file.transforms
        if not isinstance(first, LoadImageFromFile):
            raise UserError(f'the pipeline begins with {type(first).__name__}; '
                            'expected a step that loads an image')
        from_array = Compose([LoadImageFromNDArray(to_float32=first.to_float32),
                              *others])
        _PREPARED[model] = from_file, from_array, read_metainfo(cfg)
    return _PREPARED[model]


def _prepare_array(pipeline: Compose, image: np.ndarray | PIL.Image.Image, name: str,
                   channel_order: str) -> Any:
    """Return the sample of an image in memory, whose metainfo has it as `image`."""
    what = f'image {name}' if name else 'the image'
    image = blue_green_red(image, channel_order, what)
    try:
        sample = pipeline({'img': image, 'seg_fields': []})
    except (ValueError, KeyError) as error:
        raise UserError(f'{what} does not suit the pipeline of this configuration: '
                        f'{error}') from error
    sample['data_samples'].set_metainfo({'image': image[..., ::-1]})
    return sample
