"""From a predicted sample of segmentation or depth to a picture of its image."""
import io
import struct
import zlib

import numpy as np

from ddp_perception.datasets.bounded_files import read_file
from ddp_perception.visualization.dense import save_depth, save_segmentation


def read_image(path):
    """Read an image as the pipelines do.

    Args:
        path (str | Path): The file.

    Returns:
        ndarray: (H, W, 3) uint8, RGB.

    Raises:
        ValueError: it cannot be read, is cut off, or is too large to be; see
            `read_file`.
    """
    import cv2
    import mmcv
    from PIL import Image
    try:
        content = read_file(path)
        with Image.open(io.BytesIO(content)) as image:
            image.load()  # cv2 takes a JPEG that is cut off
        image = mmcv.imfrombytes(content, channel_order='rgb')
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError,
            KeyError, ArithmeticError, struct.error, zlib.error,
            cv2.error) as error:  # what Pillow raises on damaged bytes
        raise ValueError(f'image {path} cannot be read: {error}') from None
    if image is None:
        raise ValueError(f'image {path} cannot be read: it cannot be decoded')
    return image


def crop_corner(meta, shape, size):
    """Return row and column of the image's pixel where a prediction begins.

    Args:
        meta (dict): Metainfo of the sample; kb_crop where `ddp.KBCrop` cut.
        shape (tuple[int, int]): Height and width of the prediction.
        size (tuple[int, int]): The same of the image in its file.

    Raises:
        ValueError: the pipeline cut the image, and nothing says where.
    """
    if 'kb_crop' in meta:
        return tuple(meta['kb_crop'][:2])
    if tuple(shape) != tuple(size):
        raise ValueError(
            f'the pipeline cuts {meta.get("img_path", "the image")} from '
            f'{size[0]} x {size[1]} to {shape[0]} x {shape[1]} pixels; only '
            'ddp.KBCrop says where it cuts, with kb_crop among the meta_keys '
            'of PackSegInputs')
    return 0, 0


def save_labels_of(sample, path, classes, palette, ignore_index=255):
    """Draw a segmented sample over the part of its image that it shows.

    Args:
        sample (SegDataSample): ``pred_sem_seg`` and, to be shown beside it,
            ``gt_sem_seg``; metainfo img_path, and kb_crop as in `crop_corner`.
        path (str | Path): The file.
        classes, palette (Sequence): Of the data set.
        ignore_index (int): Label of true pixels that do not count; labels
            without a class are drawn like it.

    Returns:
        Path: The file.

    Raises:
        ValueError: see `read_image` and `crop_corner`, or the truth has
            another size than the prediction.
    """
    labels = _map(sample, 'pred_sem_seg').astype(np.int64)
    truth = _map(sample, 'gt_sem_seg')
    if truth is not None:
        truth = truth.astype(np.int64)
        truth[(truth < 0) | (truth >= len(classes))] = ignore_index
    return save_segmentation(path, _image(sample, labels.shape), labels, classes,
                             palette, truth, ignore_index=ignore_index)


def save_depth_of(sample, path, max_depth=80.):
    """Draw the depth of a sample beside the part of its image that it shows.

    Args:
        sample (SegDataSample): ``pred_depth_map`` in metres and, to be shown
            too, ``gt_depth_map``; metainfo as in `save_labels_of`.
        path (str | Path): The file.
        max_depth (float): Where the colours end, in metres.

    Returns:
        Path: The file.

    Raises:
        ValueError: see `save_labels_of`.
    """
    depth = _map(sample, 'pred_depth_map')
    return save_depth(path, _image(sample, depth.shape), depth,
                      _map(sample, 'gt_depth_map'), max_depth=max_depth)


def _image(sample, size):
    path = sample.metainfo.get('img_path')
    if not path:
        raise ValueError('a picture needs the image: put img_path among the '
                         'meta_keys of PackSegInputs')
    image = read_image(path)
    top, left = crop_corner(sample.metainfo, size, image.shape[:2])
    return image[top:top + size[0], left:left + size[1]]


def _map(sample, key):
    field = sample.get(key)
    if field is None:
        return None
    values = field.data.detach().cpu()
    return (values.float() if values.is_floating_point() else values)[0].numpy()
