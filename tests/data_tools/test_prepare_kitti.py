"""Checking KITTI depth roots and writing their split files."""

import cv2
import numpy as np
import pytest

from data_tools.prepare_kitti import split_drives
from ddp_perception.cli.main import main
from ddp_perception.datasets import KITTIDepthDataset
from ddp_perception.datasets.kitti_splits import Frame, read_split
from ddp_perception.datasets.png_header import PNGHeader, read_png_header
from tests.datasets.tiny_kitti import (
    DRIVES,
    frame_paths,
    line,
    write_png,
    write_tiny_kitti,
)


@pytest.fixture
def root(tmp_path):
    return write_tiny_kitti(tmp_path / 'kitti')


def run(capsys, *arguments):
    status = main(['prepare', 'kitti', *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_root_without_splits_gets_them_by_drive(root, capsys):
    (root / 'gt_depth' / frame_paths(DRIVES[0], 1)[1]).unlink()
    status, out, err = run(capsys, root, '--write-splits')
    assert status == 0 and 'error' not in err
    assert 'kitti_train.txt: 3 frames of 2 drives' in out
    assert 'kitti_val.txt: 2 frames of 1 drive\n' in out
    assert '1 image without a depth map' in out
    train, val = (KITTIDepthDataset(f'kitti_{name}.txt', root)
                  for name in ('train', 'val'))
    assert len(train) == 3 and len(val) == 2
    assert all(DRIVES[2] in val.get_data_info(i)['img_path'] for i in (0, 1))

    before = (root / 'kitti_val.txt').read_text()
    status, _, err = run(capsys, root, '--write-splits')
    assert status == 1 and 'exist' in err and '--overwrite' in err
    status, *_ = run(capsys, root, '--write-splits', '--overwrite',
                     '--val-share', .5)
    assert status == 0
    assert (root / 'kitti_val.txt').read_text() != before
    assert len(KITTIDepthDataset('kitti_val.txt', root)) == 4


def test_jpeg_images_are_frames_too(root, capsys):
    """As the raw drives are often kept."""
    for path in sorted((root / 'input').rglob('*.png')):
        cv2.imwrite(str(path.with_suffix('.jpg')), cv2.imread(str(path)))
        path.unlink()
    status, out, err = run(capsys, root, '--write-splits')
    assert status == 0 and not err
    assert 'kitti_train.txt: 4 frames of 2 drives' in out
    frames = read_split(root / 'kitti_train.txt')[0]
    assert all(frame.image.endswith('.jpg') and frame.depth.endswith('.png')
               for frame in frames)
    path = root / 'input' / frames[0].image
    cv2.imwrite(str(path), np.zeros((5, 7, 3), np.uint8))
    status, _, err = run(capsys, root)
    assert status == 1 and 'its image 5 x 7' in err
    path.write_bytes(b'no image')
    status, _, err = run(capsys, root)
    assert status == 1 and f'{path} is not an image' in err


def test_a_frame_of_two_images_is_listed_once(root, capsys):
    image = sorted((root / 'input').rglob('*.png'))[0]
    cv2.imwrite(str(image.with_suffix('.jpg')), cv2.imread(str(image)))
    status, out, _ = run(capsys, root, '--write-splits')
    assert status == 0 and 'kitti_train.txt: 4 frames of 2 drives' in out
    assert image.name in (root / 'kitti_train.txt').read_text()


def test_focal_lengths_come_from_the_calibration(root, capsys):
    for date, focal in (('2011_09_26', 721.5377), ('2011_10_03', 718.856)):
        (root / 'input' / date / 'calib_cam_to_cam.txt').write_text(
            f'P_rect_00: 9.9e+02 0\nP_rect_02: {focal:e} 0.0 6.0e+02 4.4\n')
    assert run(capsys, root, '--write-splits')[0] == 0
    assert {f.focal for f in read_split(root / 'kitti_train.txt')[0]} == {
        721.5377}
    assert {f.focal for f in read_split(root / 'kitti_val.txt')[0]} == {
        718.856}
    # Where one date lacks it, the lists have two fields.
    (root / 'input/2011_10_03/calib_cam_to_cam.txt').unlink()
    assert run(capsys, root, '--write-splits', '--overwrite')[0] == 0
    assert {f.focal for name in ('train', 'val') for f in read_split(
        root / f'kitti_{name}.txt')[0]} == {None}
    (root / 'input/2011_10_03/calib_cam_to_cam.txt').write_text('S: 1\n')
    status, _, err = run(capsys, root, '--write-splits', '--overwrite')
    assert status == 1 and 'no P_rect_02' in err


@pytest.mark.parametrize('value', ['nan', '-7.2e+02', '0', 'inf'])
def test_focal_length_that_none_can_be_is_named(root, capsys, value):
    path = root / 'input' / '2011_09_26' / 'calib_cam_to_cam.txt'
    path.write_bytes(b'corner_dist: \xff\n' + f'P_rect_02: {value} 0\n'.encode())
    status, _, err = run(capsys, root, '--write-splits')
    assert status == 1 and f'{path}: P_rect_02 must begin with a focal' in err
    assert not list(root.glob('*.txt'))


def test_drives_are_divided_whole():
    drives = {f'd{i}': [Frame(f'{i}/{j}', 'x', None) for j in range(3)]
              for i in range(10)}
    train, val = split_drives(drives, .2)
    assert [frame.image[0] for frame in val] == ['8'] * 3 + ['9'] * 3
    assert len(train) == 24 and not set(train) & set(val)
    assert len(split_drives(drives, .01)[1]) == 3
    assert len(split_drives(drives, .99)[0]) == 3
    with pytest.raises(ValueError, match='only d0'):
        split_drives({'d0': drives['d0']}, .2)
    with pytest.raises(ValueError, match='val_share'):
        split_drives(drives, 1)


def test_every_split_of_the_root_is_checked(root, capsys):
    (root / 'a.txt').write_text(line(DRIVES[0], 0) + '\n'
                                + line(DRIVES[0], 1, depth=False) + '\n')
    (root / 'b.txt').write_text(frame_paths(DRIVES[1], 0)[0] + '\n')
    status, out, err = run(capsys, root)
    assert status == 0
    assert 'a.txt: 1 frame, 1 line without depth map' in out
    assert 'b.txt: 1 frame,' in out
    assert '1/1' not in err  # no terminal, no progress bar


def test_missing_files_are_counted_and_named(root, capsys):
    (root / 'a.txt').write_text('\n'.join(
        line(DRIVES[0], frame) for frame in range(9)))
    status, out, err = run(capsys, root, '--split', root / 'a.txt')
    assert status == 1
    assert 'a.txt: 14 files are missing' in err and 'and 9 more' in err
    assert str(root / 'input' / frame_paths(DRIVES[0], 2)[0]) in err
    status, *_ = run(capsys, root, '--split', 'a.txt', '--allow-missing')
    assert status == 0


def test_faulty_depth_maps_are_named(root, capsys):
    assert run(capsys, root, '--write-splits', '--val-share', .9)[0] == 0
    eight, small, text = (root / 'gt_depth' / frame_paths(drive, 0)[1]
                          for drive in DRIVES)
    write_png(eight, np.zeros((44, 60), np.uint8))
    write_png(small, np.zeros((40, 60), np.uint16))
    text.write_bytes(b'not a picture at all, not even nearly')
    status, _, err = run(capsys, root)
    assert status == 1
    assert 'kitti_val.txt: ' in err
    assert f'{eight} must be a 16-bit grey PNG' in err
    assert '8-bit grey' in err
    assert f'{small} is 40 x 60, its image 44 x 60' in err
    assert f'{text} is not a PNG file' in err
    status, *_ = run(capsys, root, '--allow-missing')
    assert status == 1  # faulty is not missing


@pytest.mark.parametrize('shape, dtype, header', [
    ((5, 7), np.uint8, PNGHeader(5, 7, 8, 'grey')),
    ((5, 7), np.uint16, PNGHeader(5, 7, 16, 'grey')),
    ((5, 7, 3), np.uint16, PNGHeader(5, 7, 16, 'RGB')),
    ((5, 7, 4), np.uint8, PNGHeader(5, 7, 8, 'RGBA'))])
def test_png_headers(tmp_path, shape, dtype, header):
    cv2.imwrite(str(tmp_path / 'a.png'), np.ones(shape, dtype))
    assert read_png_header(tmp_path / 'a.png') == header
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.ones((5, 7), np.uint8))
    with pytest.raises(ValueError, match='a.jpg is not a PNG'):
        read_png_header(tmp_path / 'a.jpg')


def test_what_is_wrong_with_a_root_is_said(root, tmp_path, capsys):
    status, _, err = run(capsys, tmp_path / 'none')
    assert status == 1 and 'none is not a folder' in err
    status, _, err = run(capsys, root)
    assert status == 1 and 'no split file' in err and '--write-splits' in err
    status, _, err = run(capsys, root, '--split', 'lost.txt')
    assert status == 1 and 'lost.txt is missing' in err
    (root / 'bad.txt').write_text('one two three\n')
    status, _, err = run(capsys, root)
    assert status == 1 and "bad.txt, line 1: 'one two three'" in err
    (root / 'bad.txt').write_text(line(DRIVES[0], 0, depth=False))
    status, _, err = run(capsys, root)
    assert status == 1 and 'no frame with a depth map' in err
    (tmp_path / 'empty' / 'input').mkdir(parents=True)
    status, _, err = run(capsys, tmp_path / 'empty', '--write-splits')
    assert status == 1 and 'no folder gt_depth' in err
    (tmp_path / 'empty' / 'gt_depth').mkdir()
    status, _, err = run(capsys, tmp_path / 'empty', '--write-splits')
    assert status == 1 and 'no frame' in err and '0 images match' in err
