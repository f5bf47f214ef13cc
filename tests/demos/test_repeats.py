"""Several trainings of a demo: which seeds, what is kept, what is said."""
import json
import re
from statistics import fmean

import pytest

from demos import cityscapes, joint
from demos.repeats import figures_of, spread_of, spread_rows
from tests.demos.test_images import write_cityscapes_config
from tests.synthetic import TINY_CITYSCAPES

JOINT = dict(nds=.2, nds_detector_alone=.3, detection_map=.1, miou_3_steps=.5,
             detection_map_detector_alone=.1, miou_constant_map=.25,
             iou_3_steps=dict(divider=.5), val_samples=4, seconds_total=3.,
             seconds_train=dict(detector=10., joint=20.), training_reused=False)


def test_seeds_are_trained_apart_and_kept_and_their_spread_is_printed(
        run, tmp_path, monkeypatch, repository_dir, capsys):
    monkeypatch.setattr(cityscapes, 'DATA', TINY_CITYSCAPES)
    config = write_cityscapes_config(tmp_path, repository_dir)

    def demo(folder, *options):
        run('demo-cityscapes', '--config', config, '--work-dir', tmp_path / folder,
            '--data-root', tmp_path / 'data', '--workers', '1', *options)
        return capsys.readouterr().out

    first = demo('work', '--repeats', 2)
    reports = [json.loads((tmp_path / 'work' / f'seed_{seed}' / 'report.json')
                          .read_text()) for seed in (0, 1)]  # the file's is 0
    assert not any(report['training_reused'] for report in reports)
    content = json.loads(first.splitlines()[-1])
    assert content['seeds'] == [0, 1] and content['val_samples'] == 2
    assert content['decoder_passes'] == reports[0]['decoder_passes']
    for name in ('miou_1_step', 'miou_3_steps', 'miou_constant', 'seconds_train'):
        values = [report[name] for report in reports]
        assert content['mean'][name] == pytest.approx(fmean(values), abs=1e-5)
        assert (content['least'][name], content['most'][name]) == (
            min(values), max(values))
    assert content['least']['miou_3_steps'] < content['most']['miou_3_steps']
    assert json.loads((tmp_path / 'work' / 'repeats.json').read_text()) == content
    assert re.search(r'diffusion head +\| \d+\.\d \(\d+\.\d to \d+\.\d\)', first)
    assert 'of 2 trainings, seeds 0 to 1' in first

    again = demo('work', '--seed', 0, '--repeats', 2)
    assert again.count('is up to date') == 2
    assert json.loads(again.splitlines()[-1]) == content

    demo('alone', '--seed', 1)
    alone = json.loads((tmp_path / 'alone' / 'report.json').read_text())
    assert not alone['training_reused']
    for name in ('miou_1_step', 'miou_3_steps'):
        assert alone[name] == reports[1][name]


def test_spread_by_hand():
    other = {**JOINT, 'nds': .4, 'iou_3_steps': dict(divider=.75),
             'seconds_train': dict(detector=20., joint=60.), 'training_reused': True}
    spread = spread_of([JOINT, other, {**JOINT, 'nds': .24}])
    assert list(spread) == ['mean', 'least', 'most']
    assert [spread[name]['nds'] for name in spread] == [.28, .2, .4]
    assert spread['mean']['iou_3_steps'] == {'divider': .58333}
    assert spread['most']['seconds_train'] == {'detector': 20., 'joint': 60.}
    assert 'seconds_total' not in spread['mean']
    assert 'val_samples' not in figures_of(spread['mean'])  # counts have no spread
    rows = spread_rows([joint.DEMO.rows(one) for one in spread.values()])
    assert rows[0] == ['', 'detector alone', 'with map head', 'constant map']
    assert rows[1] == ['NDS', '0.3000', '0.2800 (0.2000 to 0.4000)', '']


@pytest.mark.parametrize('option, value', [('--repeats', 0), ('--seed', -1)])
def test_odd_numbers_are_refused_before_any_work(error_of, tmp_path, option, value):
    message = error_of('demo', '--data-root', tmp_path / 'data', option, value)
    assert f'{option} must be at least {value + 1}, got {value}' in message
    assert not (tmp_path / 'data').exists()
