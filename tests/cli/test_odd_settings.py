"""Odd options and configurations end as one message, never as a traceback."""
import os

import pytest

OPTIONS = [  # KEY=VALUE and what the message names
    ('modle.width=3', "did you mean 'model'"),
    ('=5', 'single dots'), ('a..b=1', 'single dots'), ('model.=1', 'single dots'),
    ('model=5', 'model must be settings'), ('model=[]', 'model must be settings'),
    ('model.type=Absent', 'Absent is not in the'), ('model.type=5', 'model'),
    ('model.type=None', 'model must be settings'),
    ('model.unknown=1', "keyword argument 'unknown'"),
    ('model.width=abc', 'model (TinyModel)'), ('model.width=-1', 'model (TinyModel)'),
    ('model.width=None', 'model (TinyModel)'), ('model.width=[1,2]', 'model'),
    ('model.width.deep=1', 'does not fit'), ('model.0=1', "keyword argument '0'"),
    ('train_dataloader=3', 'train_dataloader must be'),
    ('train_dataloader=None', 'has no train_dataloader'),
    ('train_dataloader.batch_size=0', 'train_dataloader.batch_size must be'),
    ('train_dataloader.batch_size=2.5', 'train_dataloader.batch_size must be'),
    ('train_dataloader.batch_size=many', 'train_dataloader.batch_size must be'),
    ('train_dataloader.batch_size=None', 'train_dataloader.batch_size must be'),
    ('train_dataloader.num_workers=-1', 'train_dataloader.num_workers must be'),
    ('train_dataloader.num_workers=100000', 'from 0 to 256'),
    ('train_dataloader.sampler=x', 'train_dataloader.sampler must be'),
    ('train_dataloader.sampler.type=Absent', 'train_dataloader.sampler'),
    ('train_dataloader.sampler.speed=1', "keyword argument 'speed'"),
    ('train_dataloader.collate_fn=5', 'train_dataloader.collate_fn must be'),
    ('train_dataloader.collate_fn.type=Absent', "of its collate_fn, 'Absent'"),
    ('train_dataloader.collate_fn.speed=1', 'collate_fn of a dataloader cannot'),
    ('train_dataloader.dataset=[]', 'train_dataloader.dataset must be'),
    ('train_dataloader.dataset.type=Absent', 'train_dataloader.dataset'),
    ('train_dataloader.dataset.ann_file=5', 'train_dataloader.dataset.ann_file'),
    ('train_dataloader.dataset.pipeline=x', 'train_dataloader.dataset.pipeline'),
    ('train_dataloader.dataset.colour=x', "keyword argument 'colour'"),
    ('train_dataloader.speed=1', "keyword argument 'speed'"),
    ('val_dataloader=None', 'val_dataloader'), ('val_evaluator=5', 'val_evaluator'),
    ('val_evaluator.type=Absent', 'val_evaluator'), ('val_cfg=x', 'val_cfg must be'),
    ('train_cfg=[]', 'train_cfg must be'), ('train_cfg.max_epochs=0', 'from 1 on'),
    ('train_cfg.max_epochs=abc', 'train_cfg.max_epochs must be'),
    ('train_cfg.max_epochs=-3', 'train_cfg.max_epochs must be'),
    ('train_cfg.max_epochs=1e400', 'train_cfg.max_epochs must be'),
    ('train_cfg.by_epoch=maybe', 'train_cfg.by_epoch must be'),
    ('train_cfg.val_interval=0', 'train_cfg.val_interval must be'),
    ('train_cfg.colour=x', "keyword argument 'colour'"),
    ('train_cfg.type=Absent', 'train_cfg cannot be built'),
    ('optim_wrapper=5', 'optim_wrapper must be'),
    ('optim_wrapper=None', 'has no optim_wrapper'),
    ('optim_wrapper.type=Absent', 'Absent is not in the'),
    ('optim_wrapper.optimizer=Adam', 'optim_wrapper.optimizer must be'),
    ('optim_wrapper.optimizer.type=Absent', "optimizer.type, 'Absent'"),
    ('optim_wrapper.optimizer.lr=fast', 'optim_wrapper.optimizer.lr must be'),
    ('optim_wrapper.optimizer.lr=nan', 'optim_wrapper.optimizer.lr must be'),
    ('optim_wrapper.optimizer.lr=-1', 'optim_wrapper.optimizer.lr must be'),
    ('optim_wrapper.optimizer.lr=None', 'optim_wrapper.optimizer.lr must be'),
    ('optim_wrapper.optimizer.speed=1', "keyword argument 'speed'"),
    ('optim_wrapper.clip_grad=5', 'optim_wrapper.clip_grad must be'),
    ('optim_wrapper.accumulative_counts=0', 'accumulative_counts must be'),
    ('param_scheduler=x', 'param_scheduler must be'),
    ('param_scheduler.0=x', 'does not fit'), ('param_scheduler.9.type=x', 'Index 9'),
    ('param_scheduler.0.type=Absent', 'param_scheduler'),
    ('param_scheduler.0.gamma=None', 'param_scheduler'),
    ('custom_hooks=5', 'custom_hooks must be'), ('custom_hooks=[1]', 'custom_hooks.0'),
    ('custom_hooks.0.type=Absent', 'Absent is not in the'),
    ('custom_hooks.0.colour=1', "keyword argument 'colour'"),
    ('custom_hooks.0=7', 'does not fit'),
    ('default_hooks=[]', 'default_hooks must be'),
    ('default_hooks.logger=5', 'default_hooks.logger must be'),
    ('default_hooks.checkpont.interval=1', "checkpont must be settings with a 'type'"),
    ('default_hooks.logger.interval=0', 'default_hooks.logger.interval must be'),
    ('default_hooks.checkpoint.interval=x', 'default_hooks.checkpoint.interval'),
    ('default_hooks.checkpoint.max_keep_ckpts=0', 'max_keep_ckpts must be'),
    ('randomness=5', 'randomness must be'), ('randomness.seed=x', 'randomness.seed'),
    ('randomness.seed=-1', 'randomness.seed'),
    ('log_level=LOUD', 'log_level must be'), ('load_from=5', 'load_from must be'),
    ('resume=maybe', 'resume must be'), ('env_cfg=5', 'env_cfg must be'),
    ('visualizer=5', 'visualizer must be'), ('default_scope=5', 'default_scope'),
    ('model=(1,', 'does not fit'), ('model=[[', 'model must be'),
    ('model.width=[' + '[' * 3000, 'model'),
    ('model.width=' + '1' * 5000, 'characters'),
]


@pytest.mark.parametrize('option, fragment', OPTIONS)
def test_an_odd_option_is_named(error_of, tiny_config, tiny_root, tmp_path, option,
                                fragment):
    message = error_of('train', tiny_config, '--data-root', tiny_root, '--work-dir',
                       tmp_path / 'work', '--cfg-options', option)
    assert fragment in message and 'Traceback' not in message
    assert len(message.strip().splitlines()) == 1


CONFIGS = [  # name, text, what the message names
    ('empty.py', '', 'has no model'), ('binary.py', '\0\1\2', 'cannot be read'),
    ('syntax.py', 'def f(', 'yntax'), ('exit.py', 'raise SystemExit(3)', 'SystemExit'),
    ('zero.py', 'x = 1 / 0', 'ZeroDivisionError'),
    ('name.py', 'x = undefined', 'undefined'),
    ('base.py', "_base_ = './absent.py'", 'absent.py'),
    ('loop.py', "_base_ = './loop.py'", '_base_ of itself'),
    ('number.py', '_base_ = 5', 'cannot be read'),
    ('module.py', "custom_imports = dict(imports=['absent_module'])", 'absent_module'),
    ('imports.py', 'custom_imports = 5', 'cannot be read'),
    ('relative.py', 'from .absent import x', 'has no model'),
    ('reserved.py', "filename = 'x'", 'filename'),
    ('list.json', '[1, 2]', 'cannot be read'), ('empty.json', '', 'cannot be read'),
    ('half.json', '{"model": {', 'cannot be read'),
    ('deep.json', '[' * 100_000, 'cannot be read'),
    ('text.yaml', 'model', 'cannot be read'), ('empty.yaml', '', 'cannot be read'),
    ('tabs.yaml', 'a:\n\t- b', 'cannot be read'),
    ('deep.yaml', '[' * 5_000, 'deep'),
    ('itself.yaml', 'a: &a [*a]', '*a'),
    ('code.yaml', 'a: !!python/object/apply:os.mkdir [ran]', 'python/object'),
    ('bomb.yaml', 'a0: &a0 [x]\n' + ''.join(
        f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 30)),
     '100,000 nodes'),
    ('large.yaml', '# ' + 'x' * 1_000_000, 'bytes'), ('notes.txt', '', '.py'),
]


@pytest.mark.parametrize('command', ['train', 'test', 'predict'])
@pytest.mark.parametrize('name, text, fragment', CONFIGS)
def test_an_odd_configuration_is_named(error_of, tmp_path, monkeypatch, command,
                                       name, text, fragment):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    more = {'train': [], 'test': ['w.pth'], 'predict': ['w.pth', 'info.json']}
    message = error_of(command, name, *more[command])
    assert name in message and fragment in message and 'Traceback' not in message
    assert not (tmp_path / 'ran').exists()


def test_a_folder_or_a_device_is_no_configuration(error_of, tmp_path):
    assert 'does not exist' in error_of('train', tmp_path)
    assert '/dev/zero' in error_of('train', '/dev/zero')
    os.mkfifo(tmp_path / 'pipe.py')
    assert 'pipe.py' in error_of('train', tmp_path / 'pipe.py')


def test_the_traceback_is_there_for_who_asks(error_of, tiny_config, tiny_root,
                                             monkeypatch):
    monkeypatch.setenv('DDP_TRACEBACK', '1')
    message = error_of('train', tiny_config, '--data-root', tiny_root,
                       '--cfg-options', 'model.width=abc')
    assert 'Traceback' in message and 'tiny.py' in message


def test_a_fault_of_the_code_keeps_its_traceback(run, tiny_config, tiny_root,
                                                 tmp_path, monkeypatch):
    from tests.cli import tiny

    def broken(self, x, y, mode='tensor'):
        raise ValueError('a fault while running')

    monkeypatch.setattr(tiny.TinyModel, 'forward', broken)
    with pytest.raises(ValueError, match='a fault while running'):
        run('train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path)
