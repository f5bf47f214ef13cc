"""CamVid street scenes with labels of 11 classes, in mmseg's conventions."""
from __future__ import annotations

import os
from collections.abc import Sequence

import mmcv
from mmseg.datasets import BaseSegDataset

from ddp_perception.registry import DATASETS

from .bounded_files import read_file
from .missing_list import ADVICE, Advice

VOID = 11
"""Stored label of what belongs to no class."""
IMAGE_SUFFIXES = ('.jpg', '.png')
_IGNORED = 255

ADVICE['CamVidDataset'] = Advice(
    'list of images', None,
    'CamVid is read from {root} as images/SPLIT/NAME.jpg or .png, '
    'labels/SPLIT/NAME.png and SPLIT.txt, a NAME per line; '
    'projects/camvid_seg/README.md says how to bring it there')


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """Images of CamVid in its 11 classes.

    Layout under `data_root`, for each split (train, val, test)::

        <split>.txt                 a NAME per line
        images/<split>/NAME.jpg     or .png
        labels/<split>/NAME.png     8-bit: 0 to 10 the classes, 11 void

    Void becomes `ignore_index` of mmseg's heads and metrics, 255. Every label
    file is read once when the data set is built, a second for all of a split, so
    that a wrong one does not end a training hours later.

    Args:
        ann_file: List of names, relative to `data_root` unless absolute.
        data_root: Where lists and folders lie.
        data_prefix: img_path and seg_map_path, the folders of the split.
        img_suffix: Ending of the images; None takes .jpg or .png, whichever
            is there.
        pipeline: Steps or their configs.
        metainfo, filter_cfg, indices, serialize_data, test_mode, lazy_init,
        max_refetch, backend_args: As in mmseg's BaseSegDataset. Files that lie
            behind `backend_args` are not looked at beforehand, and need
            `img_suffix`.

    Raises:
        FileNotFoundError: the list, an image or a label file is missing.
        ValueError: the list is empty, or a label file is damaged, has more than
            one channel or values above 11.

    Source: the images of Brostow et al., Pattern Recognition Letters 30 (2009),
    in the classes, size and split of SegNet, arXiv:1511.00561.
    """

    METAINFO = dict(
        classes=('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign symbol',
                 'fence', 'car', 'pedestrian', 'bicyclist'),
        palette=[[128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128],
                 [60, 40, 222], [128, 128, 0], [192, 128, 128], [64, 64, 128],
                 [64, 0, 128], [64, 64, 0], [0, 128, 192]])

    def __init__(self, ann_file: str, data_root: str | None = None,
                 data_prefix: dict | None = None, img_suffix: str | None = None,
                 pipeline: Sequence = (), test_mode: bool = False,
                 metainfo: dict | None = None, filter_cfg: dict | None = None,
                 indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True, lazy_init: bool = False,
                 max_refetch: int = 1000, backend_args: dict | None = None) -> None:
        if backend_args and img_suffix is None:
            raise ValueError('img_suffix must be given with backend_args, since files '
                             'there are not looked for')
        split = os.path.splitext(os.path.basename(ann_file))[0]
        super().__init__(
            ann_file=str(ann_file), img_suffix=img_suffix, seg_map_suffix='.png',
            metainfo=metainfo,
            data_root=None if data_root is None else str(data_root),
            data_prefix=dict(data_prefix or dict(img_path=f'images/{split}',
                                                 seg_map_path=f'labels/{split}')),
            filter_cfg=filter_cfg, indices=indices, serialize_data=serialize_data,
            pipeline=list(pipeline), test_mode=test_mode, lazy_init=lazy_init,
            max_refetch=max_refetch, backend_args=backend_args)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int]:
        """Return new labels by stored ones; void is always among them."""
        return {**(super().get_label_map(new_classes) or {}), VOID: _IGNORED}

    def load_data_list(self) -> list[dict]:
        """Read the list and check the files that it names."""
        if self.backend_args:
            return super().load_data_list()
        if not os.path.isfile(self.ann_file):
            raise FileNotFoundError(f'list of images {self.ann_file} is missing')
        text = read_file(self.ann_file).decode('utf-8', errors='replace')
        names = [line.strip() for line in text.splitlines() if line.strip()]
        if not names:
            raise ValueError(f'list of images {self.ann_file} is empty')
        return [self._sample(name) for name in names]

    def _sample(self, name: str) -> dict:
        label = os.path.join(self.data_prefix['seg_map_path'],
                             name + self.seg_map_suffix)
        if not os.path.isfile(label):
            raise FileNotFoundError(
                f'label file {label} of {self.ann_file} is missing')
        _require_labels(label)
        return dict(img_path=self._image(name), seg_map_path=label,
                    label_map=self.label_map, reduce_zero_label=False, seg_fields=[])

    def _image(self, name: str) -> str:
        path = os.path.join(self.data_prefix['img_path'], name)
        suffixes = [self.img_suffix] if self.img_suffix else IMAGE_SUFFIXES
        for suffix in suffixes:
            if os.path.isfile(path + suffix):
                return path + suffix
        raise FileNotFoundError(f'image {path}{" or ".join(suffixes)} of '
                                f'{self.ann_file} is missing')


def _require_labels(path: str) -> None:
    """Raise unless a file has one channel of stored labels."""
    try:
        labels = mmcv.imfrombytes(read_file(path), flag='unchanged', backend='pillow')
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f'label file {path} cannot be read: {error}') from error
    if labels.squeeze().ndim != 2:
        raise ValueError(f'label file {path} must have one channel of class indices, '
                         f'got an image of {labels.shape}; are these the colours?')
    if labels.max() > VOID:
        raise ValueError(f'label file {path} must have values 0 to {VOID}, got '
                         f'{labels.max()}')
