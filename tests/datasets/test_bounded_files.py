"""What is refused before it is read or decoded."""
import os
import resource
import struct
import threading
import zlib

import cv2
import mmcv
import numpy as np
import pytest
from mmengine.fileio import LocalBackend, get_file_backend, register_backend
from mmengine.fileio import io as mmengine_io
from PIL import EpsImagePlugin, Image

from ddp_perception.datasets.bounded_files import bound_local_files, read_file
from ddp_perception.datasets.image_header import read_image_size
from ddp_perception.datasets.transforms.depth import LoadKITTIDepth
from ddp_perception.datasets.transforms.images import LoadMultiViewImages
from ddp_perception.datasets.transforms.points import read_points
from ddp_perception.visualization import read_image
from ddp_perception.visualization.samples import _read


def write_png_that_claims(path, height, width, bits=8, colour=2):
    """A PNG of any size in a few bytes; its pixels are missing."""
    def chunk(kind, content):
        return (struct.pack('>I', len(content)) + kind + content
                + struct.pack('>I', zlib.crc32(kind + content)))
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, bits, colour, 0, 0, 0))
        + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b''))
    return path


@pytest.fixture
def bounded_loaders():
    """What the command line does for the loaders of the other packages."""
    get_file_backend('/earlier', enable_singleton=True)  # kept by mmengine
    bound_local_files()
    yield
    register_backend('local', LocalBackend, force=True, prefixes='')
    mmengine_io.backend_instances.clear()


def _load_by_mmcv(path):
    from mmcv.transforms import LoadImageFromFile
    return LoadImageFromFile()({'img_path': str(path)})


def _load_labels(path):
    from mmseg.datasets.transforms import LoadAnnotations
    return LoadAnnotations()({'seg_map_path': str(path), 'seg_fields': [],
                              'reduce_zero_label': False})


def _load_points_by_mmdet3d(path):
    from mmdet3d.datasets.transforms import LoadPointsFromFile
    return LoadPointsFromFile('LIDAR', load_dim=5, use_dim=5)(
        {'lidar_points': {'lidar_path': str(path)}})


def _load_view(path):
    view = {'img_path': str(path), 'cam2img': np.eye(3), 'lidar2cam': np.eye(4)}
    return LoadMultiViewImages(cameras=['CAM_FRONT']).transform(
        {'images': {'CAM_FRONT': view}})


def _load_depth(path):
    return LoadKITTIDepth().transform({'depth_map_path': str(path)})


IMAGE_READERS = [read_image, _load_view, _load_depth, _load_by_mmcv, _load_labels]
READERS = [*IMAGE_READERS, lambda path: read_points(str(path), 5),
           _load_points_by_mmdet3d]


@pytest.mark.parametrize('reader', IMAGE_READERS)
@pytest.mark.parametrize('size', [(30_000, 30_000), (12_000, 12_000)])
def test_an_image_that_claims_too_much_is_refused_by_its_header(
        tmp_path, bounded_loaders, reader, size):
    path = write_png_that_claims(tmp_path / 'vast.png', *size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match='vast.png.*(pixels|too large)'):
        reader(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 150_000  # KiB; the pixels would take at least 432 MB


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A program in Ghostscript's place; returns the file that it makes."""
    ran = tmp_path / 'ran'
    (tmp_path / 'bin').mkdir()
    program = tmp_path / 'bin' / 'gs'
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] || echo "$*" >{ran}\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', f'{program.parent}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setattr(EpsImagePlugin, 'gs_binary', None)
    return ran


def _load_labels_by_pillow(path):
    from mmseg.datasets.transforms import LoadAnnotations
    return LoadAnnotations(imdecode_backend='pillow')(
        {'seg_map_path': str(path), 'seg_fields': [], 'reduce_zero_label': False})


@pytest.mark.parametrize('reader', [*IMAGE_READERS, _load_labels_by_pillow,
                                    read_image_size, _read])
def test_postscript_named_like_an_image_starts_no_program(
        tmp_path, bounded_loaders, ghostscript, reader):
    path = tmp_path / 'street.png'
    path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n'
                     b'%%EndComments\nshowpage\n%%EOF\n')
    with pytest.raises(ValueError, match='street.png'):
        reader(path)
    assert not ghostscript.exists()


@pytest.mark.parametrize('reader', READERS)
def test_devices_pipes_and_folders_are_refused_unopened(
        tmp_path, bounded_loaders, reader):
    pipe = tmp_path / 'pipe.png'
    os.mkfifo(pipe)
    link = tmp_path / 'zero.bin'
    link.symlink_to('/dev/zero')
    for path in (pipe, link, tmp_path):
        outcome = []

        def read(path=path, outcome=outcome):
            try:
                reader(path)
            except ValueError as error:
                outcome.append(str(error))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(10)
        assert outcome and str(path) in outcome[0], 'it reads on and on'
        assert 'expected a regular file' in outcome[0]


@pytest.mark.parametrize('reader', READERS)
def test_a_sparse_file_of_gigabytes_is_refused_by_its_size(
        tmp_path, bounded_loaders, reader):
    path = tmp_path / 'sparse.bin'
    with path.open('wb') as file:
        file.truncate(3_000_000_000)
    with pytest.raises(ValueError, match=r'sparse.bin.* 3,000 MB.*512 MB'):
        reader(path)


def test_the_bounds_can_be_raised_and_lowered(tmp_path, monkeypatch):
    path = tmp_path / 'small.png'
    Image.new('RGB', (1500, 1000)).save(path)
    monkeypatch.setenv('DDP_MAX_MEGAPIXELS', '1')
    with pytest.raises(ValueError, match='1000 x 1500 pixels.*1 million'):
        read_file(path)
    monkeypatch.setenv('DDP_MAX_MEGAPIXELS', '1.6')
    assert read_file(path) == path.read_bytes()
    monkeypatch.setenv('DDP_MAX_MEGABYTES', '0.000001')
    with pytest.raises(ValueError, match='small.png has'):
        read_file(path)
    monkeypatch.setenv('DDP_MAX_MEGABYTES', 'much')
    with pytest.raises(ValueError, match="DDP_MAX_MEGABYTES.*'much'"):
        read_file(path)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.tif', '.webp', '.ppm'])
def test_every_format_is_measured(tmp_path, monkeypatch, suffix):
    path = tmp_path / f'image{suffix}'
    cv2.imwrite(str(path), np.zeros((40, 50, 3), np.uint8))
    monkeypatch.setenv('DDP_MAX_MEGAPIXELS', '0.0019')
    with pytest.raises(ValueError, match='40 x 50 pixels'):
        read_file(path)


def test_what_is_sound_is_read_as_before(tmp_path, bounded_loaders):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'image.png'), pixels)
    np.testing.assert_array_equal(_load_by_mmcv(tmp_path / 'image.png')['img'], pixels)
    np.testing.assert_array_equal(read_image(tmp_path / 'image.png'),
                                  mmcv.bgr2rgb(pixels))
    points = rng.normal(size=(7, 5)).astype(np.float32)
    points.tofile(tmp_path / 'points.bin')
    found = _load_points_by_mmdet3d(tmp_path / 'points.bin')['points']
    np.testing.assert_array_equal(found.tensor.numpy(), points)
    with pytest.raises(FileNotFoundError, match='absent.bin'):
        read_points(str(tmp_path / 'absent.bin'), 5)
