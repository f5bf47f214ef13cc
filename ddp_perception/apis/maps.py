"""Predict bird's-eye-view maps of frames."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from numpy.typing import ArrayLike

from ddp_perception.apis.batches import predict_samples
from ddp_perception.apis.calibration import Calibration
from ddp_perception.apis.frame import Frame, Image, Points, Sweep
from ddp_perception.apis.frame_pipeline import OWN_FRAMES, FramePipeline
from ddp_perception.apis.model import config_of
from ddp_perception.apis.results import MapPrediction, Prediction, results_of
from ddp_perception.cli import prediction
from ddp_perception.cli.configuration import bare_name
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.image_prediction import read_metainfo
from ddp_perception.cli.sample_input import (
    FRAMES,
    IMAGES,
    build_samples,
    input_kind,
    test_datasets,
)
from ddp_perception.datasets.bev_dataset import class_palette
from ddp_perception.engine.quiet import quiet
from ddp_perception.prediction_heads import heads_of

_PREPARED: WeakKeyDictionary[BaseModel, tuple[FramePipeline, Mapping[str, Any]]] = (
    WeakKeyDictionary())


def predict_map(model: BaseModel,
                images: Mapping[str, Image] | Sequence[Image] | None = None,
                points: Points | None = None,
                calibration: Calibration | Mapping[str, Any] | None = None, *,
                sweeps: Sequence[Sweep] = (), prior: ArrayLike | None = None,
                name: str = '', channel_order: str = 'bgr') -> MapPrediction:
    """Predict the map of one frame; no info file and no truth are needed.

    Args:
        model: Of `init_model`, or of mmdet3d's.
        images, points, calibration, sweeps, prior, name, channel_order: See `Frame`.
            The frame goes through the configuration's test pipeline, so images and
            points are of the size and kind that the training's files have.

    Returns:
        What ``ddp-perception predict`` computes of the same frame, to the bit.

    Raises:
        UserError: the frame lacks something that the model reads, or has it in
            another form; the model predicts no map.
    """
    frame = Frame(images, points, calibration, sweeps, prior, name, channel_order)
    return next(predict_maps(model, [frame]))


def predict_maps(model: BaseModel, frames: Iterable[Frame] | str | Path, *,
                 batch_size: int = 1, limit: int | None = None,
                 data_root: str | Path | None = None) -> Iterator[MapPrediction]:
    """Predict the maps of frames one after another; a generator.

    Args:
        model: See `predict_map`.
        frames: Frames, read as they are needed; or a place that ``ddp-perception
            predict`` takes for the configuration: an info file or a nuScenes root, a
            list of frames of one's own rig, a city of prior maps.
        batch_size: Frames that go through the model at once.
        limit: Only the first frames.
        data_root: Where the files of an info file or list lie, by default beside it.

    Yields:
        One prediction per frame, in order.

    Raises:
        UserError: see `predict_map`; frames before the one that fails are yielded.
    """
    cfg = config_of(model)
    if limit is not None and limit < 1:
        raise UserError(f'limit must be at least 1, got {limit}')
    if isinstance(frames, str | Path):
        samples, metainfo = _samples_of(cfg, frames, limit, data_root)
    else:
        pipeline, metainfo = _prepared(model, cfg)
        if not isinstance(frames, Iterable):
            raise UserError('frames must be several, a file or a folder, got one of '
                            f'{type(frames).__name__}; predict_map takes one')
        samples = ((getattr(frame, 'name', ''), pipeline(frame))
                   for frame in islice(frames, limit))
    predicted = predict_samples(model, samples, batch_size)
    return (_map_of(results_of(model, sample, name, metainfo))
            for name, sample in predicted)


def _samples_of(cfg: Config, place: str | Path, limit: int | None,
                data_root: str | Path | None
                ) -> tuple[Iterator[tuple[str, Any]], Mapping[str, Any]]:
    """Return names and samples of what lies in files, and the data set's metainfo."""
    kind = input_kind(cfg)
    if kind == IMAGES:
        raise UserError('the configuration predicts from single images; use '
                        'predict_images')
    with quiet(MMLogger.get_current_instance()):  # mmdet3d counts the boxes
        dataset = _dataset_of(cfg, kind, place, limit, data_root)
    names = prediction.sample_names(dataset)[:limit]
    return ((name, prediction.load_sample(dataset, index, f'frame {name}'))
            for index, name in enumerate(names)), getattr(dataset, 'metainfo', {})


def _dataset_of(cfg: Config, kind: str, place: str | Path, limit: int | None,
                data_root: str | Path | None) -> Any:
    """Return the configuration's test data set over other data, initialised."""
    if kind == FRAMES:
        info_file = prediction.find_info_file(place)
        dataset: Any = prediction.build_dataset(
            cfg, info_file, data_root or info_file.parent, limit=limit)
    else:
        dataset = build_samples(cfg, place, data_root)
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    return dataset


def _prepared(model: BaseModel, cfg: Config) -> tuple[FramePipeline, Mapping[str, Any]]:
    """Return the steps and the metainfo of a model's configuration, built once."""
    if model not in _PREPARED:
        pipeline, metainfo = FramePipeline(cfg), dict(read_metainfo(cfg))
        dataset = next(test_datasets(cfg))
        if bare_name(dataset) == OWN_FRAMES and 'map_palette' not in metainfo:
            head = next((head for head in heads_of(model)
                         if getattr(head, 'classes', None)), None)
            metainfo['map_palette'] = dataset.get('palette') or (
                head and class_palette(len(head.classes)))
        _PREPARED[model] = pipeline, metainfo
    return _PREPARED[model]


def _map_of(results: Sequence[Prediction]) -> MapPrediction:
    """Return the map among the results of a frame."""
    for result in results:
        if isinstance(result, MapPrediction):
            return result
    kinds = ', '.join(result.field.plural for result in results)
    raise UserError(f'the model predicts {kinds}, no map')
