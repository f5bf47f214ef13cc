import json
import os
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from ddp_perception.checkpoints.reading import load_checkpoint_file
from ddp_perception.cli.main import main
from tests.cli import tiny

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason='for CPUs')


def _weights(path):
    return load_checkpoint_file(path)['state_dict']


def test_train_then_test_writes_checkpoint_and_figures(
        run, tiny_config, tiny_root, tmp_path):
    work = tmp_path / 'work'
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir', work,
        '--seed', 3, '--tensorboard')
    assert (work / 'epoch_4.pth').is_file()
    assert list(work.rglob('events.out.tfevents.*'))
    log = next(work.rglob('*.log')).read_text()
    assert 'eta:' in log and 'Epoch(train) [4][3/3]' in log
    out = tmp_path / 'figures' / 'test.json'
    run('test', tiny_config, work / 'epoch_4.pth', '--data-root', tiny_root,
        '--work-dir', work, '--out', out, '--seed', 3)
    figures = json.loads(out.read_text())['metrics']
    assert figures['count'] == 5
    run('test', tiny_config, work / 'epoch_1.pth', '--data-root', tiny_root,
        '--work-dir', work, '--out', tmp_path / 'first.json', '--seed', 3)
    first = json.loads((tmp_path / 'first.json').read_text())['metrics']
    assert first['mean_prediction'] != figures['mean_prediction']


class RecordedWandb(ModuleType):
    """What mmengine's backend calls of wandb, 0.31 for one; keeps what it is told."""

    def __init__(self):
        super().__init__('wandb')
        self.started, self.logged, self.settings, self.ended = [], [], {}, 0
        self.config = SimpleNamespace(
            update=lambda content, allow_val_change: self.settings.update(content))
        self.run = SimpleNamespace(log_code=lambda name: None)

    def init(self, **options):
        self.started.append(options)

    def log(self, scalars, commit):
        self.logged.append(dict(scalars))

    def join(self):
        self.ended += 1


def test_wandb_is_told_losses_figures_and_settings(
        run, tiny_config, tiny_root, tmp_path, monkeypatch):
    wandb = RecordedWandb()
    monkeypatch.setitem(sys.modules, 'wandb', wandb)
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir',
        tmp_path / 'mine', '--seed', 3, '--wandb')
    started, = wandb.started
    assert started['name'] == 'mine' and str(tmp_path / 'mine') in started['dir']
    assert wandb.settings['randomness']['seed'] == 3
    losses = [scalars['loss'] for scalars in wandb.logged if 'loss' in scalars]
    lines = (line for line in next((tmp_path / 'mine').rglob('scalars.json'))
             .read_text().splitlines())
    assert losses == [entry['loss'] for entry in map(json.loads, lines)
                      if 'loss' in entry] and len(losses) == 12
    assert sum('mean_prediction' in scalars for scalars in wandb.logged) == 1
    assert wandb.ended == 1


def test_missing_wandb_is_named_before_any_work(
        error_of, tiny_config, tiny_root, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    message = error_of('train', tiny_config, '--data-root', tiny_root, '--work-dir',
                       tmp_path / 'work', '--wandb')
    assert '--wandb needs the package wandb: pip install wandb' in message
    assert not (tmp_path / 'work').exists()


WORKERS = pytest.mark.parametrize('workers', [
    'num_workers=0', 'num_workers=2', 'num_workers=2 persistent_workers=True'])


def _loader(settings):
    return [f'train_dataloader.{setting}' for setting in settings.split()]


def _assert_same_weights(*paths):
    whole, parts = map(_weights, paths)
    for name in whole:
        assert torch.equal(whole[name], parts[name]), name


@WORKERS
def test_resumed_training_equals_uninterrupted_training(
        run, tiny_config, tiny_root, tmp_path, workers):
    common = ['train', tiny_config, '--data-root', tiny_root, '--seed', 5]
    options = ['--cfg-options', *_loader(workers), 'model.type=NoisyModel']
    run(*common, '--work-dir', tmp_path / 'whole', *options)
    parts = [*map(str, common), '--work-dir', str(tmp_path / 'parts')]
    assert main([*parts, *options, 'custom_hooks.0.epoch=2']) == 130
    assert not (tmp_path / 'parts' / 'epoch_3.pth').exists()
    run(*common, '--work-dir', tmp_path / 'parts', '--resume', *options)
    _assert_same_weights(tmp_path / 'whole' / 'epoch_4.pth',
                         tmp_path / 'parts' / 'epoch_4.pth')


@WORKERS
@pytest.mark.parametrize('sampler', ['InfiniteSampler', 'DefaultSampler'])
def test_resumed_iterations_equal_uninterrupted_ones(
        run, tiny_iters_config, tiny_root, tmp_path, workers, sampler):
    common = ['train', tiny_iters_config, '--data-root', tiny_root, '--seed', 5]
    options = ['--cfg-options', *_loader(workers),
               f'train_dataloader.sampler.type={sampler}']
    run(*common, '--work-dir', tmp_path / 'whole', *options)
    parts = [*map(str, common), '--work-dir', str(tmp_path / 'parts')]
    assert main([*parts, *options, 'custom_hooks.0.iteration=7']) == 130
    assert (tmp_path / 'parts' / 'iter_6.pth').exists()
    run(*common, '--work-dir', tmp_path / 'parts', '--resume', *options)
    _assert_same_weights(tmp_path / 'whole' / 'iter_12.pth',
                         tmp_path / 'parts' / 'iter_12.pth')


def test_resumed_iterations_load_nothing_twice(
        run, tiny_iters_config, tiny_root, tmp_path, monkeypatch):
    common = ['train', tiny_iters_config, '--data-root', tiny_root, '--work-dir',
              tmp_path, '--cfg-options']
    run(*common, 'train_cfg.max_iters=10')
    loaded = []
    item = tiny.TinyDataset.__getitem__

    def remember(self, index):
        loaded.append(index)
        return item(self, index)

    monkeypatch.setattr(tiny.TinyDataset, '__getitem__', remember)
    run(*common[:-1], '--resume', '--cfg-options', 'val_dataloader=None',
        'val_cfg=None', 'val_evaluator=None')
    assert len(loaded) == 2 * 4


def test_run_of_no_stated_seed_is_resumed_in_the_same_order(
        run, tiny_iters_config, tiny_root, tmp_path):
    common = ['train', tiny_iters_config, '--data-root', tiny_root, '--work-dir']
    options = ['--cfg-options', 'default_hooks.checkpoint.max_keep_ckpts=9']
    run(*common, tmp_path / 'whole', *options)
    run(*common, tmp_path / 'parts', '--resume',
        tmp_path / 'whole' / 'iter_6.pth', *options)
    _assert_same_weights(tmp_path / 'whole' / 'iter_12.pth',
                         tmp_path / 'parts' / 'iter_12.pth')


def test_epochs_draw_different_random_numbers(run, tiny_config, tiny_root,
                                              tmp_path, monkeypatch):
    drawn = []
    item = tiny.TinyDataset.__getitem__

    def remember(self, index):
        sample = item(self, index)
        drawn.append(float(sample['x']) - self.values[index])
        return sample

    monkeypatch.setattr(tiny.TinyDataset, '__getitem__', remember)
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path,
        '--seed', 0, '--cfg-options', 'train_cfg.max_epochs=2')
    assert len(drawn) == 24 and len(set(drawn)) == 24


def test_resume_without_checkpoint_starts_anew(run, tiny_config, tiny_root,
                                               tmp_path, capsys):
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path,
        '--resume', '--cfg-options', 'train_cfg.max_epochs=1')
    assert 'starting anew' in capsys.readouterr().out
    assert (tmp_path / 'epoch_1.pth').is_file()


@pytest.mark.parametrize('asked', ['--resume', 'by the configuration'])
def test_resume_without_checkpoint_keeps_what_the_configuration_starts_from(
        run, tiny_config, tiny_root, tmp_path, capsys, asked):
    source = tmp_path / 'other.pth'
    torch.save({'hidden.weight': torch.full((4, 1), 7.)}, source)
    resume = [asked] if asked == '--resume' else []
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir',
        tmp_path / 'work', *resume, '--cfg-options', 'train_cfg.max_epochs=1',
        'optim_wrapper.optimizer.lr=0.0', f'load_from={source}')
    if resume:
        assert f'starting from {source}' in capsys.readouterr().out
    assert (_weights(tmp_path / 'work' / 'epoch_1.pth')['hidden.weight'] == 7).all()


def test_configuration_that_starts_from_nothing_is_refused(
        error_of, tiny_config, tiny_root, tmp_path):
    message = error_of('train', tiny_config, '--data-root', tiny_root, '--work-dir',
                       tmp_path / 'work', '--resume', '--cfg-options',
                       'load_from=work_dirs/no/epoch_20.pth')
    assert 'work_dirs/no/epoch_20.pth does not exist' in message


def test_resume_takes_the_newest_checkpoint_that_can_be_read(
        run, error_of, tiny_config, tiny_root, tmp_path, capsys):
    common = ['train', tiny_config, '--data-root', tiny_root, '--seed', 1]
    work = tmp_path / 'work'
    run(*common, '--work-dir', work)
    os.rename(work / 'epoch_4.pth', tmp_path / 'whole.pth')
    whole = (tmp_path / 'whole.pth').read_bytes()
    (work / 'epoch_4.pth').write_bytes(whole[:len(whole) // 2])
    capsys.readouterr()
    run(*common, '--work-dir', work, '--resume')
    said = capsys.readouterr().out
    assert f'{work / "epoch_4.pth"} cannot be read' in said
    assert f'going on from {work / "epoch_3.pth"}' in said
    _assert_same_weights(tmp_path / 'whole.pth', work / 'epoch_4.pth')
    for path in work.glob('epoch_*.pth'):
        path.write_bytes(whole[:-30])
    message = error_of(*common, '--work-dir', work, '--resume')
    assert all(f'epoch_{number}.pth' in message for number in (1, 2, 3, 4))
    assert '--resume FILE' in message


def test_resume_finds_checkpoint_of_a_moved_work_dir(run, tiny_config, tiny_root,
                                                     tmp_path):
    common = ['train', tiny_config, '--data-root', tiny_root]
    run(*common, '--work-dir', tmp_path / 'old', '--cfg-options',
        'train_cfg.max_epochs=1')
    os.rename(tmp_path / 'old', tmp_path / 'new')
    run(*common, '--work-dir', tmp_path / 'new', '--resume', '--cfg-options',
        'train_cfg.max_epochs=2')
    assert _weights(tmp_path / 'new' / 'epoch_2.pth')
    assert not (tmp_path / 'old').exists()


def test_resume_refuses_a_checkpoint_of_another_configuration(
        run, error_of, tiny_config, tiny_root, tmp_path):
    common = ['train', tiny_config, '--data-root', tiny_root, '--work-dir',
              tmp_path]
    run(*common, '--cfg-options', 'train_cfg.max_epochs=1')
    before = (tmp_path / 'epoch_1.pth').read_bytes()
    message = error_of(*common, '--resume', '--cfg-options', 'model.width=6')
    assert 'hidden.weight (6, 1) in the model, (4, 1) in the file' in message
    assert (tmp_path / 'epoch_1.pth').read_bytes() == before


def test_load_from_takes_what_fits(run, error_of, tiny_config, tiny_root,
                                   tmp_path):
    source = tmp_path / 'other.pth'
    torch.save({'hidden.weight': torch.full((4, 1), 7.), 'head.x': torch.ones(2)},
               source)
    common = ['train', tiny_config, '--data-root', tiny_root, '--work-dir',
              tmp_path, '--load-from']
    run(*common, source, '--cfg-options', 'train_cfg.max_epochs=1',
        'optim_wrapper.optimizer.lr=0.0')
    assert (_weights(tmp_path / 'epoch_1.pth')['hidden.weight'] == 7).all()
    torch.save({'head.x': torch.ones(2)}, source)
    assert 'nothing in common' in error_of(*common, source)


@NO_GPU
@pytest.mark.parametrize('asked', ['--amp', 'by the configuration'])
def test_amp_trains_in_bfloat16_without_gpu(run, tiny_config, tiny_root,
                                            tmp_path, asked):
    options = ['train_cfg.max_epochs=1']
    amp = ['--amp']
    if asked != '--amp':
        amp = []
        options += ['optim_wrapper.type=AmpOptimWrapper',
                    'optim_wrapper.loss_scale=512.0']
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path,
        *amp, '--cfg-options', *options)
    assert tiny.OUTPUT_DTYPES[-1] == torch.bfloat16
    weights = _weights(tmp_path / 'epoch_1.pth')
    assert {w.dtype for w in weights.values()} == {torch.float32}
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path,
        '--cfg-options', 'train_cfg.max_epochs=1')
    assert tiny.OUTPUT_DTYPES[-1] == torch.float32


@NO_GPU
def test_two_processes_train_and_test_like_one(
        tiny_config, tiny_root, tmp_path, run, run_in_two_processes):
    work = tmp_path / 'work'
    printed = run_in_two_processes(
        'train', tiny_config, '--data-root', tiny_root, '--work-dir', work,
        '--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1')
    assert '[1/2]' in printed  # 12 samples, 2 processes, 4 each
    scalars = next(work.rglob('scalars.json')).read_text().splitlines()
    both = json.loads(scalars[-1])
    out = tmp_path / 'one.json'
    run('test', tiny_config, work / 'epoch_1.pth', '--data-root', tiny_root,
        '--work-dir', work, '--out', out, '--cfg-options',
        'test_dataloader.dataset.type=QuietDataset')
    one = json.loads(out.read_text())['metrics']
    assert one['count'] == both['count'] == 5
    assert one['mean_prediction'] == pytest.approx(both['mean_prediction'])


BATCH = 'train_dataloader.batch_size=4', 'auto_scale_lr.base_batch_size=32'


@pytest.mark.parametrize('more, warns', [
    ([], True), (['optim_wrapper.optimizer.lr=0.01'], False),
    (['optim_wrapper.accumulative_counts=8'], False),
    (['auto_scale_lr.base_batch_size=4'], False)])
def test_another_batch_than_that_of_the_learning_rate_is_named(
        run, tiny_config, tiny_root, tmp_path, more, warns):
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path,
        '--cfg-options', 'train_cfg.max_epochs=1', *BATCH, *more)
    log = next(tmp_path.rglob('*.log')).read_text()
    assert ('0.05 is for 32 samples' in log and 'takes 4: 1 process(es) x 4' in log
            and '--auto-scale-lr to train with 0.00625' in log) == warns
    assert ('samples per step' in log) == warns


def test_the_peak_of_a_schedule_scales_with_the_learning_rate(
        run, tiny_config, tiny_root, tmp_path):
    (tmp_path / 'cyclic.py').write_text(
        f"_base_ = '{tiny_config}'\n"
        "param_scheduler = [dict(type='CosineAnnealingLR', begin=0, end=1, T_max=1,\n"
        '                        eta_min=0.5, by_epoch=True)]\n')
    run('train', tmp_path / 'cyclic.py', '--data-root', tiny_root, '--work-dir',
        tmp_path, '--auto-scale-lr', '--cfg-options', 'train_cfg.max_epochs=1', *BATCH)
    state = load_checkpoint_file(tmp_path / 'epoch_1.pth')
    assert state['param_schedulers'][0]['eta_min'] == pytest.approx(0.5 / 8)
    group = state['optimizer']['param_groups'][0]
    assert group['initial_lr'] == pytest.approx(0.05 / 8)


@pytest.mark.parametrize('arguments, fragments', [
    (['no/such.py'], ['no/such.py does not exist']),
    (['CONFIG', '--data-root', '/no/where'],
     ['/no/where/train.json', 'does not exist', '--data-root']),
    (['CONFIG', '--data-root', 'ROOT', '--resume', 'a.pth'],
     ['a.pth does not exist']),
    (['CONFIG', '--data-root', 'ROOT', '--resume', 'ROOT'], ['is a folder']),
    (['CONFIG', '--resume', '--load-from', 'a.pth'], ['only one']),
    (['CONFIG', '--cfg-options', 'width'], ['KEY=VALUE', "'width'"]),
    (['CONFIG', '--data-root', 'ROOT', '--launcher', 'pytorch'],
     ['RANK', 'torchrun']),
    (['CONFIG', '--data-root', 'ROOT', '--auto-scale-lr'],
     ['base_batch_size']),
])
def test_train_says_what_is_wrong(error_of, tiny_config, tiny_root, monkeypatch,
                                  tmp_path, arguments, fragments):
    monkeypatch.chdir(tmp_path)
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)
    names = {'CONFIG': tiny_config, 'ROOT': tiny_root}
    message = error_of('train', *(names.get(a, a) for a in arguments))
    for fragment in fragments:
        assert fragment in message
    assert not (tmp_path / 'work_dirs').exists()
