"""The CamVid data set, on a few generated files and on the real ones."""
import cv2
import numpy as np
import pytest

from ddp_perception.datasets import CamVidDataset
from ddp_perception.registry import DATASETS
from tests.datasets.tiny_camvid import labels_of, write_tiny_camvid

STEPS = [dict(type='LoadImageFromFile'), dict(type='mmseg.LoadAnnotations')]


@pytest.fixture
def root(tmp_path):
    return write_tiny_camvid(tmp_path / 'camvid')


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_each_split_lies_in_folders_of_its_name(tmp_path, split, suffix):
    root = write_tiny_camvid(tmp_path, suffix=suffix)
    data = DATASETS.build(dict(
        type='ddp.CamVidDataset', data_root=str(root), ann_file=f'{split}.txt',
        pipeline=STEPS, test_mode=split == 'test'))
    assert len(data) == 3
    sample = data[1]
    assert sample['img_path'] == str(root / 'images' / split / f'b_{split}{suffix}')
    assert sample['img'].shape == (24, 36, 3)


def test_void_is_ignored_and_the_classes_keep_their_numbers(root):
    data = CamVidDataset('train.txt', root, pipeline=STEPS)
    assert len(data.metainfo['classes']) == len(data.metainfo['palette']) == 11
    for number in range(3):
        stored = labels_of(number)
        truth = data[number]['gt_seg_map']
        assert (truth[stored == 11] == 255).all() and (stored == 11).any()
        assert np.array_equal(truth[stored < 11], stored[stored < 11])
        assert set(np.unique(truth)) == {*range(11), 255}


def test_a_choice_of_classes_moves_their_numbers_and_ignores_the_rest(root):
    data = CamVidDataset('train.txt', root, pipeline=STEPS,
                         metainfo=dict(classes=('road', 'car')))
    assert data.metainfo['palette'] == [[128, 64, 128], [64, 0, 128]]
    stored, truth = labels_of(0), data[0]['gt_seg_map']
    assert (truth[stored == 3] == 0).all() and (truth[stored == 8] == 1).all()
    assert (truth[(stored != 3) & (stored != 8)] == 255).all()


def test_folders_may_have_other_names(root):
    (root / 'labels').rename(root / 'annotations')
    data = CamVidDataset('val.txt', root, data_prefix=dict(
        img_path='images/val', seg_map_path='annotations/val'))
    assert 'annotations' in data[0]['seg_map_path']


def test_a_missing_list_is_named(root):
    (root / 'val.txt').unlink()
    with pytest.raises(FileNotFoundError, match=f'list of images {root}/val.txt'):
        CamVidDataset('val.txt', root)
    (root / 'val.txt').write_text('\n\n')
    with pytest.raises(ValueError, match=f'{root}/val.txt is empty'):
        CamVidDataset('val.txt', root)


def test_missing_images_and_labels_are_named_before_training(root):
    label = root / 'labels' / 'train' / 'c_train.png'
    content = label.read_bytes()
    label.unlink()
    with pytest.raises(FileNotFoundError, match=f'label file {label}.*train.txt'):
        CamVidDataset('train.txt', root)
    label.write_bytes(content)
    (root / 'images' / 'train' / 'c_train.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'c_train\.jpg or \.png of .*n.txt'):
        CamVidDataset('train.txt', root)
    with pytest.raises(FileNotFoundError, match=r'a_train\.bmp of'):
        CamVidDataset('train.txt', root, img_suffix='.bmp')


@pytest.mark.parametrize('wrong, message', [
    (np.full((24, 36), 12), 'values 0 to 11, got 12'),
    (np.full((24, 36), 255), 'values 0 to 11, got 255'),
    (np.full((24, 36, 3), 5), r'one channel .*\(24, 36, 3\)'),
    (b'no picture', 'cannot be read')])
def test_label_files_of_other_kinds_are_named_before_training(root, wrong, message):
    label = root / 'labels' / 'train' / 'b_train.png'
    if isinstance(wrong, bytes):
        label.write_bytes(wrong)
    else:
        assert cv2.imwrite(str(label), wrong.astype(np.uint8))
    with pytest.raises(ValueError, match=message) as caught:
        CamVidDataset('train.txt', root)
    assert str(label) in str(caught.value)


def test_files_behind_a_backend_need_their_ending(root):
    with pytest.raises(ValueError, match='img_suffix must be given'):
        CamVidDataset('train.txt', root, backend_args=dict(backend='local'))
    data = CamVidDataset('train.txt', root, backend_args=dict(backend='local'),
                         img_suffix='.jpg', pipeline=STEPS)
    assert (data[0]['gt_seg_map'] == 255).any()


def test_the_real_set_has_its_published_size(real_dir):
    data = {split: CamVidDataset(f'{split}.txt', real_dir / 'camvid', pipeline=STEPS)
            for split in ('train', 'val')}
    assert {split: len(part) for split, part in data.items()} == dict(
        train=367, val=101)
    for part in data.values():
        sample = part[len(part) // 2]
        assert sample['img'].shape == (360, 480, 3)
        assert sample['gt_seg_map'].shape == (360, 480)
        labels = set(np.unique(sample['gt_seg_map']))
        assert {1, 3} < labels <= {*range(11), 255}  # buildings and road
