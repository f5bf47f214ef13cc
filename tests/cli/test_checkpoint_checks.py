import pytest
import torch

from ddp_perception.cli import checkpoint_checks
from ddp_perception.cli.errors import UserError


def _state(**shapes):
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


def test_equal_states_do_not_differ():
    assert not checkpoint_checks.compare_states(_state(a=(2, 3)), _state(a=(2, 3)))


def test_difference_lists_a_few_of_each_kind():
    model = _state(a=(2, 3), same=(1, ), **{f'new{i}': 1 for i in range(6)})
    file = _state(a=(3, 2), same=(1, ), old=(4, ))
    difference = checkpoint_checks.compare_states(model, file)
    text = str(difference)
    assert difference and difference.common == 1
    assert '6 parameters of the model are not in the file: new0, new1, new2, ' \
        'new3, and 2 more' in text
    assert '1 parameters of the file are not in the model: old' in text
    assert 'a (2, 3) in the model, (3, 2) in the file' in text


def test_tables_of_indices_must_be_those_that_the_model_computes(tmp_path):
    """A damaged one reaches beyond what it indexes, in the middle of a run."""
    class Windowed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(4))
            self.register_buffer('places', torch.arange(4).view(2, 2))
            self.register_buffer('calls', torch.tensor(0))

    model, path = Windowed(), tmp_path / 'windowed.pth'
    torch.save({**model.state_dict(), 'bias': torch.ones(4),
                'calls': torch.tensor(7)}, path)
    checkpoint_checks.load_weights(model, path, 'config.py')
    assert model.calls == 7
    torch.save({**model.state_dict(), 'places': torch.tensor([[0, 1], [2, 2**40]])},
               path)
    for check in (checkpoint_checks.load_weights, checkpoint_checks.require_overlap):
        with pytest.raises(UserError, match=r'windowed\.pth.*\n.*1 tables of indices.*'
                           'places'):
            check(model, path, 'config.py')


def test_test_refuses_a_checkpoint_of_another_configuration(
        error_of, run, tiny_config, tiny_root, tmp_path):
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path,
        '--cfg-options', 'train_cfg.max_epochs=1', 'model.width=6')
    message = error_of('test', tiny_config, tmp_path / 'epoch_1.pth',
                       '--data-root', tiny_root, '--work-dir', tmp_path)
    assert 'does not fit' in message and 'another configuration' in message
    assert 'hidden.weight (4, 1) in the model, (6, 1) in the file' in message
    assert 'its run was named tiny_' in message
    run('test', tiny_config, tmp_path / 'epoch_1.pth', '--data-root', tiny_root,
        '--work-dir', tmp_path, '--cfg-options', 'model.width=6')


def test_weights_of_distributed_training_load_without_their_prefix(tmp_path):
    model = torch.nn.Linear(2, 3)
    path = tmp_path / 'ddp.pth'
    torch.save({'state_dict': {'module.weight': torch.ones(3, 2),
                               'module.bias': torch.ones(3)}}, path)
    checkpoint_checks.load_weights(model, path, 'config.py')
    assert (model.weight == 1).all()


@pytest.mark.parametrize('content, message', [
    (b'not a checkpoint', 'cannot be read as a checkpoint'),
    (b'', 'cannot be read as a checkpoint'),
    ([1, 2], 'holds no state_dict'),
    ({'state_dict': {}}, 'holds no state_dict'),
    ({'a': 'text'}, 'holds no state_dict'),
])
def test_files_that_are_no_checkpoints_are_named(tmp_path, content, message):
    path = tmp_path / 'file.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(UserError, match=f'file.pth.* {message}'):
        checkpoint_checks.read_state(path)


def test_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / 'file.pth'
    torch.save({'weight': torch.randn(100, 100)}, path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(UserError, match='file.pth.*complete'):
        checkpoint_checks.read_state(path)


def test_missing_checkpoint_is_named_before_the_data_is_looked_for(
        error_of, tiny_config, tmp_path):
    assert 'none.pth does not exist' in error_of(
        'test', tiny_config, tmp_path / 'none.pth')
    (tmp_path / 'epoch_9.pth').touch()
    assert 'epoch_9.pth' in error_of('test', tiny_config, tmp_path)


def test_latest_checkpoint_that_is_gone_is_named(tmp_path):
    assert checkpoint_checks.latest_checkpoint(tmp_path) is None
    (tmp_path / 'last_checkpoint').write_text('/gone/epoch_3.pth')
    with pytest.raises(UserError, match='/gone/epoch_3.pth.*--resume FILE'):
        checkpoint_checks.latest_checkpoint(tmp_path)


@pytest.mark.parametrize('prefix', ['', 'module.'])
@pytest.mark.parametrize('versions', [True, False])
def test_sparse_weights_load_as_they_were_saved(prefix, versions, tmp_path):
    pytest.importorskip('spconv', reason='spconv is not installed')
    from ddp_perception.bevfusion import BEVFusionSparseEncoder

    def build():
        return torch.nn.ModuleDict(dict(encoder=BEVFusionSparseEncoder(
            in_channels=3, sparse_shape=[16, 24, 17], base_channels=4,
            output_channels=5, encoder_channels=((4, 6), (6, 6)),
            encoder_paddings=((0, 1), (0, 0)), block_type='basicblock')))

    saved = build()
    wrapped = torch.nn.ModuleDict(dict(module=saved)) if prefix else saved
    state = wrapped.state_dict() if versions else dict(wrapped.state_dict())
    torch.save(dict(state_dict=state), tmp_path / 'file.pth')
    model = build()
    checkpoint_checks.load_weights(model, tmp_path / 'file.pth', 'config.py')
    for name, value in saved.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_checkpoints_go_to_the_model_within_test_time_augmentation():
    from types import SimpleNamespace

    from mmengine.model import BaseTTAModel

    from ddp_perception.cli.runner import bare_model

    class Model(torch.nn.Linear):
        def test_step(self, data):
            return data

    class Averaged(BaseTTAModel):
        def merge_preds(self, data_samples_list):
            return data_samples_list

    model = Model(2, 3)
    assert bare_model(SimpleNamespace(model=Averaged(model))) is model
    assert bare_model(SimpleNamespace(model=model)) is model
