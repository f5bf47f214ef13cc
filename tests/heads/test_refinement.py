"""Steps taken one by one: what is yielded, and when an image ends."""
import time

import pytest
import torch

from ddp_perception.diffusion import Classes, Presences
from tests.heads import test_map_seg_head, test_seg_head
from tests.heads.test_fourth_task import FEATS as HEIGHT_FEATS
from tests.heads.test_fourth_task import build as build_heights

FEATS = torch.randn(4, 6, 5, 7, generator=torch.Generator().manual_seed(3))


def build(outcome=Classes, **sampler):
    """A head whose decoder listens to the noisy map, so that steps differ."""
    builder = test_seg_head if outcome is Classes else test_map_seg_head
    return builder.build(decoder=dict(channels=8, num_layers=1, num_heads=2,
                                      num_points=2, time_conditioning=False),
                         diffusion=dict(scale=1., time_difference=0.),
                         sampler=dict(num_steps=6, num_seeds=2, **sampler))


@torch.no_grad()
@pytest.mark.parametrize('method', ['ddim', 'ddpm'])
def test_every_step_is_what_a_run_stopped_there_would_predict(method):
    head = build(method=method)
    steps = head.prediction_steps(FEATS)
    seen = list(head.refine(FEATS))
    assert len(seen) == len(steps) == 6
    for count, state in enumerate(seen, 1):
        assert state.taken.tolist() == [count] * 4
        assert state.going_on.tolist() == [count < 6] * 4
        torch.testing.assert_close(state.prediction, steps[count - 1].mean(1))
    torch.testing.assert_close(seen[-1].prediction, head([FEATS]))
    seconds = [state.seconds for state in seen]
    assert seconds == sorted(seconds) and seconds[0] > 0


@torch.no_grad()
@pytest.mark.parametrize('outcome', [Classes, Presences])
def test_changed_is_the_share_of_cells_decided_otherwise(outcome):
    head = build(outcome)
    feats = FEATS if outcome is Classes else test_map_seg_head.FEATS
    seen = list(head.refine(feats))
    steps = torch.stack(head.prediction_steps(feats))  # T, B, S, C, h, w
    decided = steps.argmax(3) if outcome is Classes else steps.sigmoid() > 0.5
    assert seen[0].changed.isnan().all()
    for index in range(1, 6):
        apart = decided[index] != decided[index - 1]
        if outcome is Presences:
            apart = apart.any(2)
        expected = apart.double().mean((1, 2, 3))
        torch.testing.assert_close(seen[index].changed.double(), expected)
    assert torch.stack([state.changed for state in seen[1:]]).any()


def share_that_tells_images_apart(head, feats):
    """A share, and the step after which each image has changed at most that."""
    changed = torch.stack([state.changed for state in head.refine(feats)])  # T, B
    for share in changed[1:].unique().tolist():
        ends = [next((i + 1 for i in range(1, 6) if changed[i, image] <= share), 6)
                for image in range(len(feats))]
        if len(set(ends)) > 1:
            return share, ends
    raise AssertionError('all images end at the same step, whatever the share')


@torch.no_grad()
@pytest.mark.parametrize('method', ['ddim', 'ddpm'])
def test_an_image_ends_when_it_is_stable_whatever_is_beside_it(method):
    free = build(method=method)
    share, ends = share_that_tells_images_apart(free, FEATS)
    head = build(method=method, until_stable=share)
    *_, last = head.refine(FEATS)
    assert last.taken.tolist() == ends
    steps = free.prediction_steps(FEATS)
    for image, end in enumerate(ends):
        torch.testing.assert_close(last.steps[-1][image], steps[end - 1][image],
                                   rtol=1e-4, atol=1e-5)
        *_, alone = head.refine(FEATS[image:image + 1])
        assert alone.taken.tolist() == [end]
        torch.testing.assert_close(alone.prediction[0], last.prediction[image],
                                   rtol=1e-4, atol=1e-5)
    assert head.step_count.images == 0  # only predictions count
    head([FEATS])
    assert head.step_count.images == 4 and head.step_count.steps == sum(ends)
    assert head.step_count.mean == sum(ends) / 4


@torch.no_grad()
def test_an_image_that_has_ended_costs_no_pass():
    head = build(until_stable=1.)  # any change is small enough
    decoded = []
    head.diffusion.denoiser.decoder.register_forward_pre_hook(
        lambda module, inputs: decoded.append(len(inputs[0])))
    head([FEATS])
    assert decoded == [8, 8]  # 4 images x 2 seeds, 2 of 6 steps
    decoded.clear()
    never = build(until_stable=0.)
    never.diffusion.denoiser.decoder.register_forward_pre_hook(
        lambda module, inputs: decoded.append(len(inputs[0])))
    *_, last = never.refine(FEATS)
    assert sum(decoded) == 2 * last.taken.sum()


@torch.no_grad()
def test_average_of_all_steps_repeats_the_last_of_an_image_that_has_ended():
    head = build(until_stable=1., average='all')
    first, second, *repeated = head.prediction_steps(FEATS)
    assert len(repeated) == 4 and all((step == second).all() for step in repeated)
    expected = (first.softmax(2) + 5 * second.softmax(2)).mean(1) / 6
    torch.testing.assert_close(head([FEATS]), expected)
    *_, last = head.refine(FEATS)
    torch.testing.assert_close(last.prediction, expected)


@torch.no_grad()
def test_average_of_all_steps_of_an_image_is_the_same_whatever_is_beside_it():
    share, ends = share_that_tells_images_apart(build(), FEATS)
    head = build(until_stable=share, average='all')
    *_, last = head.refine(FEATS)
    torch.testing.assert_close(last.prediction, head([FEATS]))
    for image, end in enumerate(ends):
        *_, alone = head.refine(FEATS[image:image + 1])
        assert alone.taken.tolist() == [end]
        torch.testing.assert_close(alone.prediction[0], last.prediction[image])


@torch.no_grad()
def test_no_step_begins_after_the_time_budget(monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr(time, 'perf_counter', lambda: float(next(ticks)))
    head = build(time_budget=3.)  # one tick at the start, one per step
    *_, last = head.refine(FEATS)
    assert last.taken.tolist() == [3] * 4 and last.seconds == 3


@torch.no_grad()
def test_seconds_wait_for_the_prediction_of_each_step(monkeypatch):
    waited = []
    monkeypatch.setattr('ddp_perception.heads.diffusion_head.clock',
                        lambda values, wait: waited.append(values) or len(waited)
                        if wait else 0.)
    head = build()
    head([FEATS])
    assert not waited  # an ordinary prediction waits for nothing
    seen = list(head.refine(FEATS))
    assert waited[0] is FEATS and [state.seconds for state in seen] == [*range(1, 7)]
    for values, state in zip(waited[1:], seen, strict=True):
        assert values.data_ptr() == state.steps[-1].data_ptr()
    waited.clear()
    build(time_budget=100.)([FEATS])
    assert len(waited) == 7


@torch.no_grad()
def test_a_head_refines_a_map_that_is_given():
    head = build(Presences)
    old = (torch.rand(2, 3, 12, 16) > 0.5).to(torch.uint8)
    feats = test_map_seg_head.FEATS
    *_, last = head.refine(feats, start=(old, 0.4))
    steps = list(head.diffusion.sample_steps(
        feats, head.sampler.noise(8, (8, 10), 'cpu')[0], 6, start=(old, 0.4)))
    torch.testing.assert_close(last.steps[-1].flatten(0, 1), steps[-1].prediction)
    assert float(steps[0].now.time) == pytest.approx(0.4)
    *_, other = head.refine(feats, start=(1 - old, 0.4))
    assert not torch.equal(other.prediction, last.prediction)


@torch.no_grad()
def test_a_task_of_ones_own_refines_too():
    head = build_heights(sampler=dict(num_steps=4, num_seeds=2)).eval()
    *_, last = head.refine(HEIGHT_FEATS)
    torch.testing.assert_close(last.prediction, head(HEIGHT_FEATS))
    assert head.uncertainty_kind == 'spread'
    found = head.uncertainty(last.steps)
    torch.testing.assert_close(found, last.steps[-1].std(1, correction=0))


@pytest.mark.parametrize(('sampler', 'words'), [
    (dict(until_stable=1.5), 'until_stable.*0 to 1.*1.5'),
    (dict(time_budget=0), 'time_budget.*0 seconds'),
    (dict(uncertainty='entrpy'), 'uncertainty.*entrpy'),
    (dict(uncertainty='changes', num_steps=1), 'changes.*one'),
    (dict(uncertainty='entropy'), 'HeightHead.*pred_height')])
def test_bad_options_fail_at_build_time(sampler, words):
    with pytest.raises(ValueError, match=words):
        build_heights(sampler=sampler)
