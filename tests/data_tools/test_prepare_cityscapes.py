"""Training labels of Cityscapes."""
import cv2
import numpy as np
import pytest
from mmseg.datasets import CityscapesDataset

from data_tools import prepare_cityscapes as module
from data_tools.cityscapes_ids import LABEL_IDS, to_label_ids, to_train_ids
from ddp_perception.cli.main import main
from tests.datasets.test_bounded_files import write_png_that_claims


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / 'cityscapes'
    rng = np.random.default_rng(0)
    for split, city, count in (('train', 'aachen', 2), ('train', 'bochum', 1),
                               ('val', 'lindau', 2)):
        for number in range(count):
            stem = f'{city}_{number:06d}_000019'
            write(root / 'leftImg8bit' / split / city
                  / f'{stem}_leftImg8bit.png', np.zeros((20, 30, 3), np.uint8))
            write(root / 'gtFine' / split / city
                  / f'{stem}_gtFine_labelIds.png',
                  rng.integers(0, 34, (20, 30)).astype(np.uint8))
    return root


def run(capsys, *arguments):
    status = main(['prepare', 'cityscapes', *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def names(root, suffix='TrainIds.png'):
    return sorted(path.name for path in root.rglob(f'*{suffix}'))


def test_ids_by_the_published_table():
    table = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8,
             22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16,
             32: 17, 33: 18}
    ids = np.arange(256, dtype=np.uint8).reshape(16, 16)
    before = ids.copy()
    train = to_train_ids(ids)
    assert {int(i): int(t) for i, t in zip(ids.ravel(), train.ravel())
            if t != 255} == table
    np.testing.assert_array_equal(ids, before)
    known = np.isin(ids, LABEL_IDS)
    np.testing.assert_array_equal(to_label_ids(train),
                                  np.where(known, ids, 0))
    with pytest.raises(ValueError, match='int64'):
        to_train_ids(ids.astype(int))


def test_every_label_file_gets_its_training_labels(root, capsys):
    status, out, err = run(capsys, root)
    assert status == 0
    assert 'train: 3 files written' in out and 'val: 2 files written' in out
    assert not err  # no warning, and no bar where no terminal is
    sources = sorted(root.rglob('*labelIds.png'))
    assert len(sources) == 5
    for source in sources:
        target = source.with_name(
            source.name.replace('labelIds', 'labelTrainIds'))
        train = read(target)
        assert train.dtype == np.uint8 and train.shape == (20, 30)
        np.testing.assert_array_equal(train, to_train_ids(read(source)))
    assert not names(root, '.partial')
    # mmseg's own data set reads them.
    data = CityscapesDataset(
        data_root=str(root), pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmseg.LoadAnnotations')],
        data_prefix=dict(img_path='leftImg8bit/train',
                         seg_map_path='gtFine/train'))
    assert len(data) == 3
    np.testing.assert_array_equal(data[0]['gt_seg_map'], to_train_ids(read(
        root / 'gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png'
    )))


def test_an_interrupted_run_goes_on(root, capsys, monkeypatch):
    real, done = module.convert, []

    def interrupted(source, target):
        if len(done) == 2:
            raise OSError('disk full')
        done.append(source)
        return real(source, target)

    monkeypatch.setattr(module, 'convert', interrupted)
    status, _, err = run(capsys, root, '--jobs', 1)
    assert status == 1 and 'disk full' in err and len(names(root)) == 2
    monkeypatch.setattr(module, 'convert', real)
    first = next(root.rglob('*TrainIds.png'))
    write(first, np.full((20, 30), 3, np.uint8))
    status, out, _ = run(capsys, root)
    assert status == 0 and len(names(root)) == 5
    assert 'train: 1 files written, 2 left' in out
    assert (read(first) == 3).all()
    status, out, _ = run(capsys, root, '--overwrite')
    assert status == 0 and 'train: 3 files written, 0 left' in out
    assert not (read(first) == 3).all()


def test_a_failed_write_leaves_no_file(root, capsys, monkeypatch):
    def full(*_):
        raise OSError('no space')
    monkeypatch.setattr('ddp_perception.files.os.replace', full)
    status, _, err = run(capsys, root)
    assert status == 1 and 'no space' in err
    assert not names(root) and not list(root.rglob('*.part*'))


def test_one_split_alone(root, capsys):
    assert run(capsys, root, '--splits', 'val')[0] == 0
    assert len(names(root)) == len(names(root / 'gtFine/val')) == 2
    status, _, err = run(capsys, root, '--splits', 'test')
    assert status == 1 and 'no test; it has train, val' in err


def test_undefined_ids_are_ignored_with_a_warning(root, capsys):
    path = next((root / 'gtFine/val').rglob('*labelIds.png'))
    ids = np.full((20, 30), 26, np.uint8)
    ids[0, :3] = 40, 200, 255
    write(path, ids)
    status, _, err = run(capsys, root)
    assert status == 0
    assert f'{path}: [40, 200]' in err and '1 files hold ids above 33' in err
    train = read(path.with_name(path.name.replace('labelIds', 'labelTrainIds')
                                ))
    assert train[0].tolist() == [255] * 3 + [13] * 27


@pytest.mark.parametrize('array, message', [
    (np.zeros((4, 5), np.uint16), 'uint16 with 1 channels'),
    (np.zeros((4, 5, 3), np.uint8), 'uint8 with 3 channels')])
def test_files_of_another_type_are_named(root, capsys, array, message):
    path = next((root / 'gtFine/val').rglob('*labelIds.png'))
    write(path, array)
    status, _, err = run(capsys, root)
    assert status == 1 and f'error: {path} must be' in err and message in err
    for content in (b'', b'text'):
        path.write_bytes(content)
        status, _, err = run(capsys, root)
        assert status == 1 and f'{path} cannot be decoded' in err


def test_what_is_missing_is_said(root, tmp_path, capsys):
    for path in (root / 'gtFine/train/aachen').iterdir():
        path.unlink()
    status, _, err = run(capsys, root)
    assert status == 1 and '2 images have no label file' in err
    assert 'aachen_000000_000019_gtFine_labelIds.png' in err
    assert not names(root)
    status, _, err = run(capsys, tmp_path / 'none')
    assert status == 1 and 'not a folder' in err
    status, _, err = run(capsys, tmp_path)
    assert status == 1 and 'no folder gtFine' in err
    (tmp_path / 'gtFine').mkdir()
    assert run(capsys, tmp_path)[0] == 1
    (tmp_path / 'gtFine' / 'val').mkdir()
    status, _, err = run(capsys, tmp_path)
    assert status == 1 and 'in val' in err
    status, _, err = run(capsys, root, '--jobs', 0)
    assert status == 1 and '--jobs' in err


def test_label_files_that_would_fill_the_memory_are_named(root, capsys):
    vast, sparse = sorted(root.rglob('*labelIds.png'))[:2]
    write_png_that_claims(vast, 30_000, 30_000, colour=0)
    status, _, err = run(capsys, root)
    assert status == 1 and vast.name in err and 'pixels' in err
    write(vast, np.zeros((20, 30), np.uint8))
    with sparse.open('wb') as file:
        file.truncate(3_000_000_000)
    status, _, err = run(capsys, root, '--overwrite')
    assert status == 1 and sparse.name in err and '3,000 MB' in err
