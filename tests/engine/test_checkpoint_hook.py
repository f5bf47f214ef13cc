import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import LocalBackend
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

import ddp_perception  # noqa: F401
from ddp_perception.checkpoints.curves import restore_curves, store_curves
from ddp_perception.checkpoints.reading import load_checkpoint_file
from ddp_perception.compat import load_checkpoints_safely
from ddp_perception.registry import HOOKS
from tests.cli.conftest import (  # noqa: F401
    CONFIGS,
    _forget_runs,
    tiny_root,
)


class Killed(BaseException):
    """Stands for the end of the process: no clean-up of ours catches it."""


@pytest.fixture
def runner_of(tiny_root, tmp_path):  # noqa: F811
    """Build a run of the tiny configuration with our checkpoints."""
    load_checkpoints_safely()

    def build(config='tiny_iters', resume=None, work='work', **checkpoint):
        _forget_runs()
        cfg = Config.fromfile(CONFIGS / f'{config}.py')
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            loader.dataset.data_root = str(tiny_root)
        cfg.default_hooks.checkpoint.update(type='ddp.CheckpointHook', **checkpoint)
        cfg.update(work_dir=str(tmp_path / work), randomness=dict(seed=1),
                   resume=resume is not None, load_from=resume and str(resume))
        return Runner.from_cfg(cfg)

    return build


def _files(folder):
    return {path.name for path in folder.iterdir() if path.is_file()}


def _stop_at(monkeypatch, owner, name, wanted):
    """Raise `Killed` before the call whose last argument names the file."""
    call = getattr(owner, name)

    def stopping(*args, **kwargs):
        if Path(args[-1]).name.startswith(wanted):
            raise Killed
        return call(*args, **kwargs)

    monkeypatch.setattr(owner, name, stopping)


def test_former_checkpoint_stays_until_the_new_one_is_whole(
        runner_of, tmp_path, monkeypatch):
    def half(self, obj, filepath):
        if 'iter_4' in filepath and 'best' not in filepath:
            Path(filepath).write_bytes(obj[:len(obj) // 2])
            raise OSError(28, 'No space left on device')
        Path(filepath).write_bytes(obj)

    monkeypatch.setattr(LocalBackend, 'put', half)
    with pytest.raises(OSError, match='No space left'):
        runner_of().train()
    assert _files(tmp_path / 'work') >= {'iter_2.pth', 'last_checkpoint'}
    assert not [name for name in _files(tmp_path / 'work')
                if 'iter_4' in name or '.part' in name]
    assert (tmp_path / 'work' / 'last_checkpoint').read_text().endswith('iter_2.pth')


@pytest.mark.parametrize('owner, call, wanted, last, both', [
    (os, 'replace', 'iter_6.pth', 'iter_4.pth', False),
    (os, 'replace', 'last_checkpoint', None, False),
    (LocalBackend, 'remove', 'iter_2.pth', 'iter_4.pth', True)])
def test_run_stopped_between_two_steps_of_a_checkpoint_goes_on(
        runner_of, tmp_path, monkeypatch, owner, call, wanted, last, both):
    work = tmp_path / 'work'
    with monkeypatch.context() as patch:
        _stop_at(patch, owner, call, wanted)
        with pytest.raises(Killed):
            runner_of(save_best=None).train()
    if last is None:  # the first of all: written, but not yet named
        assert 'last_checkpoint' not in _files(work)
        last = 'iter_2.pth'
    else:
        assert Path((work / 'last_checkpoint').read_text()).name == last
    assert ({'iter_2.pth', 'iter_4.pth'} <= _files(work)) == both
    load_checkpoint_file(work / last)
    runner_of(save_best=None, resume=work / last).train()
    assert {name for name in _files(work) if name.startswith('iter')} == {
        'iter_12.pth'}


def test_former_best_stays_until_the_new_one_is_named(runner_of, tmp_path,
                                                      monkeypatch):
    work = tmp_path / 'work'
    settings = dict(save_best='count', rule='greater')
    monkeypatch.setattr('tests.cli.tiny.TinyMetric.compute_metrics',
                        lambda self, results: {'count': 1. + len(os.listdir(work))})
    with monkeypatch.context() as patch:
        _stop_at(patch, LocalBackend, 'remove', 'best_count_iter_4.pth')
        with pytest.raises(Killed):
            runner_of(**settings).train()
    assert {'best_count_iter_4.pth', 'best_count_iter_8.pth',
            'iter_8.pth'} <= _files(work)
    runner_of(resume=work / 'iter_8.pth', **settings).train()
    best = [name for name in _files(work) if name.startswith('best')]
    assert len(best) == 1 and best != ['best_count_iter_4.pth']


def test_what_a_killed_run_left_is_removed_and_nothing_else(runner_of, tmp_path):
    work = tmp_path / 'work'
    work.mkdir()
    left = {'iter_4.pth.part12', 'best_mean_prediction_iter_4.pth.part12',
            'last_checkpoint.part7'}
    others = {'mine.pth.part12', 'iter_4.pth.part', 'notes.part1'}
    for name in left | others:
        (work / name).write_bytes(b'half')
    runner_of().train()
    assert not left & _files(work) and others <= _files(work)


@pytest.mark.parametrize('named', [
    ['precious.pth'], ['../iter_1.pth'], ['best_/../../iter_1.pth'], ['..', ''],
    ['iter_2.pth']])
def test_checkpoint_cannot_have_other_files_removed(runner_of, tmp_path, named):
    runner = runner_of()
    runner.train()
    work, above = tmp_path / 'work', tmp_path / 'iter_1.pth'
    for path in (above, work / 'precious.pth'):
        path.write_bytes(b'mine')
    os.rename(work / 'iter_12.pth', work / 'iter_2.pth')
    content = torch.load(work / 'iter_2.pth', weights_only=True)
    notes = content['message_hub']['runtime_info']
    notes['outdated_ckpts'] = named
    notes['keep_ckpt_ids'] = [2]
    notes['best_ckpt'] = notes['last_ckpt'] = str(above)
    notes['best_score'] = -1e9
    content['meta']['iter'] = 2
    torch.save(content, work / 'iter_2.pth')
    runner_of(resume=work / 'iter_2.pth', max_keep_ckpts=3).train()
    assert above.read_bytes() == (work / 'precious.pth').read_bytes() == b'mine'
    assert 'iter_2.pth' not in _files(work)  # outdated in the end, not before
    assert 'iter_12.pth' in _files(work)


def test_checkpoint_is_read_by_torch_alone_and_curves_come_back(runner_of, tmp_path):
    whole = runner_of()
    whole.train()
    path = tmp_path / 'work' / 'iter_12.pth'
    content = torch.load(path, weights_only=True)
    assert {'state_dict', 'optimizer', 'param_schedulers'} <= set(content)
    resumed = runner_of(resume=path, work='other')
    resumed.train()
    expected = whole.message_hub.log_scalars['train/loss'].data
    found = resumed.message_hub.log_scalars['train/loss'].data
    assert len(found[0]) == 12
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_mmengines_own_hook_resumes_our_checkpoints(runner_of, tmp_path):
    runner_of(max_keep_ckpts=-1).train()
    resumed = runner_of(resume=tmp_path / 'work' / 'iter_6.pth', work='other')
    stock = next(hook for hook in resumed.hooks
                 if type(hook).__name__ == 'CheckpointHook')
    resumed.hooks.remove(stock)
    resumed.register_hook(dict(type='mmengine.CheckpointHook', interval=12,
                               by_epoch=False))
    resumed.train()
    assert resumed.iter == 12
    assert len(resumed.message_hub.log_scalars['train/loss'].data[0]) == 6


def test_curves_survive_storing_and_plain_numbers_replace_numpys():
    curve = HistoryBuffer([1.5, 2.5, 4.0], [1, 2, 1], max_length=9)
    hub = {'log_scalars': {'loss': curve}, 'resumed_keys': {'loss': True, 'a': True},
           'runtime_info': {'a': np.float64(2.5), 'b': [np.int64(3)]}}
    checkpoint = {'message_hub': hub, 'meta': {}}
    store_curves(checkpoint)
    stored = checkpoint['message_hub']
    assert stored['resumed_keys'] == {'a': True} and not stored['log_scalars']
    assert type(stored['runtime_info']['a']) is float
    assert type(stored['runtime_info']['b'][0]) is int
    restore_curves(checkpoint)
    back = checkpoint['message_hub']['log_scalars']['loss']
    assert back.max_length == 9 and back.mean() == curve.mean() == 2.0
    assert checkpoint['message_hub']['resumed_keys'] == {'loss': True, 'a': True}
    assert hub['log_scalars'] == {'loss': curve}  # the run goes on with these


def test_an_option_that_no_checkpoint_has_is_named_before_training():
    with pytest.raises(TypeError, match="CheckpointHook has no option 'type_'"):
        HOOKS.build(dict(type='ddp.CheckpointHook', interval=1, type_='x'))
    assert HOOKS.build(dict(type='ddp.CheckpointHook', interval=1,
                            meta={})).interval == 1
