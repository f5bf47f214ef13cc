"""Load and augment the views of a multi-camera frame."""
from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from ddp_perception.datasets.bounded_files import read_file
from ddp_perception.registry import TRANSFORMS

CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK',
           'CAM_BACK_LEFT', 'CAM_BACK_RIGHT')
"""The cameras of nuScenes, in the order of mmdet3d's info files."""


@TRANSFORMS.register_module()
class LoadMultiViewImages(BaseTransform):
    """Load the images of a frame and the calibration of their cameras.

    Args:
        cameras: Their names, in the order of the views.
        to_float32: Return float32 instead of uint8.
        backend_args: Options of mmengine's file backend.

    Reads: images.<camera>.{img_path, cam2img, lidar2cam} of info v2; in the place of
    img_path a camera may have its picture itself, img (H, W, 3) uint8 BGR.
    Writes: img (list of H x W x 3, BGR), camera_names, img_path,
    num_views, ori_shape, img_shape, pad_shape (of the first view), and per view
    (N, 4, 4) float32 cam2img, lidar2cam, cam2lidar, lidar2img (pixels and metres of
    the files; augmentation never changes them), ori_cam2img, ori_lidar2img, and
    img_aug_matrix (identity).

    Raises:
        KeyError: a camera or its calibration is missing.
        FileNotFoundError: an image file is missing.
        ValueError: a matrix has the wrong shape or is not finite, an image cannot be
            decoded, or is no array of that kind.
    """

    def __init__(self, cameras: Sequence[str] = CAMERAS, to_float32: bool = False,
                 backend_args: dict | None = None) -> None:
        self.cameras = tuple(cameras)
        self.to_float32 = to_float32
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Add the images and matrices."""
        token = results.get('token', '?')
        available = results.get('images', {})
        missing = [name for name in self.cameras if name not in available]
        if missing:
            raise KeyError(f'sample {token} lacks the cameras {missing}; it '
                           f'has {sorted(available)}')
        views = [available[name] for name in self.cameras]
        names = [f'sample {token}, {name}' if token else name for name in self.cameras]
        cam2img = np.stack([_matrix(view, 'cam2img', name)
                            for view, name in zip(views, names, strict=True)])
        lidar2cam = np.stack([
            _matrix(view, 'lidar2cam', name)
            for view, name in zip(views, names, strict=True)])
        lidar2img = (cam2img @ lidar2cam).astype(np.float32)
        images = [self._load(view, name)
                  for view, name in zip(views, names, strict=True)]
        shape = images[0].shape[:2]
        results.update(
            img=images,
            camera_names=self.cameras,
            img_path=[view.get('img_path') for view in views],
            num_views=len(views),
            ori_shape=shape, img_shape=shape, pad_shape=shape,
            cam2img=cam2img.astype(np.float32),
            lidar2cam=lidar2cam.astype(np.float32),
            cam2lidar=np.linalg.inv(lidar2cam).astype(np.float32),
            lidar2img=lidar2img,
            ori_cam2img=cam2img.astype(np.float32),
            ori_lidar2img=lidar2img.copy(),
            img_aug_matrix=np.tile(np.eye(4, dtype=np.float32),
                                   (len(views), 1, 1)))
        return results

    def _load(self, view: dict, name: str) -> np.ndarray:
        image = view.get('img')
        image = (self._read(view['img_path'], name) if image is None
                 else _checked(image, name))
        return image.astype(np.float32) if self.to_float32 else image

    def _read(self, path: str, name: str) -> np.ndarray:
        try:
            content = read_file(path, self.backend_args)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{name}: image file {path} is missing') from error
        image = mmcv.imfrombytes(content) if content else None
        if image is None:
            raise ValueError(f'{name}: {path} ({len(content)} bytes) is not '
                             'a readable image')
        return image


def is_picture(image: np.ndarray) -> bool:
    """Whether an array is (H, W, 3) uint8 with something in it."""
    return bool(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
                and image.size)


def _checked(image: np.ndarray, name: str) -> np.ndarray:
    """Return a picture that was given as an array."""
    if not is_picture(image):
        raise ValueError(f'{name}: img must be (H, W, 3) uint8, got '
                         f'{image.shape} {image.dtype}')
    return image


def _matrix(view: dict, key: str, name: str) -> np.ndarray:
    """Return a calibration matrix padded to (4, 4), float64."""
    if view.get(key) is None:
        raise KeyError(f'{name}: calibration "{key}" is missing')
    matrix = np.asarray(view[key], dtype=float)
    if matrix.shape not in ((3, 3), (3, 4), (4, 4)):
        raise ValueError(f'{name}: {key} must be 3x3, 3x4 or 4x4, got shape '
                         f'{matrix.shape}')
    if not np.isfinite(matrix).all():
        raise ValueError(f'{name}: {key} is not finite:\n{matrix}')
    padded = np.eye(4)
    padded[:matrix.shape[0], :matrix.shape[1]] = matrix
    return padded


@TRANSFORMS.register_module()
class ImageAug3D(BaseTransform):
    """Resize, crop, flip and rotate each view, and keep track of it.

    With `is_train`, each view draws a scale, a horizontal crop position, a
    share cropped from the bottom, a flip and an angle; otherwise the middle
    of each range applies, without flip or rotation. The rest of the height
    is cropped from the top. What lies outside the file is black.

    Args:
        final_dim: Height and width of the result.
        resize_lim: Range of the scale.
        source_width: Width of the pictures that the scale is meant for. Those
            of another width are brought to it first (in one resize), so that a
            model sees the same field of view. By default the scale holds for
            pictures of any width.
        bot_pct_lim: Range of the share of the resized height that is cropped
            from the bottom.
        rot_lim: Range of the angle in degrees, counter- clockwise in the
            picture.
        rand_flip: Mirror half of the views, left to right.
        is_train: Draw at random (numpy's global generator).

    Writes: img (list, same dtype), img_shape, pad_shape, and img_aug_matrix
    (N, 4, 4) float32, which takes (u, v, depth, 1) of the file to that of
    the result. Pixels are measured from the outer edge of the first one.

    Raises:
        ValueError: a range is reversed or a size not positive.

    Source: MIT BEVFusion, arXiv:2205.13542. Departs from it: the matrix holds
    the scale after rounding to whole pixels.
    """

    def __init__(self, final_dim: Sequence[int], resize_lim: Sequence[float],
                 bot_pct_lim: Sequence[float] = (0., 0.),
                 rot_lim: Sequence[float] = (0., 0.), rand_flip: bool = False,
                 is_train: bool = False, source_width: int | None = None) -> None:
        if source_width is not None and source_width < 1:
            raise ValueError(f'source_width must be positive, got {source_width}')
        for name, limits in (('resize_lim', resize_lim), ('rot_lim', rot_lim),
                             ('bot_pct_lim', bot_pct_lim)):
            if len(limits) != 2 or limits[0] > limits[1]:
                raise ValueError(f'{name} must be (low, high), got {limits}')
        if min(resize_lim) <= 0 or not 0 <= min(bot_pct_lim) <= max(
                bot_pct_lim) < 1:
            raise ValueError('resize_lim must be positive and bot_pct_lim in '
                             f'[0, 1), got {resize_lim} and {bot_pct_lim}')
        if len(final_dim) != 2 or min(final_dim) < 1:
            raise ValueError('final_dim must be (height, width) >= 1, got '
                             f'{final_dim}')
        self.final_dim: Any = tuple(final_dim)
        self.resize_lim, self.bot_pct_lim = resize_lim, bot_pct_lim
        self.rot_lim: Any = rot_lim
        self.rand_flip = rand_flip
        self.is_train = is_train
        self.source_width = source_width

    def transform(self, results: dict) -> dict:
        """Replace the images and update their matrices."""
        images, matrices = [], []
        for image in results['img']:
            image, matrix = augment(image, self.final_dim,
                                    *self._draw(image.shape))
            images.append(image)
            matrices.append(matrix)
        before = results.get('img_aug_matrix', np.eye(4))
        results['img'] = images
        results['img_shape'] = results['pad_shape'] = self.final_dim
        results['img_aug_matrix'] = (
            np.stack(matrices) @ before).astype(np.float32)
        return results

    def _draw(self, shape: tuple[int, ...]) -> tuple[
            tuple[int, int], tuple[int, int], bool, float]:
        """Return size (width, height), crop corner, flip and angle."""
        draw = np.random.uniform if self.is_train else _middle
        scale = draw(*self.resize_lim)
        if self.source_width is not None:
            scale *= self.source_width / shape[1]
        width, height = int(shape[1] * scale), int(shape[0] * scale)
        top = int((1 - draw(*self.bot_pct_lim)) * height) - self.final_dim[0]
        left = int(draw(0, max(0, width - self.final_dim[1])))
        flip = self.is_train and self.rand_flip and np.random.rand() < 0.5
        angle = np.random.uniform(*self.rot_lim) if self.is_train else 0.
        return (width, height), (left, top), flip, angle

    def __repr__(self) -> str:
        """Name the parameters."""
        return (f'{type(self).__name__}(final_dim={self.final_dim}, '
                f'resize_lim={self.resize_lim}, rot_lim={self.rot_lim}, '
                f'bot_pct_lim={self.bot_pct_lim}, '
                f'rand_flip={self.rand_flip}, is_train={self.is_train}, '
                f'source_width={self.source_width})')


def _middle(low: float, high: float) -> float:
    return (low + high) / 2


def augment(image: np.ndarray, final_dim: tuple[int, int], size: tuple[int, int],
            corner: tuple[int, int], flip: bool, angle: float) -> tuple:
    """Resize, crop, flip and rotate one picture.

    Args:
        image: H x W x 3, values 0 to 255.
        final_dim: Height and width of the crop.
        size: Width and height after resizing.
        corner: x and y of the crop in the resized picture.
        flip: Mirror left to right.
        angle: Degrees, counter-clockwise in the picture.

    Returns:
        the picture in the dtype of `image`, and the (4, 4) float64 matrix that
        does the same to (u, v, depth, 1).
    """
    height, width = final_dim
    picture = _resized_crop(image, size, corner, (width, height))
    matrix = np.diag([size[0] / image.shape[1], size[1] / image.shape[0],
                      1., 1.])
    matrix[:2, 3] = -np.asarray(corner)
    if flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        matrix[0] *= -1
        matrix[0, 3] += width
    if angle:
        picture = picture.rotate(angle)
        radians = np.deg2rad(angle)
        cos, sin = np.cos(radians), np.sin(radians)
        turn = np.eye(4)
        turn[:2, :2] = [[cos, sin], [-sin, cos]]  # v points down
        middle = np.array([width, height]) / 2
        turn[:2, 3] = middle - turn[:2, :2] @ middle
        matrix = turn @ matrix
    return np.asarray(picture).astype(image.dtype), matrix


def _resized_crop(image: np.ndarray, size: tuple[int, int], corner: tuple[int, int],
                  crop: tuple[int, int]) -> Image.Image:
    """Resize to `size` (bicubic) and crop, computing the crop alone."""
    left, top = (max(place, 0) for place in corner)
    right, bottom = (min(place + length, limit) for place, length, limit
                     in zip(corner, crop, size, strict=True))
    result = Image.new('RGB', crop)
    if left < right and top < bottom:
        x, y = image.shape[1] / size[0], image.shape[0] / size[1]
        # Only the rows that the filter reaches.
        reach = 2 * max(y, 1) + 1
        first = max(int(top * y - reach), 0)
        rows = image[first:int(bottom * y + reach) + 1]
        piece = Image.fromarray(rows.astype(np.uint8, copy=False)).resize(
            (right - left, bottom - top), Image.Resampling.BICUBIC,
            box=(left * x, top * y - first, min(right * x, image.shape[1]),
                 min(bottom * y - first, len(rows))))
        result.paste(piece, (left - corner[0], top - corner[1]))
    return result
