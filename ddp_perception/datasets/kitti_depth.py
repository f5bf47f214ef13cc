"""KITTI frames with sparse depth, in mmseg's conventions."""
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset

from ddp_perception.registry import DATASETS
from ddp_perception.wording import counted, few

from .kitti_splits import Frame, first_of, missing_files, read_split
from .missing_list import ADVICE, Advice

KITTI_PREFIX = {'img_path': 'input', 'depth_map_path': 'gt_depth'}
"""Folders of a KITTI depth root: raw images, annotated depth maps."""

ADVICE['KITTIDepthDataset'] = Advice(
    'split file', 'kitti', 'List the frames that you have:  '
    'ddp-perception prepare kitti {root} --write-splits',
    {'train_dataloader': 'kitti_train.txt', 'val_dataloader': 'kitti_val.txt',
     'test_dataloader': 'kitti_val.txt'})


@DATASETS.register_module()
class KITTIDepthDataset(BaseSegDataset):
    """Images of KITTI raw with the depth maps of the KITTI depth benchmark.

    Layout under `data_root`, all PNG::

        input/<date>/<drive>_sync/image_02/data/<frame>.png
        gt_depth/<drive>_sync/proj_depth/groundtruth/image_02/<frame>.png

    Depth maps are 16-bit, metres x 256, 0 where nothing was measured. A
    split file lists image path, depth path and focal length; see
    `kitti_splits`. Lines whose depth is ``None`` are left out, and frames
    are sorted by image path.

    Args:
        ann_file: Split file, relative to `data_root` unless absolute.
        data_root: Where the folders lie.
        data_prefix: img_path and depth_map_path, the folders that the paths of
            the split are relative to.
        pipeline: Steps or their configs.
        test_mode: A list of images alone is accepted only here.
        allow_missing: Leave out frames that lack a file, with a warning,
            instead of refusing the split.
        indices: Part of the frames, in their order: the first N, the last N
            where negative, or their numbers from 0.
        metainfo, filter_cfg, serialize_data, lazy_init, max_refetch,
        backend_args: As in mmseg's BaseSegDataset. Files that lie behind
            `backend_args` are not looked for beforehand.

    A sample has img_path, depth_map_path (where the list has it), focal
    (pixels, where the list has it; nothing here uses it) and seg_fields.

    Raises:
        FileNotFoundError: the split file is missing, or files that it names
            are; says how many and names the first few.
        ValueError: a line is malformed (see `read_split`), no frame is left,
            a list without depth is used for training, or `indices` has a
            number that no frame has.

    Source: Eigen split, arXiv:1406.2283, as DDP, arXiv:2303.17559, reads it.
    """

    # mmseg wants class names of every data set that is tested.
    METAINFO = {'classes': ('depth', ), 'palette': [[0, 0, 0]]}

    def __init__(self, ann_file: str, data_root: str | None = None,
                 data_prefix: dict = KITTI_PREFIX, pipeline: Sequence = (),
                 test_mode: bool = False, allow_missing: bool = False,
                 metainfo: dict | None = None, filter_cfg: dict | None = None,
                 indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True, lazy_init: bool = False,
                 max_refetch: int = 1000, backend_args: dict | None = None) -> None:
        unknown = set(data_prefix) ^ set(KITTI_PREFIX)
        if unknown:
            raise ValueError('data_prefix must have the keys '
                             f'{sorted(KITTI_PREFIX)}, got '
                             f'{sorted(data_prefix)}')
        self.allow_missing = allow_missing
        super().__init__(
            ann_file=str(ann_file), img_suffix='.png', seg_map_suffix='.png',
            metainfo=metainfo,
            data_root=None if data_root is None else str(data_root),
            data_prefix=dict(data_prefix), filter_cfg=filter_cfg,
            indices=indices, serialize_data=serialize_data,
            pipeline=list(pipeline), test_mode=test_mode,
            lazy_init=lazy_init, max_refetch=max_refetch,
            backend_args=backend_args)

    def load_data_list(self) -> list[dict]:
        """Read the split file and check that its files are there."""
        frames, dropped = read_split(self.ann_file)
        if dropped:
            print_log(f'{self.ann_file}: {dropped} of '
                      f'{len(frames) + dropped} lines have no depth map and '
                      'are left out', 'current')
        if not self.test_mode and any(f.depth is None for f in frames):
            raise ValueError(
                f'{self.ann_file} lists images without depth maps, which can '
                'be tested (test_mode=True) but not trained on')
        if not self.backend_args:
            frames = self._present(frames)
        if not frames:
            raise ValueError(f'{self.ann_file} has no usable frame' + (
                f': {counted(dropped, "lines")} with None for a depth map'
                if dropped else ''))
        self._require_indices(len(frames))
        return [self._sample(frame) for frame in frames]

    def _require_indices(self, count: int) -> None:
        if not isinstance(self._indices, Sequence):
            return
        beyond = [index for index in self._indices if not -count <= index < count]
        if beyond:
            raise ValueError(
                f'{self.ann_file} has {count} usable frames, numbered from 0, but '
                f'indices asks for {few(map(str, beyond), 5)}')

    def _present(self, frames: list[Frame]) -> list[Frame]:
        missing, present = [], []
        lost = missing_files(frames, *self._folders())
        for frame, paths in zip(frames, lost, strict=True):
            missing += paths
            if not paths:
                present.append(frame)
        if not missing:
            return frames
        message = (f'{self.ann_file}: {len(missing)} files are missing, in '
                   f'{len(frames) - len(present)} of {len(frames)} frames:'
                   f'{first_of(missing)}')
        if not self.allow_missing:
            raise FileNotFoundError(
                f'{message}\nLeave such frames out with allow_missing=True')
        print_log(f'{message}\nThese frames are left out', 'current',
                  level=logging.WARNING)
        return present

    def _folders(self) -> tuple[str, str]:
        return self.data_prefix['img_path'], self.data_prefix['depth_map_path']

    def _sample(self, frame: Frame) -> dict:
        image_dir, depth_dir = self._folders()
        sample: dict[str, Any] = {'img_path': str(Path(image_dir, frame.image)),
                  'seg_fields': []}
        if frame.depth is not None:
            sample['depth_map_path'] = str(Path(depth_dir, frame.depth))
        if frame.focal is not None:
            sample['focal'] = frame.focal
        return sample
