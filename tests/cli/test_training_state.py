"""What a checkpoint holds beside the weights may be anything."""
import copy

import pytest
import torch

from tests.cli.test_train import _weights

NAN = float('nan')


@pytest.fixture
def saved(run, tiny_config, tiny_root, tmp_path):
    """The checkpoint of one epoch."""
    work = tmp_path / 'work'
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir', work,
        '--cfg-options', 'train_cfg.max_epochs=1')
    return work / 'epoch_1.pth'


def _put(path, keys, value):
    content = torch.load(path, weights_only=False)
    owner = content
    for key in keys[:-1]:
        owner = owner[key]
    if value is KeyError:
        del owner[keys[-1]]
    else:
        owner[keys[-1]] = copy.deepcopy(value)
    torch.save(content, path)


_GROUP = ('optimizer', 'param_groups', 0)
_NOTES = ('message_hub', 'runtime_info')
ODD = {
    ('meta', ): 5, ('meta', 'epoch'): 'x', ('meta', 'iter'): -7,
    ('meta', 'iter '): KeyError,
    ('meta', 'seed'): 'x', ('message_hub', ): KeyError,
    ('message_hub', 'log_scalars'): [], (*_NOTES, 5): 5,
    (*_NOTES, 'keep_ckpt_ids'): ['../../x'], (*_NOTES, 'last_ckpt'): 5,
    (*_NOTES, 'best_score'): 'x', ('curves', ): 5, ('curves', 'train/loss'): 5,
    ('optimizer', ): None, ('optimizer', 'param_groups'): KeyError,
    (*_GROUP, 'lr'): 'x', (*_GROUP, 'lr '): NAN, (*_GROUP, 'betas'): (.9, ),
    (*_GROUP, 'params'): [0], ('optimizer', 'state', 0, 'exp_avg'): torch.zeros(3, 3),
    ('optimizer', 'state', 0, 'exp_avg '): KeyError,
    ('message_hub', 'resumed_keys'): {'epoch': [True, True]},
    ('optimizer', 'state', 0, 'step'): 'x', ('optimizer', 'state', 0): 5,
    ('param_schedulers', ): 5, ('param_schedulers', 0): 5,
    ('param_schedulers', 0, 'step'): 5, ('param_schedulers', 0, 'last_step'): 'x'}
"""By keys from outside in; a space tells two of one key apart."""


@pytest.mark.parametrize('keys, value', ODD.items(), ids=map(str, ODD))
def test_an_odd_training_state_is_named_before_the_first_iteration(
        error_of, tiny_config, tiny_root, saved, tmp_path, keys, value):
    keys = tuple(key.strip() if isinstance(key, str) else key for key in keys)
    _put(saved, keys, value)
    message = error_of(
        'train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path / 'on',
        '--resume', saved, '--cfg-options', 'train_cfg.max_epochs=2')
    assert str(saved) in message
    if 'cannot be resumed' in message:  # seen before anything was loaded
        assert '.'.join(map(str, keys[:2])) in message or str(keys[-1]) in message
    else:
        assert 'does not fit this configuration' in message
    assert not (tmp_path / 'on' / 'epoch_2.pth').exists()


def test_weights_without_a_name_are_refused(error_of, tiny_config, tiny_root, saved):
    _put(saved, ('state_dict', 5), torch.zeros(1))
    assert 'tensors by name' in error_of('test', tiny_config, saved, '--data-root',
                                         tiny_root)


def test_versions_of_modules_that_are_none_are_refused(
        error_of, tiny_config, tiny_root, saved):
    content = torch.load(saved, weights_only=False)
    content['state_dict']._metadata['hidden'] = 5
    torch.save(content, saved)
    assert '_metadata' in error_of('test', tiny_config, saved, '--data-root', tiny_root)


def test_resume_passes_over_an_odd_training_state(
        run, tiny_config, tiny_root, tmp_path, capsys):
    common = ['train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path]
    run(*common, '--cfg-options', 'train_cfg.max_epochs=2')
    _put(tmp_path / 'epoch_2.pth', ('meta', 'epoch'), -5)
    first = _weights(tmp_path / 'epoch_1.pth')
    run(*common, '--resume', '--cfg-options', 'train_cfg.max_epochs=2')
    printed = capsys.readouterr().out
    assert 'epoch_2.pth' in printed and 'meta.epoch' in printed and '-5' in printed
    assert 'going on from' in printed and 'epoch_1.pth' in printed
    assert not _weights(tmp_path / 'epoch_2.pth')['out.bias'].equal(first['out.bias'])
