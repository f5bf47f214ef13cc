from pathlib import Path

import cv2
import numpy as np
import pytest

from ddp_perception import visualization
from tests.cli.test_evaluation import write_cityscapes, write_kitti
from tests.datasets.tiny_rig import write_tiny_rig

CONFIGS = Path(__file__).parent / 'configs'
RIG = """
custom_imports = dict(imports=['ddp_perception'], allow_failed_imports=False)
default_scope = 'mmdet3d'
train_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(
    type='DefaultSampler', shuffle=True), dataset=dict(
        type='RepeatDataset', times=3, dataset=dict(
            type='ddp.BEVDataset', data_root='.', ann_file='frames.json', pipeline=[
                dict(type='ddp.LoadMultiViewImages', cameras=['ahead']),
                dict(type='ddp.LoadPoints', load_dim=4, use_dim=4),
                dict(type='ddp.GlobalRotScaleTrans', rot_range=(-3, 3)),
                dict(type='ddp.LoadBEVMasks', xbound=(-20, 20, 1), ybound=(-15, 15, 1),
                     classes=['grass']),
                dict(type='ddp.PackMapInputs')])))
"""


@pytest.fixture
def frames(monkeypatch):
    """Frames that are drawn, by the file's name."""
    drawn = {}
    monkeypatch.setattr(visualization, 'save_frame', lambda frame, path, *rest:
                        drawn.update({path.name: frame}) or path)
    return drawn


@pytest.fixture
def rig_config(tmp_path):
    write_tiny_rig(tmp_path / 'rig')
    path = tmp_path / 'config.py'
    path.write_text(RIG)
    return path


def test_maps_are_drawn_as_augmented(run, rig_config, tmp_path, frames, capsys):
    def browse(*options):
        frames.clear()
        run('browse', rig_config, '--data-root', tmp_path / 'rig', '--out',
            tmp_path / 'out', *options)
        return dict(frames)

    first = browse('--limit', 3)
    assert list(first) == ['0.png', '2.png', '4.png']  # of 2 frames, 3 times
    assert capsys.readouterr().out.endswith(f'3 pictures in {tmp_path / "out"}\n')
    frame = first['2.png']
    assert frame.truth.shape == (1, 40, 30) and frame.xbound == (-20, 20, 1)
    assert frame.classes == ('grass', ) and len(frame.palette) == 1
    assert list(frame.images) == ['ahead'] and len(frame.points) > 0
    assert 'turned by' in frame.title and frame.augmentation is not None
    # One sample, drawn alone, is augmented alike; with another seed, or repeated, not.
    def turns(*options):
        return {name: frame.augmentation[0, 1]
                for name, frame in browse(*options).items()}

    whole, alone = turns('--limit', 6), turns('--index', 2)
    assert alone == {'2.png': whole['2.png']} and len(set(whole.values())) == 6
    assert turns('--index', 2, '--seed', 9)['2.png'] != whole['2.png']


def test_maps_of_a_task_of_ones_own_are_as_their_head_declares(
        run, tmp_path, frames, repository_dir, monkeypatch):
    from tests.datasets.tiny_drivable import write_cities
    write_cities(tmp_path / 'cities', **{
        'boston-seaport': 1, 'singapore-onenorth': 1, 'singapore-queenstown': 1})
    config = tmp_path / 'config.py'
    base = repository_dir / 'projects/map_prior/configs/ddp_3step_osm-drivable_cpu.py'
    config.write_text(f"""_base_ = {str(base)!r}
model = dict(seg_head=dict(classes=['lane'], palette=[[9, 8, 7]],
                           output_grid=[[-50, 50, 0.5], [-40, 60, 0.5]]))
""")
    run('browse', config, '--data-root', tmp_path / 'cities', '--split', 'val', '--out',
        tmp_path / 'out')
    frame, = frames.values()
    assert frame.classes == ('lane', ) and frame.palette == [[9, 8, 7]]
    assert frame.ybound == (-40, 60, 0.5)  # no step of the pipeline draws it
    assert frame.prior is not None and len(frame.prior) == len(frame.prior_classes)


def test_file_shows_the_map(run, rig_config, tmp_path):
    run('browse', rig_config, '--data-root', tmp_path / 'rig', '--out',
        tmp_path / 'out', '--index', 5)
    picture = cv2.imread(str(tmp_path / 'out' / '5.png'))
    assert min(picture.shape[:2]) > 500 and picture.std() > 10


@pytest.mark.parametrize('config, write, panels', [
    ('evaluate_seg', write_cityscapes, 2), ('evaluate_depth', write_kitti, 2)])
def test_images_are_drawn_with_their_truth(run, tmp_path, monkeypatch, config, write,
                                           panels):
    from ddp_perception.visualization.panels import Panels
    write(tmp_path / 'data')
    figures = []
    monkeypatch.setattr(Panels, 'save',
                        lambda self, path: figures.append(self.figure) or path)
    run('browse', CONFIGS / f'{config}.py', '--data-root', tmp_path / 'data', '--split',
        'test', '--index', 1, '--out', tmp_path / 'out')
    figure, = figures
    shown = {axes.get_title(): axes.get_images()[0] for axes in figure.axes
             if axes.get_title()}
    assert len(shown) == panels and 'image' in shown
    if config == 'evaluate_seg':
        file, = (tmp_path / 'data').rglob('b_leftImg8bit.png')
        # The pipeline made it smaller, so that it is less sharp.
        image, recorded = shown['image'].get_array(), cv2.imread(str(file))[..., ::-1]
        likeness = [[np.corrcoef(image[..., i].ravel(), recorded[..., j].ravel())[0, 1]
                     for i in range(3)] for j in range(3)]
        assert np.diag(likeness).min() > 0.5 > 0.2 > abs(likeness[0][2])
        assert 'truth' in shown
    else:
        depth = shown['true depth'].get_array()
        assert (~depth.mask).any() and depth.min() > 0


def test_what_cannot_be_browsed_is_said(error_of, rig_config, tmp_path):
    def error(*options, out=tmp_path / 'out'):
        return error_of('browse', rig_config, '--data-root', tmp_path / 'rig', '--out',
                        out, *options)

    assert 'must be from 0 to 5, the last sample of train, got 6' in error('--index', 6)
    assert '--limit must be at least 1, got 0' in error('--limit', 0)
    assert 'test_dataloader' in error('--split', 'test')
    (tmp_path / 'file').touch()
    assert 'no folder' in error(out=tmp_path / 'file')
    rig_config.write_text(rig_config.read_text().replace(
        "type='ddp.PackMapInputs'", "type='ddp.PackMapInputs', keys=['img', 'points']"))
    assert 'sample 0 has no truth that could be drawn' in error()
    assert not (tmp_path / 'out').exists()
