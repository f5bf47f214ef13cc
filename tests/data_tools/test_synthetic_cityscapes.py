"""The synthetic Cityscapes root, opened as users open the real one."""
import shutil

import cv2
import numpy as np
import pytest
from mmseg.datasets import CityscapesDataset
from pyquaternion import Quaternion

from data_tools.cityscapes_ids import to_train_ids
from data_tools.prepare_cityscapes import prepare
from data_tools.synthetic.sensors import photograph
from data_tools.synthetic_cityscapes import write_synthetic_cityscapes
from data_tools.synthetic_cityscapes.calibration import camera
from data_tools.synthetic_cityscapes.options import Options
from data_tools.synthetic_cityscapes.writer import (
    _write_drive,
    frame_paths,
    open_world,
    plan,
    sensor,
)
from data_tools.world import labels
from ddp_perception.cli.main import main
from tests.synthetic import TINY_CITYSCAPES, make_synthetic_cityscapes

OPTIONS = Options(**TINY_CITYSCAPES)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_synthetic_cityscapes(
        tmp_path_factory.mktemp('synthetic') / 'cityscapes')


@pytest.fixture(scope='module')
def pairs(root):
    """(picture, label ids) of all frames, unchanged from disk."""
    pictures = sorted((root / 'leftImg8bit').rglob('*_leftImg8bit.png'))
    read = []
    for picture in pictures:
        label = str(picture).replace('/leftImg8bit/', '/gtFine/').replace(
            '_leftImg8bit.png', '_gtFine_labelIds.png')
        read.append((cv2.imread(str(picture), cv2.IMREAD_UNCHANGED),
                     cv2.imread(label, cv2.IMREAD_UNCHANGED)))
    return read


def test_files_have_the_names_and_types_of_cityscapes(root, pairs):
    names = sorted(str(p.relative_to(root)) for p in root.rglob('*.png'))
    assert names == sorted(
        path.format(kind=kind, tail=tail)
        for kind, tail in (('leftImg8bit', 'leftImg8bit'),
                           ('gtFine', 'gtFine_labelIds'))
        for path in (
            '{kind}/train/aachen/aachen_000000_000000_{tail}.png',
            '{kind}/train/aachen/aachen_000000_000009_{tail}.png',
            '{kind}/val/frankfurt/frankfurt_000000_000000_{tail}.png',
            '{kind}/val/frankfurt/frankfurt_000000_000009_{tail}.png'))
    for picture, label in pairs:
        assert picture.shape == (128, 256, 3) and picture.dtype == np.uint8
        assert label.shape == (128, 256) and label.dtype == np.uint8
        assert picture.std() > 10


def test_labels_are_those_of_cityscapes_and_common_ones_occur(pairs):
    for _, label in pairs:
        assert set(np.unique(label)) <= set(labels.NAMES)
        counted = to_train_ids(label)
        assert (counted == 255).mean() < .1
        seen = {labels.NAMES[i] for i in np.unique(label)}
        assert {'road', 'sidewalk', 'building', 'pole', 'vegetation', 'sky',
                'person'} <= seen
    together = {labels.NAMES[i] for _, label in pairs
                for i in np.unique(label)}
    assert {'car', 'terrain', 'traffic sign', 'wall', 'fence'} <= together


def test_pictures_show_what_labels_say(root, pairs):
    for picture, label in pairs:
        assert (label[-20:] == labels.ROAD).mean() > .4
        assert (label[-44:] != labels.SKY).all()
        sky = picture[label == labels.SKY].mean()
        assert sky > picture[label == labels.VEGETATION].mean() + 25
    drive = plan(OPTIONS)[1]
    seen_by = sensor(drive, 9, OPTIONS)
    assert seen_by.translation[2] == pytest.approx(1.22, abs=.15)
    shot = photograph(open_world(drive, OPTIONS), 9 / 17, seen_by, (256, 128),
                      0)
    picture, label = pairs[-1]
    np.testing.assert_array_equal(label, shot.label)
    assert np.abs(picture[..., ::-1].astype(int) - shot.rgb).mean() < 4


def test_the_horizon_lies_where_cityscapes_has_it():
    """The camera looks 2.2 degrees down: 87 of 1024 rows above the middle."""
    mount = camera(Quaternion(), (256, 128))
    pose = mount.ego_from_sensor()
    ahead = pose[:3, :3].T @ (1., 0., 0.)
    column, row, _ = mount.intrinsic @ (ahead / ahead[2])
    assert column == pytest.approx(1096.98 / 8)
    assert row == pytest.approx((513.14 - 87) / 8, abs=.1)
    assert pose[2, 1] < -.99 and pose[0, 2] > .99 and pose[2, 3] == 1.22


def test_mmseg_opens_it_after_the_usual_preparation(root, tmp_path):
    shutil.copytree(root, tmp_path / 'copy')
    prepare(tmp_path / 'copy', progress=False)
    for split in ('train', 'val'):
        dataset = CityscapesDataset(
            data_root=str(tmp_path / 'copy'), data_prefix=dict(
                img_path=f'leftImg8bit/{split}',
                seg_map_path=f'gtFine/{split}'),
            pipeline=[dict(type='LoadImageFromFile'),
                      dict(type='mmseg.LoadAnnotations')])
        assert len(dataset) == 2
        for sample in dataset:
            truth = sample['gt_seg_map']
            assert truth.shape == sample['img'].shape[:2] == (128, 256)
            assert set(np.unique(truth)) <= {*range(19), 255}
            assert (truth == 0).mean() > .2  # road


def test_drives_go_through_the_cities_in_turn():
    drives = plan(Options(train_drives=20, val_drives=4))
    paths = [frame_paths(d, 40) for d in drives]
    assert paths[19][0] == ('leftImg8bit/train/bochum/bochum_000001_000040_'
                            'leftImg8bit.png')
    assert paths[23][1] == ('gtFine/val/frankfurt/frankfurt_000001_000040_'
                            'gtFine_labelIds.png')
    assert len(set(paths)) == 24


def test_the_same_seed_gives_the_same_bytes(root, tmp_path):
    _write_drive(tmp_path, plan(OPTIONS)[0], OPTIONS, lambda: None)
    written = list(tmp_path.rglob('*.png'))
    assert len(written) == 4
    for path in written:
        assert path.read_bytes() == (
            root / path.relative_to(tmp_path)).read_bytes()


def test_bad_options_are_named(tmp_path, root, capsys):
    out = tmp_path / 'x'
    with pytest.raises(ValueError, match='val_drives must lie in 1..4999'):
        write_synthetic_cityscapes(out, val_drives=0)
    with pytest.raises(ValueError, match='at least 16 pixels'):
        write_synthetic_cityscapes(out, image_size=(64, 8))
    assert main(['synthesize', 'cityscapes', str(out), '--stride', '0']) == 2
    assert 'stride must lie in 1..170, got 0' in capsys.readouterr().err
    assert not out.exists()
    assert main(['synthesize', 'cityscapes', str(root), '--seed', '4']) == 2
    assert 'dataset' not in capsys.readouterr().err
