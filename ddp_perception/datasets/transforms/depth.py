"""Load, crop and rotate images with sparse depth maps.

mmseg's steps treat whatever `seg_fields` names like the image, so its
RandomFlip and PackSegInputs take depth maps as they are. Those here add the
checks and the padding that depth needs, and what mmseg lacks.
"""
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import LoadDepthAnnotation, RandomCrop, RandomRotate

from ddp_perception.datasets.bounded_files import read_file
from ddp_perception.registry import TRANSFORMS

KITTI_SCALE = 256.
"""Stored value of one metre in KITTI's depth maps."""


@TRANSFORMS.register_module()
class LoadKITTIDepth(LoadDepthAnnotation):
    """Load a 16-bit depth PNG as metres.

    Args:
        scale: Stored value of one metre; 0 means no measurement and stays 0.
        optional: Leave frames without `depth_map_path` (lists of images alone)
            as they are, instead of raising.
        backend_args: Options of mmengine's file backend.

    Reads: depth_map_path, img (where present, for its size), seg_fields.
    Writes: gt_depth_map (H, W) float32 in metres, seg_fields,
    depth_rescale_factor.

    Raises:
        KeyError: the frame has no depth_map_path.
        FileNotFoundError: the file is missing.
        ValueError: it is not a single-channel 16-bit image, or its size is
            not that of the image; names the file and what it holds.

    Source: the KITTI depth benchmark, arXiv:1708.06500. mmseg's step takes
    8-bit and colour images too and returns wrong metres for them.
    """

    def __init__(self, scale: float = KITTI_SCALE, optional: bool = False,
                 backend_args: dict | None = None) -> None:
        if not scale > 0:
            raise ValueError(f'scale must be positive, got {scale}')
        super().__init__(decode_backend='cv2', to_float32=True,
                         depth_rescale_factor=1 / scale,
                         backend_args=backend_args)
        self.scale = scale
        self.optional = optional

    def transform(self, results: dict) -> dict:
        """Add the depth map."""
        path = results.get('depth_map_path')
        if path is None:
            if self.optional:
                return results
            raise KeyError(f'{results.get("img_path", "the frame")} has no '
                           'depth_map_path; its split lists images alone')
        stored = self._read(path)
        if 'img' in results and results['img'].shape[:2] != stored.shape:
            raise ValueError(
                f'depth map {path} is {_size(stored)}, but its image '
                f'{results.get("img_path")} is {_size(results["img"])}')
        results['gt_depth_map'] = stored.astype(np.float32) / np.float32(
            self.scale)
        results.setdefault('seg_fields', []).append('gt_depth_map')
        results['depth_rescale_factor'] = self.depth_rescale_factor
        return results

    def _read(self, path: str | Path) -> np.ndarray:
        content = read_file(path, self.backend_args)
        stored = cv2.imdecode(np.frombuffer(content, np.uint8),
                              cv2.IMREAD_UNCHANGED) if content else None
        if stored is None:
            raise ValueError(f'depth map {path} cannot be decoded')
        if stored.dtype != np.uint16 or stored.ndim != 2:
            channels = 1 if stored.ndim == 2 else stored.shape[2]
            raise ValueError(
                f'depth map {path} must be a single-channel 16-bit PNG '
                f'(uint16, metres x {self.scale:g}), got {stored.dtype} with '
                f'{channels} channel{"s" * (channels > 1)}')
        return stored

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(scale={self.scale}, '
                f'optional={self.optional})')


@TRANSFORMS.register_module()
class KBCrop(BaseTransform):
    """Cut the part of a KITTI image that the depth benchmark uses.

    The bottom `height` rows, and `width` columns from
    int((W - `width`) / 2). `ori_shape` becomes the crop's, so that mmseg
    returns predictions on the crop, where they are evaluated.

    Args:
        height: Rows.
        width: Columns.

    Reads: img and all of seg_fields (either may be absent, not both).
    Writes: these, img_shape, ori_shape, pad_shape and kb_crop (top, left,
    height, width) in pixels of the uncropped image.

    Raises:
        ValueError: the image is smaller than the crop, or the sizes of image
            and maps differ.

    Source: KITTI depth benchmark crop as in BTS, arXiv:1907.10326, and DDP,
    arXiv:2303.17559.
    """

    def __init__(self, height: int = 352, width: int = 1216) -> None:
        _check_size(height, width)
        self.height = height
        self.width = width

    def transform(self, results: dict) -> dict:
        """Crop image and maps."""
        keys = [key for key in ('img', *results.get('seg_fields', ()))
                if key in results]
        if not keys:
            raise ValueError('KBCrop needs an image or a depth map; put it '
                             'after the steps that load them')
        sizes = {key: results[key].shape[:2] for key in keys}
        if len(set(sizes.values())) > 1:
            raise ValueError(f'image and maps differ in size: {sizes}')
        height, width = sizes[keys[0]]
        top, left = kb_crop_corner(height, width, self.height, self.width,
                                   results.get('img_path') or 'the image')
        for key in keys:
            results[key] = results[key][top:top + self.height,
                                        left:left + self.width]
        shape = (self.height, self.width)
        results.update(img_shape=shape, ori_shape=shape, pad_shape=shape,
                       kb_crop=(top, left, *shape))
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(height={self.height}, '
                f'width={self.width})')


def kb_crop_corner(image_height: int, image_width: int, height: int = 352,
                   width: int = 1216, name: str = 'the image') -> tuple[int, int]:
    """Return the upper left pixel of the KITTI benchmark crop.

    Args:
        image_height, image_width: Size of the uncropped image in pixels.
        height, width: Size of the crop.
        name: What the error calls the image.

    Returns:
        Row and column.

    Raises:
        ValueError: the image is smaller than the crop.
    """
    if image_height < height or image_width < width:
        raise ValueError(f'{name} is {image_height} x {image_width}, smaller '
                         f'than the crop of {height} x {width}')
    return image_height - height, (image_width - width) // 2


@TRANSFORMS.register_module()
class DepthRandomRotate(RandomRotate):
    """Rotate image (bilinear) and depth map (nearest) about their centre.

    What comes in from outside is black and without depth. mmseg's own step
    would fill depth maps with 255 m.

    Args:
        degree: Angles are drawn from [-degree, degree].
        prob: Probability of rotating.
    """

    def __init__(self, degree: float = 2.5, prob: float = .5) -> None:
        super().__init__(prob=prob, degree=degree, pad_val=0, seg_pad_val=0)


@TRANSFORMS.register_module()
class DepthRandomCrop(RandomCrop):
    """Cut a random part of image and depth map.

    Args:
        crop_size: Height and width.

    Raises:
        ValueError: the image is smaller than the crop, which mmseg's own
            step takes as it is and batches cannot.
    """

    def __init__(self, crop_size: Sequence[int] = (352, 704)) -> None:
        _check_size(*crop_size)
        super().__init__(crop_size=tuple(crop_size))

    def transform(self, results: dict) -> dict:
        """Crop image and maps."""
        height, width = results['img'].shape[:2]
        if height < self.crop_size[0] or width < self.crop_size[1]:
            raise ValueError(
                f'{results.get("img_path") or "the image"} is {height} x '
                f'{width}, smaller than the crop of {self.crop_size[0]} x '
                f'{self.crop_size[1]}')
        return super().transform(results)


def _size(array: np.ndarray) -> str:
    return f'{array.shape[0]} x {array.shape[1]}'


def _check_size(height: int, width: int) -> None:
    if not (isinstance(height, int) and isinstance(width, int)
            and height > 0 and width > 0):
        raise ValueError('a crop needs a positive whole height and width, got '
                         f'{height} and {width}')
