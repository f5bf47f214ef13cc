"""Split files and the KITTI depth data set."""
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from ddp_perception.datasets import KITTIDepthDataset
from ddp_perception.datasets.kitti_splits import Frame, read_split, write_split
from ddp_perception.registry import DATASETS

from .tiny_kitti import DRIVES, frame_paths, line, write_tiny_kitti


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_tiny_kitti(tmp_path_factory.mktemp('kitti'))


@pytest.fixture
def log(caplog):
    """Messages of mmengine's logger, which passes none on by itself."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture
def split(tmp_path):
    def write(*lines):
        path = tmp_path / 'split.txt'
        path.write_text('\n'.join(lines) + '\n')
        return path
    return write


LINES = (line(DRIVES[1], 0), line(DRIVES[0], 1, depth=False),
         line(DRIVES[2], 1), '', line(DRIVES[0], 0))


def test_lines_without_depth_are_dropped_and_the_rest_sorted(split):
    frames, dropped = read_split(split(*LINES))
    assert dropped == 1
    assert [frame.image for frame in frames] == sorted(
        frame_paths(*which)[0] for which in
        [(DRIVES[0], 0), (DRIVES[1], 0), (DRIVES[2], 1)])
    assert frames[0] == Frame(*frame_paths(DRIVES[0], 0), 721.5377)


@pytest.mark.parametrize('focal', [None, 707.0912])
@pytest.mark.parametrize('depth', ['b/c.png', None])
def test_written_lists_read_back(tmp_path, focal, depth):
    frames = [Frame(f'a/{i}.png', depth, focal if depth else None)
              for i in range(3)]
    write_split(tmp_path / 'list.txt', reversed(frames))
    assert read_split(tmp_path / 'list.txt') == (frames, 0)
    assert [path.name for path in tmp_path.iterdir()] == ['list.txt']


@pytest.mark.parametrize('text, message', [
    ('a.png b.png 721.5 extra', r'line 2: .*4 fields'),
    ('a.png b.png long', r"line 2: 'a.png b.png long'.*focal.*'long'"),
    ('a.png b.png nan', r'line 2: .*focal'),
    ('a.png b.png -3', r'line 2: .*focal'),
    ('a.png b.png', r'line 2: .* has 2 fields, but line 1 has 3'),
    ('None b.png 721.5', r'line 2: .* no image path'),
])
def test_malformed_lines_are_named(split, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_split(split(LINES[0], text))
    assert 'split.txt' in str(caught.value) and text in str(caught.value)


def test_samples_have_the_files_of_the_official_layout(root, split, log):
    data = DATASETS.build(dict(
        type='ddp.KITTIDepthDataset', data_root=str(root),
        ann_file=str(split(*LINES)), test_mode=True))
    assert len(data) == 3
    sample = data.get_data_info(1)
    image, depth = frame_paths(DRIVES[1], 0)
    assert sample['img_path'] == str(root / 'input' / image)
    assert sample['depth_map_path'] == str(root / 'gt_depth' / depth)
    assert sample['focal'] == 721.5377
    assert sample['seg_fields'] == []
    assert '1 of 4 lines have no depth map' in log.text


def test_the_split_is_sought_in_the_root_and_folders_can_be_named(tmp_path):
    root = write_tiny_kitti(tmp_path, drives=DRIVES[:1])
    (root / 'input').rename(root / 'raw')
    (root / 'mine.txt').write_text(line(DRIVES[0], 1) + '\n')
    data = KITTIDepthDataset('mine.txt', root, data_prefix=dict(
        img_path='raw', depth_map_path='gt_depth'))
    assert data.get_data_info(0)['img_path'].startswith(str(root / 'raw'))
    with pytest.raises(ValueError, match='img_path'):
        KITTIDepthDataset('mine.txt', root, data_prefix={'img_path': 'raw'})
    with pytest.raises(FileNotFoundError, match='other.txt'):
        KITTIDepthDataset('other.txt', root)


def test_benchmark_lists(root, split):
    two = [line(drive, 0, focal=False) for drive in DRIVES]
    data = KITTIDepthDataset(split(*two), root)
    assert len(data) == 3 and 'focal' not in data.get_data_info(0)

    images = [frame_paths(drive, 0)[0] for drive in DRIVES[:2]]
    data = KITTIDepthDataset(split(*images), root, test_mode=True)
    assert len(data) == 2 and 'depth_map_path' not in data.get_data_info(0)
    with pytest.raises(ValueError, match='not trained on'):
        KITTIDepthDataset(split(*images), root)


def test_missing_files_are_counted_listed_and_refused(root, split, log):
    lines = [line(DRIVES[0], frame) for frame in range(9)]
    with pytest.raises(FileNotFoundError) as caught:
        KITTIDepthDataset(split(*lines), root)
    message = str(caught.value)
    # Frames 2 to 8 lack image and depth map.
    assert '14 files are missing, in 7 of 9 frames' in message
    assert message.count('.png') == 5 and 'and 9 more' in message
    assert str(root / 'input' / frame_paths(DRIVES[0], 2)[0]) in message
    assert 'allow_missing' in message

    data = KITTIDepthDataset(split(*lines), root, allow_missing=True)
    assert len(data) == 2
    assert '14 files are missing' in log.text
    assert any(r.levelno == logging.WARNING for r in log.records)


def test_a_name_that_no_disk_can_hold_is_a_missing_file(root, split):
    path = split(f'{"x" * 5000} None 700', f'{"y" * 5000} a\0.png 700')
    with pytest.raises(FileNotFoundError, match='2 files are missing') as caught:
        KITTIDepthDataset(path, root)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1500


def test_nothing_left_is_an_error(root, split):
    with pytest.raises(ValueError, match='no usable frame: 1 line with None for'):
        KITTIDepthDataset(split(line(DRIVES[0], 0, depth=False)), root)
    with pytest.raises(ValueError, match='no usable frame'):
        KITTIDepthDataset(split(line(DRIVES[0], 7)), root, allow_missing=True)


def test_a_part_of_the_list_keeps_its_order(root, split):
    path = split(*reversed([line(drive, i) for drive in DRIVES for i in range(2)]))
    images = [root / 'input' / frame_paths(drive, i)[0]
              for drive in DRIVES for i in range(2)]

    def part(indices):
        data = KITTIDepthDataset(path, root, indices=indices)
        return [Path(data.get_data_info(i)['img_path']) for i in range(len(data))]

    assert part(None) == images
    assert part(4) == images[:4]
    assert part([4, 5]) == images[4:]
    assert part(-2) == images[-2:] and part(-6) == images


@pytest.mark.parametrize('beyond', [6, -7])
def test_a_part_beyond_the_list_is_refused(root, split, beyond):
    path = split(*[line(drive, i) for drive in DRIVES for i in range(2)])
    with pytest.raises(ValueError, match=f'6 usable frames.* asks for {beyond}$'
                       ) as caught:
        KITTIDepthDataset(path, root, indices=[0, beyond])
    assert 'split.txt' in str(caught.value)


def test_training_pipeline_of_the_recipe(root, split):
    data = DATASETS.build(dict(
        type='ddp.KITTIDepthDataset', data_root=str(root),
        ann_file=str(split(*LINES)), pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ddp.LoadKITTIDepth'),
            dict(type='ddp.KBCrop', height=40, width=56),
            dict(type='ddp.DepthRandomRotate'),
            dict(type='mmseg.RandomFlip', prob=.5),
            dict(type='ddp.DepthRandomCrop', crop_size=(32, 48)),
            dict(type='ddp.DepthColorAug'),
            dict(type='mmseg.PackSegInputs')]))
    for index in range(len(data)):
        packed = data[index]
        assert packed['inputs'].shape == (3, 32, 48)
        assert packed['inputs'].dtype == torch.uint8
        depth = packed['data_samples'].gt_depth_map.data
        assert depth.shape == (1, 32, 48) and depth.dtype == torch.float32
        assert 0 < (depth > 0).float().mean() < .6
        assert depth[depth > 0].min() >= 1 and depth.max() < 14


def test_real_frame(real_dir, tmp_path):
    folder = real_dir / 'kitti_sample'
    (tmp_path / 'list.txt').write_text('000008.png 000008_depth.png 721.5\n')
    data = DATASETS.build(dict(
        type='ddp.KITTIDepthDataset', ann_file=str(tmp_path / 'list.txt'),
        data_root=str(folder),
        data_prefix=dict(img_path='', depth_map_path=''), pipeline=[
            dict(type='LoadImageFromFile'), dict(type='ddp.LoadKITTIDepth'),
            dict(type='ddp.KBCrop'), dict(type='mmseg.PackSegInputs')]))
    packed = data[0]
    depth = packed['data_samples'].gt_depth_map.data.numpy()
    assert packed['inputs'].shape[1:] == depth.shape[1:] == (352, 1216)
    assert packed['data_samples'].ori_shape == (352, 1216)
    # Sparse LiDAR of a street: see the data set's README.
    assert .02 < (depth > 0).mean() < .06 and 60 < depth.max() < 80
    assert np.median(depth[depth > 0]) > 5
