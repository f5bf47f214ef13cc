import pytest
import torch

from ddp_perception.registry import MODELS
from tests import golden

REFERENCE = golden.load('sigloss')


@pytest.mark.parametrize('case', REFERENCE.meta['cases'],
                         ids=lambda case: case['name'])
def test_loss_equals_the_published_one(case):
    loss = MODELS.build(dict(type='ddp.SigLoss', **case['kw']))
    out = REFERENCE.under(f'out/{case["name"]}/')
    truth = REFERENCE[f'in/{case["gt"]}']
    for call in range(case['calls']):
        prediction = REFERENCE['in/pred'].clone().requires_grad_()
        value = loss(prediction, truth)
        value.backward()
        if case['name'] == 'single_valid_pixel_gives_nan':
            assert out['loss'].isnan().all()  # ours: sqrt(.15) |g|
            error = ((prediction + 1e-3).log() - (truth + 1e-3).log())[truth > 0]
            torch.testing.assert_close(value, 0.15 ** 0.5 * error.abs().squeeze())
            assert prediction.grad.isfinite().all()
            continue
        torch.testing.assert_close(value, out['loss'][call], rtol=1e-5, atol=1e-6)
        last = case['calls'] - 1
        for index, name in ((0, 'grad_first_call'), (last, 'grad_last_call')):
            if call == index:
                torch.testing.assert_close(prediction.grad, out[name],
                                           rtol=1e-4, atol=1e-7)


def test_truth_without_any_return_gives_no_loss():
    prediction = torch.rand(2, 1, 3, 4, requires_grad=True)
    value = MODELS.build(dict(type='ddp.SigLoss'))(prediction, torch.zeros(2, 1, 3, 4))
    value.backward()
    assert value == 0 and (prediction.grad == 0).all()


def test_an_exact_fit_has_finite_gradients():
    truth = torch.rand(2, 1, 3, 4) + 1
    prediction = truth.clone().requires_grad_()
    MODELS.build(dict(type='ddp.SigLoss'))(prediction, truth).backward()
    assert prediction.grad.isfinite().all()


def test_warm_up_goes_on_after_a_restart():
    settings = dict(type='ddp.SigLoss', warm_up=True, warm_iter=2)
    first, second = MODELS.build(settings), MODELS.build(settings)
    maps = torch.rand(2, 1, 3, 4) + 1, torch.rand(2, 1, 3, 4) + 1
    values = [first(*maps) for _ in range(2)]
    second.load_state_dict(first.state_dict())
    assert values[0] == values[1] and second(*maps) > values[1]
    assert not MODELS.build(dict(type='ddp.SigLoss')).state_dict()


def test_shapes_are_named():
    with pytest.raises(ValueError, match=r'\(2, 1, 3, 4\).*\(2, 3, 4\)'):
        MODELS.build(dict(type='ddp.SigLoss'))(torch.ones(2, 1, 3, 4),
                                               torch.ones(2, 3, 4))
