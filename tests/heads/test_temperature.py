"""A head's temperature: what it changes, what it leaves, where it is kept."""
import pytest
import torch
from mmengine.runner import load_checkpoint

from ddp_perception.cli import checkpoint_checks
from ddp_perception.cli.errors import UserError
from ddp_perception.diffusion import Classes, Presences, Quantity
from ddp_perception.heads import calibrated
from tests.heads import test_depth_head, test_map_seg_head, test_seg_head

SEG_ALL = dict(sampler=dict(average='all', num_seeds=2))
CASES = [('classes', {}), ('classes', SEG_ALL), ('maps', {}),
         ('maps', dict(sampler=dict(average='all')))]
KEY, OFFSETS = 'calibration.temperature', 'calibration.offsets'


def head_of(kind, **changes):
    module = test_seg_head if kind == 'classes' else test_map_seg_head
    return module.build(**changes), module.FEATS


def temperatures(head, *values):
    return torch.tensor(values or (2.5, ), dtype=torch.float32).expand(
        head.temperature.shape).clone()


@pytest.mark.parametrize('kind, changes', CASES)
def test_temperature_of_one_changes_no_bit(kind, changes):
    head, feats = head_of(kind, **changes)
    steps = head.prediction_steps(feats[0] if kind == 'classes' else feats)
    uncalibrated = head.sampler.combine([head.meaning(step) for step in steps])
    assert torch.equal(head.average(steps), uncalibrated)
    assert torch.equal(head(feats), uncalibrated)


@pytest.mark.parametrize('kind, changes', CASES)
def test_average_follows_the_written_formula(kind, changes):
    head, feats = head_of(kind, **changes)
    before = head(feats).double()
    temperature = temperatures(head, *((2.5, ) if kind == 'classes' else (.4, 1., 3.)))
    head.calibration.assign(temperature)
    if kind == 'maps':
        divisor = temperature.double()[:, None, None]
        odds = (before / (1 - before))**(1 / divisor)
        expected = odds / (1 + odds)
    elif changes:
        powers = before**(1 / 2.5)
        expected = powers / powers.sum(1, keepdim=True)
    else:
        expected = before / 2.5
    torch.testing.assert_close(head(feats).double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('kind, changes', CASES)
def test_offsets_are_added_to_the_divided_logits(kind, changes):
    head, feats = head_of(kind, **changes)
    before = head(feats).double()
    assert before.shape[1] == head.calibration.classes
    offsets = torch.linspace(-3, 3, before.shape[1])
    head.calibration.assign(temperatures(head), offsets)
    added = offsets.double()[:, None, None]
    if kind == 'maps':
        odds = (before / (1 - before))**(1 / 2.5) * added.exp()
        expected = odds / (1 + odds)
        assert ((expected > 0.5) != (before > 0.5)).any()
    elif changes:
        powers = before**(1 / 2.5) * added.exp()
        expected = powers / powers.sum(1, keepdim=True)
    else:
        expected = before / 2.5 + added
        assert (expected.argmax(1) != before.argmax(1)).any()
    torch.testing.assert_close(head(feats).double(), expected, rtol=1e-5, atol=1e-6)


def test_nothing_inside_the_sampling_knows_the_temperature():
    head, feats = head_of('maps')
    before = head.prediction_steps(feats)
    head.calibration.assign(temperatures(head, 7.), torch.tensor([1., 2., 3.]))
    assert all(map(torch.equal, before, head.prediction_steps(feats)))


@pytest.mark.parametrize('kind', ['classes', 'maps'])
def test_entropy_is_that_of_the_calibrated_probabilities(kind):
    head, feats = head_of(kind)
    steps = head.prediction_steps(feats[0] if kind == 'classes' else feats)
    before = head.uncertainty(steps)
    head.calibration.assign(temperatures(head, 3.),
                            torch.full((head.calibration.classes, ), 0.1))
    stated = head(feats)
    if kind == 'classes':
        stated = stated.softmax(1)
        expected = -(stated * stated.log()).sum(1, keepdim=True)
    else:
        expected = -(stated * stated.log() + (1 - stated) * (1 - stated).log())
    torch.testing.assert_close(head.uncertainty(steps), expected)
    assert (head.uncertainty(steps) > before).float().mean() > 0.9


@pytest.mark.parametrize('temperature', [0.03, 0.7, 3., 50.])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_no_decision_changes_even_at_a_distance_of_one_rounding(temperature, dtype):
    near = torch.tensor(0.5, dtype=dtype)
    values = [near]
    for direction in (0., 1.):
        for steps in range(40):
            value = near
            for _ in range(steps % 4 + 1):
                value = torch.nextafter(value, torch.tensor(direction, dtype=dtype))
            values.append(value)
    probability = torch.cat([torch.stack(values),
                             torch.rand(5000, dtype=dtype), near.new_tensor([0., 1.])])
    after = calibrated(probability[None, None], torch.tensor([temperature]),
                       Presences())[0, 0]
    assert torch.equal(after > 0.5, probability > 0.5)
    assert torch.equal(after >= 0.5, probability >= 0.5)
    # classes whose logits, or probabilities, differ in the last bit
    one = torch.linspace(0.5, 4, 4000, dtype=dtype)
    other = torch.nextafter(one, torch.tensor(9., dtype=dtype))
    logits = torch.stack([one, other, one - 1])[:, None]
    for scores, kind in ((logits, True), (logits / 16, False)):
        after = calibrated(scores, torch.tensor([temperature]), Classes(), logits=kind)
        assert after.dtype == dtype
        assert torch.equal(after.argmax(0), scores.argmax(0))


def test_saturated_probabilities_stay_finite_and_move():
    certain = torch.tensor([0., 1.])[None, None]
    after = calibrated(certain, torch.tensor([4.]), Presences())[0, 0]
    clip = torch.finfo(torch.float32).eps
    odds = (clip / (1 - clip))**0.25
    torch.testing.assert_close(after, torch.tensor([odds / (1 + odds),
                                                    1 / (1 + odds)]))
    classes = calibrated(torch.tensor([1., 0.])[:, None, None], torch.tensor([4.]),
                         Classes())
    torch.testing.assert_close(classes.flatten(), torch.tensor([1., clip**0.25])
                               / (1 + clip**0.25))


def test_quantities_and_heads_of_depth_have_none():
    depth = torch.rand(2, 1, 3, 4) * 80
    assert calibrated(depth, torch.tensor([2.]), Quantity()) is depth
    head = test_depth_head.build()
    assert head.temperature is None
    assert not any('calibration' in name for name in head.state_dict())


@pytest.mark.parametrize('kind', ['classes', 'maps'])
def test_state_dict_holds_it_only_where_it_is_not_one(kind):
    head, _ = head_of(kind)
    plain = head.state_dict()
    assert KEY not in plain
    head.calibration.assign(temperatures(head))
    state = head.state_dict()
    assert state.keys() - plain.keys() == {KEY}
    fresh, _ = head_of(kind)
    fresh.load_state_dict(state)
    assert torch.equal(fresh.temperature, head.temperature)
    # An old checkpoint is complete, and means 1 and no offsets.
    head.calibration.assign(temperatures(head, 1.),
                            torch.arange(float(head.calibration.classes)))
    state = head.state_dict()
    assert state.keys() - plain.keys() == {KEY, OFFSETS}
    fresh.load_state_dict(state)
    assert torch.equal(fresh.calibration.offsets, head.calibration.offsets)
    assert (fresh.temperature == 1).all() and fresh.calibration.fitted
    assert not any(fresh.load_state_dict(plain))
    assert fresh.calibration.offsets is None and not fresh.calibration.fitted


def test_lenient_loader_reports_no_missing_key(tmp_path, caplog):
    head, _ = head_of('classes')
    torch.save(head.state_dict(), tmp_path / 'old.pth')
    load_checkpoint(head, str(tmp_path / 'old.pth'))
    assert 'calibration' not in caplog.text


def test_commands_take_checkpoints_with_and_without_it(tmp_path):
    head, feats = head_of('maps')
    torch.save({'state_dict': head.state_dict()}, tmp_path / 'old.pth')
    head.calibration.assign(temperatures(head, .5, 1., 2.), torch.tensor([1., 0., -2.]))
    torch.save({'state_dict': head.state_dict()}, tmp_path / 'new.pth')
    fresh, _ = head_of('maps')
    checkpoint_checks.load_weights(fresh, tmp_path / 'new.pth', 'config.py')
    assert torch.equal(fresh(feats), head(feats))
    checkpoint_checks.load_weights(fresh, tmp_path / 'old.pth', 'config.py')
    assert (fresh.temperature == 1).all()


@pytest.mark.parametrize('value, message', [
    ([0., 1., 1.], 'must be positive and finite'), ([1., -2., 1.], 'positive'),
    ([1., 1., float('nan')], 'positive'), ([2.], r'\(3,\) in the model, \(1,\)')])
def test_a_file_with_no_temperature_of_this_head_is_named(tmp_path, value, message):
    head, _ = head_of('maps')
    torch.save({**head.state_dict(), KEY: torch.tensor(value)}, tmp_path / 'bad.pth')
    with pytest.raises(UserError, match=rf'bad\.pth[\s\S]*{message}'):
        checkpoint_checks.load_weights(head, tmp_path / 'bad.pth', 'config.py')
    with pytest.raises(ValueError, match='temperature'):
        head.calibration.assign(torch.tensor(value))
    assert (head.temperature == 1).all()


@pytest.mark.parametrize('value, message', [
    ([0., 1., float('inf')], 'offsets must be finite'),
    ([2.], r'\(3,\) in the model, \(1,\)')])
def test_a_file_with_no_offsets_of_this_head_is_named(tmp_path, value, message):
    head, _ = head_of('maps')
    bad = {**head.state_dict(), OFFSETS: torch.tensor(value)}
    torch.save(bad, tmp_path / 'bad.pth')
    with pytest.raises(UserError, match=rf'bad\.pth[\s\S]*{message}'):
        checkpoint_checks.load_weights(head, tmp_path / 'bad.pth', 'config.py')
    with pytest.raises(ValueError, match='offsets must be'):
        head.calibration.assign(torch.ones(3), torch.tensor(value))
    assert not head.calibration.fitted
