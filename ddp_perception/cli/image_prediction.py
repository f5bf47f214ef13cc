"""What ``ddp-perception predict`` does with images; usable from Python too."""
import copy
from pathlib import Path

import cv2
import numpy as np

from ddp_perception.cli.configuration import innermost_dataset
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.image_files import output_stems, write_file
from ddp_perception.visualization import crop_corner, read_image

LOADERS = ('test_dataloader', 'val_dataloader')
LARGEST_DEPTH = 255.
"""Metres; 16 bits of metres x 256 hold less than 256."""


def build_pipeline(cfg):
    """Build the steps of the configuration's test pipeline that need no truth.

    Args:
        cfg (mmengine.config.Config): The pipeline is that of its test data,
            or, where test-time augmentation replaced it, of its validation.

    Returns:
        mmengine.dataset.Compose: From ``dict(img_path=...)`` to what the
        model's ``test_step`` takes; the metainfo has ``kb_crop`` where the
        image was cropped so.

    Raises:
        UserError: the configuration has no such pipeline.
    """
    from mmengine.dataset import Compose
    from mmengine.registry import init_default_scope
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    for settings in _datasets(cfg):
        names = [_name(step) for step in settings.get('pipeline') or ()]
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


def read_metainfo(cfg):
    """Return the metainfo of the configuration's test data set.

    Returns:
        dict: With classes and palette; no file of the data set is read.

    Raises:
        UserError: the configuration has no test data set.
    """
    from mmengine.registry import DATASETS, init_default_scope
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    settings = next(_datasets(cfg), None)
    if settings is None:
        raise UserError('the configuration has no test_dataloader, whose data '
                        'set names the classes')
    try:
        return DATASETS.build(
            {**settings, 'lazy_init': True, 'pipeline': []}).metainfo
    except (AssertionError, OSError) as error:  # some of mmseg's look for files
        raise UserError(f'{settings["type"]} cannot name its classes: {error}'
                        ) from error


def predict_images(model, pipeline, metainfo, folder, images, out_dir,
                   pictures=True, progress=True):
    """Predict images one by one and write the files.

    Args:
        model (torch.nn.Module): An mmseg segmentor or depth estimator, its
            weights loaded.
        pipeline (Callable): See `build_pipeline`.
        metainfo (dict): See `read_metainfo`.
        folder (Path): Where the images lie.
        images (Sequence[Path]): Relative to `folder`.
        out_dir (str | Path): Keeps the relative layout. Files are
            ``<name>_labels.png`` and ``<name>_overlay.jpg``, or
            ``<name>_depth.png`` and ``<name>_picture.jpg``.
        pictures (bool): Draw them.
        progress (bool): Show a bar with the time left.

    Returns:
        str: What was predicted, 'label maps' or 'depth maps'.

    Raises:
        UserError: an image cannot be read or does not suit the pipeline;
            names it. Earlier ones are written.
    """
    import torch
    from mmengine.dataset import pseudo_collate
    from tqdm import tqdm
    what = None
    pairs = list(zip(images, output_stems(images), strict=True))
    for image, stem in tqdm(pairs, unit='image', desc='predicting',
                            disable=not progress):
        path = folder / image
        pixels = _read(path)
        data = _prepare(pipeline, path)
        with torch.no_grad():
            sample = model.test_step(pseudo_collate([data]))[0]
        out = Path(out_dir) / stem
        if 'pred_depth_map' in sample:
            what = 'depth maps'
            head = model.decode_head
            _write_depth(out, pixels, sample, path, pictures,
                         getattr(head, 'min_depth', 1e-3),
                         getattr(head, 'max_depth', LARGEST_DEPTH))
        elif 'pred_sem_seg' in sample:
            what = 'label maps'
            _write_labels(out, pixels, sample, pictures, metainfo)
        else:
            raise UserError(f'{type(model).__name__} predicts neither labels '
                            'nor depth')
    return what


def uncrop(values, size, corner, outside=0):
    """Put a map at its place in the uncropped image.

    Args:
        values (ndarray): (h, w).
        size (tuple[int, int]): Height and width of the image, H and W.
        corner (tuple[int, int]): Row and column of the crop's first pixel.
        outside (float): Value outside the crop.

    Returns:
        ndarray: (H, W).
    """
    (top, left), (height, width) = corner, values.shape
    whole = np.full(size, outside, values.dtype)
    whole[top:top + height, left:left + width] = values
    return whole


def _datasets(cfg):
    for loader in LOADERS:
        if cfg.get(loader):
            yield innermost_dataset(cfg[loader]['dataset'])


def _name(step):
    kind = step['type']
    kind = kind if isinstance(kind, str) else kind.__name__
    return kind.rsplit('.', 1)[-1]


def _prepare(pipeline, path):
    try:
        return pipeline({'img_path': str(path), 'seg_fields': []})
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f'image {path} does not suit the pipeline of this '
                        f'configuration: {error}') from error


def _read(path):
    try:
        return read_image(path)
    except ValueError as error:
        raise UserError(str(error)) from None


def _place(sample, prediction, size):
    """Return where the prediction's first pixel lies in the image."""
    try:
        return crop_corner(sample.metainfo, prediction.shape, size)
    except ValueError as error:
        raise UserError(str(error)) from None


def _write_labels(out, pixels, sample, pictures, metainfo):
    classes = metainfo['classes']
    kind = np.uint8 if len(classes) < 256 else np.uint16
    size, outside = pixels.shape[:2], np.iinfo(kind).max
    labels = sample.pred_sem_seg.data[0].cpu().numpy().astype(kind)
    labels = uncrop(labels, size, _place(sample, labels, size), outside)
    _write_png(out.with_name(f'{out.name}_labels.png'), labels)
    if pictures:
        from ddp_perception.visualization import save_segmentation
        save_segmentation(out.with_name(f'{out.name}_overlay.jpg'), pixels,
                          labels, classes, metainfo['palette'],
                          ignore_index=outside)


def _write_depth(out, pixels, sample, path, pictures, least, greatest):
    from ddp_perception.evaluation.depth_export import to_benchmark
    size = pixels.shape[:2]
    depth = sample.pred_depth_map.data[0].float().cpu().numpy()
    corner = _place(sample, depth, size)
    try:
        stored = to_benchmark(depth, least, min(greatest, LARGEST_DEPTH))
    except ValueError as error:
        raise UserError(f'prediction of {path}: {error}') from error
    _write_png(out.with_name(f'{out.name}_depth.png'),
               uncrop(stored, size, corner))
    if pictures:
        from ddp_perception.visualization import save_depth
        save_depth(out.with_name(f'{out.name}_picture.jpg'), pixels,
                   uncrop(depth, size, corner), max_depth=greatest)


def _write_png(path, values):
    write_file(path, cv2.imencode('.png', values)[1].tobytes())
