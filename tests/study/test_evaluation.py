"""Figures of a study against the metrics of the package, on small heads."""
import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric
from scipy import ndimage

from ddp_perception.diffusion import Sampler
from ddp_perception.evaluation import CalibrationMetric, MapIoUMetric
from ddp_perception.heads import calibrated
from ddp_perception.study.cost import cost_of
from ddp_perception.study.cross_calibration import CrossCalibration, temperature_of
from ddp_perception.study.evaluation import evaluate
from ddp_perception.study.evaluations import BRIEF, FULL, SAMPLES, evaluations_of
from ddp_perception.study.tally import Tally
from ddp_perception.study.training import build_head
from tests.study.tiny import CLASSES, MAPS, PLAIN, SEGMENTATION, SETS, write_features


@pytest.fixture(params=SETS)
def case(request, tmp_path):
    """Task, heads and splits; some truth does not count."""
    task, *heads = SETS[request.param]
    store = write_features(tmp_path, maps=request.param == 'maps')
    return task, [build_head(head, 'mmseg', 0).eval() for head in heads], [
        store.split(name) for name in ('evaluation', 'train')]


def areas_of(task, scores):
    """Connected areas as scipy labels them, over the classes."""
    decided = scores >= 0.5 if task is MAPS else \
        scores.argmax(0) == torch.arange(len(scores))[:, None, None]
    return sum(ndimage.label(mask, np.ones((3, 3)))[1] for mask in decided.numpy())


def metric_figures(task, predicted, truth):
    """What the metrics say of logits or probabilities at the size of the truth."""
    maps = task is MAPS
    metrics = [MapIoUMetric(classes=CLASSES) if maps else IoUMetric(),
               CalibrationMetric('multi_label' if maps else 'logits')]
    samples = [
        dict(pred_map_seg=dict(data=scores), gt_map_seg=dict(data=labels)) if maps else
        dict(pred_sem_seg=dict(data=scores.argmax(0, keepdim=True)),
             seg_logits=dict(data=scores), gt_sem_seg=dict(data=labels))
        for scores, labels in zip(predicted, truth)]
    found = {}
    for metric in metrics:
        metric.dataset_meta = dict(classes=CLASSES, map_classes=CLASSES)
        metric.process(None, samples)
        found |= metric.evaluate(len(samples))
    iou = 100 * found['map/mean/iou@max'] if maps else found['mIoU']
    return iou, found['calibration/ece'], found['uncertainty/entropy/auroc']


@torch.no_grad()
def test_figures_are_those_of_the_metrics(case):
    task, (diffusion, plain), (evaluated, trained) = case
    feats, truth = evaluated.batch(range(len(evaluated)))
    for head in (diffusion, plain):
        figures = evaluate(head, task, ('steps_1', ), evaluated, trained)
        if hasattr(head, 'sampler'):
            head.sampler = Sampler(num_steps=1)
        scores = task.scores(task.steps(head, feats)[-1], truth.shape[-2:])
        iou, ece, auroc = metric_figures(task, scores, truth)
        assert figures['steps_1/iou'] == pytest.approx(iou, abs=0.006)  # mmseg rounds
        assert figures['steps_1/ece'] == pytest.approx(ece, abs=1e-6)
        if task is MAPS:  # of images it is taken at the head's own size
            assert figures['steps_1/auroc_entropy'] == pytest.approx(auroc, abs=1e-6)
        assert figures['steps_1/seconds'] > 0


@torch.no_grad()
def test_every_way_of_sampling_is_what_the_head_does_itself(case):
    task, (head, _), (evaluated, trained) = case
    figures = evaluate(head, task, SAMPLES, evaluated, trained)
    feats, truth = evaluated.batch(range(len(evaluated)))
    size = truth.shape[-2:]

    def iou(scores):
        return task.iou(sum(task.areas(one, labels)
                            for one, labels in zip(scores, truth)))
    for name, sampler in (('steps_5', Sampler(5)), ('seeds', Sampler(3, 4)),
                          ('ddpm_10', Sampler(10, method='ddpm')),
                          ('seeds_ddpm', Sampler(10, 4, method='ddpm'))):
        head.sampler = sampler
        steps = head.prediction_steps(feats)
        assert figures[f'{name}/iou'] == pytest.approx(
            iou(task.scores(steps[-1], size))), name
        if name.startswith('seeds'):
            images = torch.tensor([[task.image_iou(task.areas(
                task.scores(steps[-1][:, [seed]], size)[index], labels))
                for seed in range(4)] for index, labels in enumerate(truth)])
            assert figures[f'{name}/best_iou'] == pytest.approx(
                images.amax(1).mean().item())
            assert figures[f'{name}/mean_iou'] == pytest.approx(images.mean().item())
            assert figures[f'{name}/areas'] == pytest.approx(np.mean([
                areas_of(task, task.scores(steps[-1][:, [seed]], size)[index])
                for seed in range(4) for index in range(len(truth))]))
            assert 0 < figures[f'{name}/apart'] < 100
    assert figures['drift'] == pytest.approx(
        figures['steps_10/iou'] - figures['steps_3/iou'])
    assert figures['oracle_gain'] == pytest.approx(
        figures['truth_0.5/iou'] - figures['steps_1/iou'])
    kinds = ('entropy', 'mutual_information', 'disagreement', 'changes', 'spread')
    assert figures['seeds/auroc'] == max(figures[f'seeds/auroc_{kind}']
                                         for kind in kinds)
    assert 0 <= figures['feedback/apart'] <= 100 and 'steps_3/ece_scaled' in figures


@pytest.mark.parametrize('task, truth, areas', [
    # Areas that touch at a corner are one; ignored pixels are of no class.
    (MAPS, [[[1, 0, 0], [0, 1, 0], [0, 0, 0]], [[1, 0, 1]] * 3, [[0] * 3] * 3], 3),
    (SEGMENTATION, [[[1, 1, 0], [255, 255, 255], [1, 2, 0]]], 5)])
def test_areas_of_the_truth_are_counted(task, truth, areas):
    truth = torch.tensor([truth], dtype=torch.uint8)
    tally = Tally(task)
    tally.add([torch.zeros(1, 2, 3, 3, 3)], truth)
    assert tally.figures()['truth_areas'] == areas


def test_the_temperature_mends_a_head_that_is_too_sure(case):
    task, (_, head), (evaluated, trained) = case
    last = (head.classifier if task is MAPS else [head.conv_seg])[-1]
    with torch.no_grad():
        last.weight.normal_(std=30., generator=torch.Generator().manual_seed(0))
    figures = evaluate(head, task, ('steps_1', ), evaluated, trained)
    assert figures['steps_1/ece_scaled'] < 0.5 * figures['steps_1/ece']
    assert figures['steps_1/ece_halves'] < 0.5 * figures['steps_1/ece']


@torch.no_grad()
def test_each_half_is_calibrated_by_the_other(case):
    task, (_, head), (evaluated, _) = case
    feats, truth = evaluated.batch(range(3))
    scores = task.scores(3 * task.steps(head, feats)[-1], truth.shape[-2:])
    crossed, by_hand = CrossCalibration(task), []
    for image, labels in zip(scores, truth, strict=True):
        crossed.add(image, labels)
    for half, other in (([0], [1, 2]), ([1, 2], [0])):
        temperature = temperature_of(task, [(scores[i], truth[i]) for i in other])
        by_hand += [calibrated(scores[i], temperature, task.outcome, logits=task.logits)
                    for i in half]
    _, ece, _ = metric_figures(task, by_hand, truth)
    assert crossed.ece() == pytest.approx(ece, abs=1e-6)


def test_offsets_mend_a_class_that_is_foretold_too_often(case):
    task, (_, head), (evaluated, trained) = case
    last = (head.classifier if task is MAPS else [head.conv_seg])[-1]
    with torch.no_grad():
        last.bias[1] += 4.
    figures = evaluate(head, task, ('steps_1', ), evaluated, trained)
    # Of several classes the confidence counts: here one class wins everywhere, and a
    # temperature alone can say how often it is right.
    most = 0.5 if task is MAPS else 1.
    assert figures['steps_1/ece_offsets'] < most * figures['steps_1/ece_halves']


def test_one_image_has_no_other_half(case):
    task, _, (evaluated, _) = case
    crossed = CrossCalibration(task)
    assert crossed.ece() is None
    crossed.add(torch.rand(3, *evaluated.truth.shape[-2:]), evaluated.batch([0])[1][0])
    assert crossed.ece() is None


def test_an_evaluation_brings_what_it_is_compared_with():
    found = [item.key for item in evaluations_of(('ddpm_10', 'truth_0.5'), Sampler())]
    assert found == ['steps_1', 'steps_10', 'no_truth_0.5', 'truth_0.5', 'ddpm_10']
    assert {item.key for item in evaluations_of(SAMPLES, Sampler())} == set(SAMPLES)
    assert set(BRIEF) < set(FULL) < set(SAMPLES)
    with pytest.raises(ValueError, match="got 'steps_4'"):
        evaluations_of(('steps_4', ), Sampler())


def test_the_cost_counts_products_and_parameters():
    head = build_head(PLAIN, 'mmseg', 0).eval()
    found = cost_of(head, SEGMENTATION, torch.zeros(1, 5, 6, 8))
    convolved, classified = 6 * 8 * 5 * 8 * 9, 6 * 8 * 8 * 3
    assert found['gflops'] * 1e9 == pytest.approx(2 * (convolved + classified))
    assert found['parameters'] == 5 * 8 * 9 + 2 * 8 + 8 * 3 + 3
