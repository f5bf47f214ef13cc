"""`--compile`."""
import copy

import pytest
import torch

from ddp_perception.cli.compiled import compile_heads
from ddp_perception.cli.errors import UserError
from ddp_perception.decoder.layers import DecoderLayer
from tests.cli.test_evaluation import CONFIGS, write_cityscapes
from tests.cli.test_predict_images import SEG, build, weights, write_image

__all__ = ['weights']  # the fixture


@pytest.mark.slow
def test_compiled_heads_predict_and_learn_as_before():
    model = build(SEG)
    head = model.decode_head
    other = copy.deepcopy(head)
    compile_heads(model)
    feats = torch.randn(2, 8, 8, 16, generator=torch.Generator().manual_seed(0))
    truth = torch.randint(0, 3, (2, 1, 32, 64))
    with torch.no_grad():
        torch.testing.assert_close(head([feats]), other([feats]), rtol=0, atol=1e-5)
    gradients = []
    for one in (head, other):
        torch.manual_seed(0)
        one.training_prediction(feats, truth).square().mean().backward()
        gradients.append({name: value.grad for name, value in one.named_parameters()
                          if value.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and len(gradients[0]) > 20
    for name, gradient in gradients[1].items():
        torch.testing.assert_close(gradients[0][name], gradient, rtol=1e-4, atol=1e-5)
    assert head.state_dict().keys() == other.state_dict().keys()


def test_predict_and_test_compile_the_layers(
        weights, error_of, tmp_path, monkeypatch):
    """That the model reaches the compiler; what it makes of it is above."""
    compiled = []

    def note(layer):
        compiled.append(layer)
        raise UserError('far enough')
    monkeypatch.setattr(DecoderLayer, 'compile', note)
    write_image(tmp_path / 'a.png', 0)
    write_cityscapes(tmp_path / 'data')
    for argv in (('predict', SEG, weights[SEG], tmp_path / 'a.png', '--out',
                  tmp_path / 'out'),
                 ('test', CONFIGS / 'evaluate_seg.py', weights[SEG], '--data-root',
                  tmp_path / 'data', '--work-dir', tmp_path / 'work')):
        assert 'far enough' in error_of(*argv, '--compile')
    assert len(compiled) == 2


def test_train_compiles_or_says_that_there_is_nothing_to_compile(
        tiny_config, tiny_root, error_of, tmp_path):
    message = error_of('train', tiny_config, '--data-root', tiny_root, '--work-dir',
                       tmp_path / 'work', '--compile')
    assert 'the model has none' in message
    assert not list((tmp_path / 'work').rglob('*.pth'))


def test_a_model_without_a_diffusion_head_is_refused():
    with pytest.raises(UserError, match='the model has none'):
        compile_heads(torch.nn.Linear(1, 1))
