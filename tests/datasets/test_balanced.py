"""Class-balanced sampling of frames."""
import numpy as np
import pytest
from mmdet3d.datasets import CBGSDataset
from mmengine.dataset import BaseDataset

from ddp_perception.datasets import BalancedDataset

from .test_nuscenes_map import build


class Frames(BaseDataset):
    """Frames that hold the classes they are given."""

    METAINFO = {'classes': ('car', 'bus', 'cone')}

    def __init__(self, labels):
        self.labels = labels
        super().__init__(serialize_data=False)

    def load_data_list(self):
        return [{'labels': labels} for labels in self.labels]

    def get_cat_ids(self, idx):
        return self.labels[idx]


def draw(kind, labels):
    np.random.seed(3)
    return kind(Frames(labels)).sample_indices


def test_frames_are_mmdet3ds_where_every_class_occurs():
    labels = [{0, -1}, {0, 1}, {0}, {0, 2}, {2}, {0}]
    assert draw(BalancedDataset, labels) == draw(CBGSDataset, labels)


def test_absent_class_takes_no_part():
    labels = [{0}] * 9 + [{1}] * 3 + [{-1}]
    with pytest.raises(ZeroDivisionError):
        draw(CBGSDataset, labels)
    drawn = np.array(draw(BalancedDataset, labels))
    assert len(drawn) == 12
    assert (drawn < 9).sum() == 6 and ((drawn >= 9) & (drawn < 12)).sum() == 6


def test_without_boxes_every_frame_is_taken_once():
    assert draw(BalancedDataset, [set(), {-1}, set()]) == [0, 1, 2]


def test_nuscenes_frames_can_be_balanced(tiny_root):
    dataset = BalancedDataset(build(tiny_root))
    assert len(dataset) == 3  # cars only, one in each of three frames
    assert 'inputs' in dataset[0]
    assert dataset.metainfo['map_classes'][0] == 'drivable_area'
