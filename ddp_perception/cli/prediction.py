"""What ``ddp-perception predict`` does with frames; usable from Python too."""
import copy
import os
from pathlib import Path

from ddp_perception import compat
from ddp_perception.cli.configuration import bare_model_settings, innermost_dataset
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.image_files import INFO_SUFFIXES, is_image
from ddp_perception.cli.predicted_files import write_predictions
from ddp_perception.file_names import output_names


def find_info_file(frames, split='val'):
    """Return the info file that is meant.

    Args:
        frames (str | Path): Info file, or nuScenes root that has one.
        split (str): Which of a root's info files.

    Returns:
        Path: An existing file, absolute.

    Raises:
        UserError: there is none; says how to write it.
    """
    frames = Path(frames).expanduser()
    if frames.is_file():
        if frames.suffix not in INFO_SUFFIXES:
            raise UserError(
                f'{frames} must be an info file (.json or .pkl) or a nuScenes '
                'root' + ('; the model of this configuration predicts maps, '
                          'and takes no single images' if is_image(frames)
                          else ''))
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


def choose_device(name=None):
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


def build_dataset(cfg, info_file, data_root, data_prefix='auto', truth=True,
                  limit=None):
    """Build the configuration's test data set over other frames.

    Args:
        cfg (mmengine.config.Config): Has ``test_dataloader``.
        info_file (Path): Frames.
        data_root (str | Path): Where their files lie.
        data_prefix (str): 'nuscenes', 'flat' or 'auto' to look.
        truth (bool): Load the true map too where the root has the map.
        limit (int, optional): Only the first frames.

    Returns:
        mmengine.dataset.BaseDataset: In test mode.

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


def _moved(step, root):
    """Return a pipeline step that finds the map under another root."""
    return {**step, 'map_root': str(root)} if step.get('map_root') else step


def _has_maps(root, frames):
    places = {frame.get('map_location') for frame in frames}
    return None not in places and all(
        os.path.isfile(os.path.join(root, 'maps', 'expansion', f'{place}.json'))
        for place in places)


def build_model(cfg, device):
    """Build the configuration's model for inference, without its weights.

    Args:
        cfg (mmengine.config.Config): Has ``model``.
        device (torch.device): Where the model goes.

    Returns:
        torch.nn.Module: In evaluation mode.
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


def predict_all(model, dataset, out_dir, pictures=True, threshold=0.5,
                progress=True):
    """Predict every frame of a data set and write the files.

    Args:
        model (torch.nn.Module): Its weights loaded.
        dataset (mmengine.dataset.BaseDataset): In test mode.
        out_dir (str | Path): Where the files of the `Field` go that the model
            predicts, named after the token by `output_names`.
        pictures (bool): Draw them.
        threshold (float): Probability from which a picture shows a class.
        progress (bool): Show a bar with the time left.

    Returns:
        str: What was predicted, such as '20 maps'.

    Raises:
        UserError: the model predicts nothing that is registered, or a
            frame's files are missing or damaged; names the frame. Earlier
            frames are written.
    """
    import torch
    from mmengine.dataset import pseudo_collate
    from tqdm import tqdm

    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    dataset.full_init()
    plural = 'frames'
    tokens = [_token(dataset, index) for index in range(len(dataset))]
    names = output_names(tokens)
    for index, token in enumerate(tqdm(tokens, unit='frame', desc='predicting',
                                       disable=not progress)):
        try:
            batch = pseudo_collate([dataset[index]])
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f'frame {token} cannot be loaded: {error}') from error
        with torch.no_grad():
            sample = model.test_step(batch)[0]
        plural = write_predictions(model, sample, out_dir / names[index],
                                   dataset.metainfo, f'frame {token}', pictures,
                                   threshold)
    return f'{len(dataset)} {plural}'


def _token(dataset, index):
    return str(dataset.get_data_info(index).get('token') or f'{index:06d}')
