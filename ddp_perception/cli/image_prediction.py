"""What ``ddp-perception predict`` does with images; usable from Python too."""
from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.configuration import bare_name
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.image_files import output_stems
from ddp_perception.cli.predicted_files import write_predictions
from ddp_perception.cli.refinement import diffusion_head, draw_refinement
from ddp_perception.cli.sample_input import test_datasets
from ddp_perception.fields.images import image_size
from ddp_perception.progress import hides_bar
from ddp_perception.visualization import read_image
from ddp_perception.wording import counted

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.dataset import Compose
    from mmengine.model import BaseModel
    from mmengine.structures import BaseDataElement

LEAST_COVERED = 0.5
"""Share of an image below which its crop is worth a word; KITTI's is 0.92."""


def build_pipeline(cfg: Config) -> Compose:
    """Build the steps of the configuration's test pipeline that need no truth.

    Args:
        cfg: The pipeline is that of its test data,
            or, where test-time augmentation replaced it, of its validation.

    Returns:
        From ``dict(img_path=...)`` to what the
        model's ``test_step`` takes; the metainfo has ``kb_crop`` where the
        image was cropped so.

    Raises:
        UserError: the configuration has no such pipeline.
    """
    from mmengine.dataset import Compose
    from mmengine.registry import init_default_scope
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    for settings in test_datasets(cfg):
        names = [bare_name(step) for step in settings.get('pipeline') or ()]
        if names and 'TestTimeAug' not in names:
            break
    else:
        raise UserError('the configuration has no test_dataloader or '
                        'val_dataloader with a pipeline for single images')
    steps = [copy.deepcopy(step) for step, name
             in zip(settings['pipeline'], names, strict=True)
             if not name.startswith('Load') or 'Image' in name]
    pipeline = Compose(steps)
    for step in pipeline.transforms:
        if 'kb_crop' not in getattr(step, 'meta_keys', ('kb_crop', )):
            step.meta_keys = (*step.meta_keys, 'kb_crop')
    return pipeline


def read_metainfo(cfg: Config) -> dict[str, Any]:
    """Return the metainfo of the configuration's test data set.

    Returns:
        With classes and palette; no file of the data set is read.

    Raises:
        UserError: the configuration has no test data set.
    """
    from mmengine.registry import DATASETS, init_default_scope
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    settings = next(test_datasets(cfg), None)
    if settings is None:
        raise UserError('the configuration has no test_dataloader, whose data '
                        'set names the classes')
    try:
        return DATASETS.build(
            {**settings, 'lazy_init': True, 'pipeline': []}).metainfo
    except (AssertionError, OSError) as error:  # some of mmseg's look for files
        raise UserError(f'{settings["type"]} cannot name its classes: {error}'
                        ) from error


def predict_images(model: BaseModel, pipeline: Callable[[dict], Any],
                   metainfo: Mapping[str, Any], folder: Path,
                   images: Sequence[Path], out_dir: str | Path,
                   pictures: bool = True, progress: bool = True,
                   refinement: bool = False) -> str:
    """Predict images one by one and write the files.

    Args:
        model: A segmentor of mmseg's kind, its weights
            loaded.
        pipeline: See `build_pipeline`.
        metainfo: See `read_metainfo`.
        folder: Where the images lie.
        images: Relative to `folder`.
        out_dir: Keeps the relative layout. Files are those of the
            `Field` that the model predicts.
        pictures: Draw them.
        progress: Show a bar with the time left.
        refinement: Draw the steps too; see `draw_refinement`.

    Returns:
        What was predicted, such as 'label maps'.

    Raises:
        UserError: an image cannot be read or does not suit the pipeline;
            names it. Earlier ones are written.
    """
    import torch
    from mmengine.dataset import pseudo_collate
    from tqdm import tqdm
    if refinement:
        diffusion_head(model)  # or say at once that there is none
    plural = 'images'
    partly: list[tuple[Path, float]] = []
    pairs = list(zip(images, output_stems(images), strict=True))
    for image, stem in tqdm(pairs, unit='image', desc='predicting',
                            disable=hides_bar(progress)):
        path = folder / image
        data = prepare_image(pipeline, path)
        with torch.no_grad():
            batch = pseudo_collate([data])
            sample = model.test_step(batch)[0]
        plural = write_predictions(model, sample, Path(out_dir) / stem, metainfo,
                                   f'prediction of {path}', pictures)
        if refinement:
            draw_refinement(model, batch, Path(out_dir) / stem, metainfo)
        if (covered := _covered(sample)) < LEAST_COVERED:
            partly.append((path, covered))
    if partly:
        path, covered = partly[0]
        verb = 'is' if len(partly) == 1 else 'are'
        print(f'warning: {counted(len(partly), "images")}, {path} for one, {verb} much '
              f'larger than the crop of this configuration: {plural} cover '
              f'{covered:.1%} of it')
    return plural


def _covered(sample: BaseDataElement) -> float:
    """Return which share of the image the model saw."""
    if 'kb_crop' not in sample.metainfo:
        return 1.
    height, width = image_size(sample)
    return math.prod(sample.metainfo['kb_crop'][2:]) / (height * width)


def prepare_image(pipeline: Callable[[dict], Any], path: Path) -> Any:
    """Return what a pipeline makes of an image file.

    Args:
        pipeline: See `build_pipeline`.
        path: The image.

    Raises:
        UserError: it is damaged, cut off, or does not suit the pipeline; names it.
    """
    try:
        read_image(path)
    except ValueError as error:
        raise UserError(str(error)) from None
    try:
        return pipeline({'img_path': str(path), 'seg_fields': []})
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f'image {path} does not suit the pipeline of this '
                        f'configuration: {error}') from error
