"""Which task a model of a configuration has, when a release is converted to it."""
import pytest
import torch
from torch import nn

from ddp_perception.checkpoints import convert_state

CLASSIFIERS = {'pred_depth_map': 'conv_depth', 'pred_sem_seg': 'conv_seg'}


def model_with(field, kernel_size):
    """A model whose predictor is deep in its head, as in ours."""
    head = nn.Module()
    head.prediction_field = field
    head.diffusion = nn.Module()
    head.diffusion.denoiser = nn.Module()
    head.diffusion.denoiser.predictor = nn.Conv2d(4, 2, kernel_size)
    model = nn.Module()
    model.decode_head = head
    return model


def release_of(field):
    return {'decode_head.encoder.layers.0.norms.0.weight': torch.ones(4),
            f'decode_head.{CLASSIFIERS[field]}.weight': torch.ones(2, 4, 1, 1)}


@pytest.mark.parametrize('kernel_size', [1, 3, 5])
@pytest.mark.parametrize('field', CLASSIFIERS)
def test_task_follows_from_what_the_head_predicts_not_from_its_kernel(
        field, kernel_size):
    other = next(key for key in CLASSIFIERS if key != field)
    model = model_with(field, kernel_size)
    fitting, wrong = (convert_state(release_of(key), model).problems
                      for key in (field, other))
    assert not any('the configuration builds' in problem for problem in fitting)
    assert len(wrong) == 1 and 'the configuration builds' in wrong[0]


def test_model_whose_heads_predict_something_else_is_told_so():
    problems = convert_state(release_of('pred_depth_map'),
                             model_with('pred_flow', 3)).problems
    assert problems == ['it is of the release DDP depth, but the configuration builds '
                        'a model with none of the heads of the releases']
