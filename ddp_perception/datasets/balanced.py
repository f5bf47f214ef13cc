"""Class-balanced sampling that any root can be trained with."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from mmdet3d.datasets import CBGSDataset

from ddp_perception.registry import DATASETS

if TYPE_CHECKING:
    from mmengine.dataset import BaseDataset


@DATASETS.register_module()
class BalancedDataset(CBGSDataset):
    """mmdet3d's CBGSDataset, for sets that lack some classes as well.

    Frames are repeated so that every box class is drawn equally often. Where
    every class occurs, the same frames are drawn as by mmdet3d. Classes
    without a box take no part (mmdet3d divides by their number); without any
    box every frame is taken once.

    Args:
        dataset (dict | BaseDataset): The frames, with boxes.
        lazy_init (bool): Read them on first use.

    Source: CBGS, arXiv:1908.09492.
    """

    def _get_sample_indices(self, dataset: BaseDataset) -> list[int]:
        """Draw the frames with numpy's global generator."""
        frames_of: list[list[int]] = [[] for _ in self.metainfo['classes']]
        for index in range(len(dataset)):
            for label in dataset.get_cat_ids(index):
                if label >= 0:  # -1: a box of no class
                    frames_of[label].append(index)
        present = [frames for frames in frames_of if frames]
        if not present:
            return list(range(len(dataset)))
        total = sum(map(len, present))
        indices = []
        for frames in present:
            ratio = (1 / len(present)) / (len(frames) / total)
            indices += np.random.choice(
                frames, int(len(frames) * ratio)).tolist()
        return indices
