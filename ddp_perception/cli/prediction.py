"""What ``ddp-perception predict`` does with frames; usable from Python too."""
from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception import compat
from ddp_perception.cli.checkpoint_checks import load_weights
from ddp_perception.cli.configuration import bare_model_settings, innermost_dataset
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.image_files import INFO_SUFFIXES, is_image
from ddp_perception.cli.predicted_files import write_predictions
from ddp_perception.cli.refinement import diffusion_head, draw_refinement
from ddp_perception.engine.pictures import name_images
from ddp_perception.file_names import output_names
from ddp_perception.progress import hides_bar
from ddp_perception.wording import counted

if TYPE_CHECKING:
    import torch
    from mmengine.config import Config
    from mmengine.dataset import BaseDataset
    from mmengine.model import BaseModel

    from ddp_perception.cli.sample_input import Samples


def find_info_file(frames: str | Path, split: str = 'val') -> Path:
    """Return the info file that is meant.

    Args:
        frames: Info file, or nuScenes root that has one.
        split: Which of a root's info files.

    Returns:
        An existing file, absolute.

    Raises:
        UserError: there is none; says how to write it.
    """
    frames = Path(frames).expanduser()
    if frames.is_file():
        if frames.suffix not in INFO_SUFFIXES:
            raise UserError(
                f'{frames} must be an info file (.json or .pkl) or a nuScenes '
                'root' + ('; the data set of this configuration reads info '
                          'files, and takes no single images'
                          if is_image(frames) else ''))
        return frames.absolute()
    if not frames.is_dir():
        raise UserError(f'{frames} is neither a file nor a folder')
    path = frames / f'nuscenes_infos_{split}.pkl'
    if path.is_file():
        return path.absolute()
    others = sorted(p.name for p in (*frames.glob('*infos_*.pkl'),
                                     *frames.glob('info*.json')))
    raise UserError(
        f'{frames} has no {path.name}' + (
            f'; it has {", ".join(others)}: give one of them as INPUT'
            if others else '. Write it with:  ddp-perception prepare nuscenes '
            f'{frames}'))


def choose_device(name: str | None = None) -> torch.device:
    """Return the torch device of a name, a GPU by default where there is one.

    Raises:
        UserError: there is no such device.
    """
    import torch
    if name is None:
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f'--device {name}: {error}') from None
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f'--device {name}: torch sees '
                        f'{torch.cuda.device_count()} GPUs')
    return device


def build_dataset(cfg: Config, info_file: Path, data_root: str | Path,
                  data_prefix: str = 'auto', truth: bool = True,
                  limit: int | None = None) -> BaseDataset:
    """Build the configuration's test data set over other frames.

    Args:
        cfg: Has ``test_dataloader``.
        info_file: Frames.
        data_root: Where their files lie.
        data_prefix: 'nuscenes', 'flat' or 'auto' to look.
        truth: Load the true map too where the root has the map.
        limit: Only the first frames.

    Returns:
        In test mode.

    Raises:
        UserError: the configuration has no test data set, or the info file
            or a map cannot be read or holds wrong values; names it and what.
    """
    from mmengine.registry import init_default_scope

    from ddp_perception.datasets.info_files import read_info_file
    from ddp_perception.datasets.nuscenes_map import (
        FLAT_PREFIX,
        NUSCENES_PREFIX,
        detect_data_prefix,
    )
    from ddp_perception.registry import DATASETS
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if not loader:
        raise UserError('the configuration has no test_dataloader')
    try:
        frames = read_info_file(info_file)['data_list']
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
    if not frames:
        raise UserError(f'{info_file} has no frames')
    settings = copy.deepcopy(dict(innermost_dataset(loader['dataset'])))
    settings.update(data_root=str(data_root), ann_file=str(info_file),
                    test_mode=True, indices=limit)
    settings['data_prefix'] = (
        detect_data_prefix(data_root, info_file) if data_prefix == 'auto'
        else {'flat': FLAT_PREFIX, 'nuscenes': NUSCENES_PREFIX}[data_prefix])
    with_map = truth and _has_maps(data_root, frames)
    settings['pipeline'] = [
        _moved(step, data_root) for step in settings['pipeline']
        if with_map or not str(step['type']).endswith('LoadMapMasks')]
    if settings.get('load_map'):
        settings['load_map'] = with_map
    init_default_scope(cfg.get('default_scope', 'mmdet3d'))
    try:
        return DATASETS.build(settings)
    except (OSError, ValueError) as error:  # a map or a frame lacks something
        raise UserError(str(error)) from error


def _moved(step: Mapping[str, Any], root: str | Path) -> Mapping[str, Any]:
    """Return a pipeline step that finds the map under another root."""
    return {**step, 'map_root': str(root)} if step.get('map_root') else step


def _has_maps(root: str | Path, frames: Iterable[Mapping[str, Any]]) -> bool:
    places = {frame.get('map_location') for frame in frames}
    return None not in places and all(
        os.path.isfile(os.path.join(root, 'maps', 'expansion', f'{place}.json'))
        for place in places)


def build_model(cfg: Config, device: torch.device) -> BaseModel:
    """Build the configuration's model for inference, without its weights.

    Args:
        cfg: Has ``model``.
        device: Where the model goes.

    Returns:
        In evaluation mode.
    """
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import MODELS, init_default_scope
    compat.patch_spconv_cpu()
    init_default_scope(cfg.get('default_scope', 'mmdet3d'))
    settings = copy.deepcopy(bare_model_settings(cfg))
    model = MODELS.build(settings)
    if device.type == 'cpu':
        model = revert_sync_batchnorm(model)
    return model.to(device).eval()


def load_model(cfg: Config, device: torch.device, checkpoint: str | Path,
               config_path: str | Path, trusted: bool = False) -> BaseModel:
    """Build the configuration's model for inference, with the weights of a checkpoint.

    Args:
        cfg: Has ``model``.
        device: Where the model goes.
        checkpoint: Holds every weight.
        config_path: For messages.
        trusted: See `load_checkpoint_file`.

    Raises:
        UserError: see `load_weights`.
    """
    model = build_model(cfg, device)
    load_weights(model, checkpoint, config_path, trusted)
    return model


def predict_all(model: BaseModel, dataset: Samples, out_dir: str | Path,
                pictures: bool = True, threshold: float = 0.5,
                progress: bool = True, limit: int | None = None,
                truth: bool = True, unit: str = 'frame',
                refinement: bool = False) -> str:
    """Predict every sample of a data set and write the files.

    Args:
        model: Its weights loaded.
        dataset: In test mode.
        out_dir: Where the files of the `Field` go that the model
            predicts, named after the token, the image or, where a sample has
            neither, its number; see `output_names`.
        pictures: Draw them.
        threshold: Probability from which a picture shows a class.
        progress: Show a bar with the time left.
        limit: Only the first samples.
        truth: Draw the truth too where a sample has it.
        unit: What a sample is, for messages.
        refinement: Draw the steps too; see `draw_refinement`.

    Returns:
        What was predicted, such as '20 maps'.

    Raises:
        UserError: the model predicts nothing that is registered, or a
            sample's files are missing or damaged; names it. Earlier ones are
            written.
    """
    import torch
    from mmengine.dataset import pseudo_collate
    from tqdm import tqdm

    if refinement:
        diffusion_head(model)  # or say at once that there is none
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    plural = f'{unit}s'
    labels = sample_names(dataset)[:limit]
    names = output_names(labels)
    for index, label in enumerate(tqdm(labels, unit=unit, desc='predicting',
                                       disable=hides_bar(progress))):
        batch = pseudo_collate([load_sample(dataset, index, f'{unit} {label}')])
        with torch.no_grad():
            sample = model.test_step(batch)[0]
        plural = write_predictions(
            model, sample, out_dir / names[index], getattr(dataset, 'metainfo', {}),
            f'{unit} {label}', pictures, threshold, truth)
        if refinement:
            draw_refinement(model, batch, out_dir / names[index],
                            getattr(dataset, 'metainfo', {}), threshold)
    return counted(len(labels), plural)


def load_sample(dataset: Samples, index: int, what: str) -> Any:
    """Return a sample of a data set in test mode.

    Args:
        dataset: Initialised.
        index: Which of its samples.
        what: It is called in messages.

    Raises:
        UserError: one of its files is missing or damaged; names it.
    """
    try:
        return dataset[index]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f'{what} cannot be loaded: {error}') from error


def sample_names(dataset: Samples) -> list[str]:
    """Name the samples of a data set by token, by image or by number."""
    count = len(dataset)
    infos = [dataset.get_data_info(index) for index in range(count)] if hasattr(
        dataset, 'get_data_info') else [{}] * count
    paths = [info.get('img_path') for info in infos]
    if paths and all(isinstance(path, str) for path in paths):
        return name_images(paths)
    return [str(info.get('token') or f'{index:06d}')
            for index, info in enumerate(infos)]
