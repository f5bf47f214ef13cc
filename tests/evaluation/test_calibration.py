"""Calibration and uncertainty metrics against scikit-learn, SciPy and plain loops."""
import json
import math
import multiprocessing

import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmengine.structures import PixelData
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
)

from ddp_perception.evaluation import (
    CalibrationMetric,
    DepthUncertaintyMetric,
    ause,
    calibration_measures,
    correlations,
    count_classes,
    count_depth,
    count_maps,
    pool_counts,
    pool_depth,
    ranking_bounds,
    ranking_measures,
    reliability,
    risk_coverage,
    sparsification,
    uncertainty_bins,
)
from ddp_perception.evaluation.ranking import BINS, bin_edges
from ddp_perception.registry import METRICS


def on_bins(count, rng, least=-6, octaves=5):
    """Distinct or tied numbers of six significant bits."""
    return (2. ** rng.integers(least, least + octaves, count)
            * (1 + rng.integers(0, 32, count) / 32))


def ranked_of(uncertainty, wrong):
    ranked = np.zeros((2, BINS), np.int64)
    index = uncertainty_bins(torch.from_numpy(uncertainty)).numpy()
    np.add.at(ranked, (wrong.astype(int), index), 1)
    return ranked


def label_map(seed=0, classes=5, shape=(11, 13), ignored=True):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(classes, *shape, generator=generator) * 2
    labels = torch.randint(classes, shape, generator=generator)
    labels = torch.where(torch.rand(shape, generator=generator) < .5,
                         logits.argmax(0), labels)
    if ignored:
        labels[torch.rand(shape, generator=generator) < .2] = 255
    return logits, labels


def masks(seed=0, classes=6, shape=(7, 9)):
    generator = torch.Generator().manual_seed(seed)
    probability = torch.rand(classes, *shape, generator=generator)
    label = (torch.rand(classes, *shape, generator=generator) < probability).byte()
    return probability, label


def depth_image(seed=0, shape=(16, 20)):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(2, 60, shape)
    truth[rng.random(shape) < .3] = 0
    spread = rng.uniform(.05, 4, shape)
    prediction = np.clip(np.where(truth, truth, 30)
                         + spread * rng.standard_normal(shape), .5, 80)
    return [torch.from_numpy(values).float() for values in (prediction, truth, spread)]


# Order --------------------------------------------------------------------

def test_bins_begin_at_their_edges_and_keep_the_order():
    edges = torch.from_numpy(bin_edges())
    assert len(edges) == BINS == 1089
    assert (edges.diff() > 0).all() and edges[1] == 2 ** -24
    assert uncertainty_bins(edges).tolist() == list(range(BINS))
    below = torch.nextafter(edges[1:].float(), torch.tensor(0.))
    assert uncertainty_bins(below).tolist() == list(range(BINS - 1))
    assert (edges[2:] / edges[1:-1]).max() <= 1 + 1 / 32
    assert uncertainty_bins(torch.tensor([0., 2 ** -25, 1e9])).tolist() == [
        0, 0, BINS - 1]


@pytest.mark.parametrize('value', [-1e-3, math.nan, math.inf])
def test_bins_refuse_what_is_no_uncertainty(value):
    with pytest.raises(ValueError, match=r'1 of 2 uncertainties .*first: '
                       f'{value}'):
        uncertainty_bins(torch.tensor([.5, value]))


def test_ranking_equals_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    uncertainty = on_bins(700, rng)
    wrong = rng.random(700) < uncertainty / uncertainty.max()
    assert len(np.unique(uncertainty)) < 200 and 0 < wrong.sum() < 700
    measures = ranking_measures(ranked_of(uncertainty, wrong))
    assert measures['auroc'] == pytest.approx(roc_auc_score(wrong, uncertainty),
                                              abs=1e-12)
    assert measures['aupr'] == pytest.approx(
        average_precision_score(wrong, uncertainty), abs=1e-12)
    assert measures['error_rate'] == wrong.mean()


def plain_aurc(uncertainty, wrong):
    """Risk at each coverage, cells one by one, ties in their mean order."""
    order = np.argsort(uncertainty)
    sorted_wrong = wrong[order].astype(float)
    for value in np.unique(uncertainty):
        tied = uncertainty[order] == value
        sorted_wrong[tied] = sorted_wrong[tied].mean()
    total, risks = 0., []
    for number, item in enumerate(sorted_wrong, 1):
        total += item
        risks.append(total / number)
    return risks


def test_risk_coverage_and_its_area_equal_a_plain_loop():
    rng = np.random.default_rng(1)
    uncertainty = on_bins(300, rng)
    wrong = rng.random(300) < .3
    ranked = ranked_of(uncertainty, wrong)
    risks = plain_aurc(uncertainty, wrong)
    assert ranking_measures(ranked)['aurc'] == pytest.approx(np.mean(risks), abs=1e-12)
    coverage, risk = risk_coverage(ranked, points=300)
    np.testing.assert_allclose(coverage, np.arange(1, 301) / 300)
    np.testing.assert_allclose(risk, risks, atol=1e-12)
    assert risk[-1] == wrong.mean()


def test_aurc_of_a_perfect_order_has_its_closed_form():
    # 4 right cells, then 1 wrong one: risks 0, 0, 0, 0, 1 / 5.
    uncertainty, wrong = np.array([1., 2, 3, 4, 5]), np.array([0, 0, 0, 0, 1])
    best = ranking_measures(ranked_of(uncertainty, wrong))
    assert best['auroc'] == best['aupr'] == 1
    assert best['aurc'] == pytest.approx(1 / 25, abs=1e-15)
    worst = ranking_measures(ranked_of(6 - uncertainty, wrong))
    assert worst['auroc'] == 0 and worst['aupr'] == pytest.approx(1 / 5)
    assert worst['aurc'] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)


def test_bounds_hold_the_figures_without_bins():
    rng = np.random.default_rng(2)
    for scale in (1e-3, .02):  # few bins, and very few
        uncertainty = np.float32(1 + scale * 20 * rng.random(400)).astype(float)
        wrong = rng.random(400) < (uncertainty - 1) / scale / 20
        ranked = ranked_of(uncertainty, wrong)
        bounds = ranking_bounds(ranked)
        exact = dict(auroc=roc_auc_score(wrong, uncertainty),
                     aupr=average_precision_score(wrong, uncertainty),
                     aurc=np.mean(plain_aurc(uncertainty, wrong)))
        measured = ranking_measures(ranked)
        for name, (low, high) in bounds.items():
            assert low < high
            assert low <= exact[name] <= high
            assert low <= measured[name] <= high
            # The order within a bin is what they leave open, and no more.
            assert abs(measured[name] - exact[name]) > 1e-6
    for low, high in ranking_bounds(ranked_of(np.arange(1., 41), wrong[:40])).values():
        assert low == pytest.approx(high, abs=1e-12)


def test_what_cannot_be_ranked_is_nan():
    nothing = np.zeros((2, BINS), np.int64)
    assert all(math.isnan(value) for value in ranking_measures(nothing).values())
    right = ranked_of(np.array([1., 2]), np.array([0, 0]))
    measures = ranking_measures(right)
    assert math.isnan(measures['auroc']) and math.isnan(measures['aupr'])
    assert measures['aurc'] == measures['error_rate'] == 0
    with pytest.raises(ValueError, match=r'\(2, 1089\), got \(2, 7\)'):
        ranking_measures(np.zeros((2, 7)))


# Probabilities --------------------------------------------------------------

def test_class_measures_equal_scikit_learn_and_a_plain_loop():
    logits, labels = label_map()
    counts = count_classes(logits, labels, ['entropy', 'confidence'])
    measures = {name: float(values[0])
                for name, values in calibration_measures(counts).items()}
    kept = labels != 255
    truth = labels[kept].numpy()
    probability = logits[:, kept].T.double().softmax(1).numpy()
    assert counts.cells.sum() == kept.sum() < labels.numel()
    assert measures['brier'] == pytest.approx(brier_score_loss(
        truth, probability, labels=range(5), scale_by_half=False), abs=1e-12)
    assert measures['nll'] == pytest.approx(
        log_loss(truth, probability, labels=range(5)), abs=1e-12)
    confidence, right = probability.max(1), probability.argmax(1) == truth
    gap = 0.
    for low in range(15):
        inside = [(c, r) for c, r in zip(confidence, right, strict=True)
                  if low / 15 < c <= (low + 1) / 15]
        if inside:
            c, r = np.mean(inside, 0)
            gap += len(inside) / len(truth) * abs(c - r)
    assert measures['ece'] == pytest.approx(gap, abs=1e-12)
    uncertain = dict(entropy=stats.entropy(probability, axis=1),
                     confidence=1 - confidence)
    for name, ranked in zip(uncertain, counts.ranked, strict=True):
        assert ranking_measures(ranked)['error_rate'] == 1 - right.mean()
        low, high = ranking_bounds(ranked)['auroc']
        assert low <= roc_auc_score(~right, uncertain[name]) <= high
        assert high - low < .02


def test_map_measures_equal_scikit_learn_per_class():
    probability, label = masks()
    counts = count_maps(probability, label, ['confidence'])
    measures, data = calibration_measures(counts), reliability(counts)
    for index in range(6):
        p = probability[index].flatten().double().numpy()
        y = label[index].flatten().numpy()
        assert measures['brier'][index] == pytest.approx(brier_score_loss(y, p),
                                                         abs=1e-12)
        assert measures['nll'][index] == pytest.approx(log_loss(y, p), abs=1e-12)
        frequency, mean = calibration_curve(y, p, n_bins=15)
        filled = data['cells'][index] > 0
        np.testing.assert_allclose(data['frequency'][index][filled], frequency)
        np.testing.assert_allclose(data['probability'][index][filled], mean)
        assert measures['ece'][index] == pytest.approx(
            (data['cells'][index][filled] * abs(frequency - mean)).sum() / 63)
    wrong = ((probability >= .5) != label.bool()).flatten().numpy()
    uncertainty = torch.minimum(probability, 1 - probability).flatten().numpy()
    low, high = ranking_bounds(counts.ranked[0])['aupr']
    assert low <= average_precision_score(wrong, uncertainty) <= high
    assert ranking_measures(counts.ranked[0])['error_rate'] == wrong.mean()


def test_reliability_bins_hold_their_upper_edge():
    probability = torch.tensor([[[0., .25, .5, .75, 1., .26]]])
    label = torch.tensor([[[0, 1, 0, 1, 1, 1]]])
    data = reliability(count_maps(probability, label, bins=4))
    assert data['edges'].tolist() == [0, .25, .5, .75, 1]
    assert data['cells'].tolist() == [[2, 2, 1, 1]]
    assert data['frequency'].tolist() == [[.5, .5, 1, 1]]
    np.testing.assert_allclose(data['probability'], [[.125, .38, .75, 1]])


def test_threshold_decides_which_cells_are_wrong():
    probability = torch.tensor([[[.4, .35, .2]]])
    label = torch.ones(1, 1, 3, dtype=torch.uint8)
    for threshold, wrong in ((.5, 3), (.35, 1), (.1, 0)):  # .35 in float32, too
        counts = count_maps(probability, label, ['entropy'], threshold=threshold)
        assert counts.ranked[0, 1].sum() == wrong


def test_probabilities_give_what_their_logits_give():
    logits, labels = label_map()
    names = ['entropy', 'confidence']
    one = count_classes(logits, labels, names)
    two = count_classes(logits.double().softmax(0), labels, names, logits=False)
    for key, value in vars(one).items():
        np.testing.assert_allclose(vars(two)[key], value, rtol=1e-12)


def test_sure_and_right_is_perfect_and_sure_and_wrong_is_finite():
    probability = torch.tensor([1., 0.])[:, None, None].expand(2, 2, 3)
    for label, (ece, brier, nll) in {0: (0, 0, 0), 1: (1, 2, -math.log(
            np.finfo(np.float32).eps))}.items():
        counts = count_classes(probability, torch.full((2, 3), label), ['entropy'],
                               logits=False)
        measures = calibration_measures(counts)
        assert measures['ece'] == ece and measures['brier'] == brier
        assert measures['nll'] == pytest.approx(nll, abs=2e-7)
        assert counts.ranked[0, label, 0] == 6


def test_many_pixels_are_what_their_parts_are(monkeypatch):
    logits, labels = label_map()
    whole = count_classes(logits, labels, ['entropy'])
    monkeypatch.setattr('ddp_perception.evaluation.calibration_counts._AT_ONCE', 7)
    for key, value in vars(count_classes(logits, labels, ['entropy'])).items():
        np.testing.assert_allclose(value, vars(whole)[key], rtol=1e-13)


def test_ignored_pixels_do_not_count_whatever_is_predicted():
    logits, labels = label_map()
    other = torch.where(labels == 255, logits.flip(0) * 9, logits)
    field = torch.rand(labels.shape)
    one, two = (count_classes(item, labels, ['entropy', 'field'], field)
                for item in (logits, other))
    for key, value in vars(one).items():
        np.testing.assert_array_equal(vars(two)[key], value)
    empty = count_classes(logits, torch.full_like(labels, 255), ['entropy', 'field'],
                          field)
    assert all(math.isnan(value[0]) for value in calibration_measures(empty).values())
    for key, value in vars(pool_counts([one, empty])).items():
        np.testing.assert_array_equal(vars(one)[key], value)


@pytest.mark.parametrize('change, message', [
    (dict(labels=torch.zeros(3, 4)), r'\(2, 3, 5\) and \(3, 4\)'),
    (dict(labels=torch.full((3, 5), 7)), r'0 to 1 or the ignored one, got \[7\]'),
    (dict(scores=torch.full((2, 3, 5), math.nan)), '30 of 30 logits are not finite'),
    (dict(scores=torch.full((2, 3, 5), math.nan), logits=False), '30 of 30 .* are NaN'),
    (dict(scores=torch.full((2, 3, 5), 3.), logits=False), r'outside \[0, 1\].*3'),
    (dict(scores=torch.full((2, 3, 5), .1), logits=False), 'not 1: are these logits'),
    (dict(field=torch.ones(5, 3)), r'\(3, 5\), got \(5, 3\)'),
    (dict(field=-torch.ones(3, 5)), '15 of 15 uncertainties .*-1'),
    (dict(field=None), r"no uncertainty \['field'\]"),
])
def test_class_counts_name_what_is_wrong(change, message):
    given = dict(scores=torch.zeros(2, 3, 5), labels=torch.zeros(3, 5),
                 field=torch.ones(3, 5)) | change
    with pytest.raises(ValueError, match=message):
        count_classes(given.pop('scores'), given.pop('labels'), ['field'], **given)


@pytest.mark.parametrize('change, message', [
    (dict(label=torch.zeros(2, 5, 3)), r'\(2, 3, 5\) and \(2, 5, 3\)'),
    (dict(label=torch.full((2, 3, 5), 255)), r'0 or 1, got \[255\]'),
    (dict(probability=torch.full((2, 3, 5), math.nan)), '30 of 30 .* are NaN'),
    (dict(probability=torch.full((2, 3, 5), -4.)), r'outside \[0, 1\].*-4'),
    (dict(field=torch.ones(4, 3, 5)), r'\(3, 5\), got \(4, 3, 5\)'),
])
def test_map_counts_name_what_is_wrong(change, message):
    given = dict(probability=torch.zeros(2, 3, 5), label=torch.zeros(2, 3, 5),
                 field=torch.ones(3, 5)) | change
    with pytest.raises(ValueError, match=message):
        count_maps(given['probability'], given['label'], ['field'], given['field'])


# Depth -------------------------------------------------------------------

def depth_counts(pairs):
    return count_depth(*(torch.as_tensor(values) for values in pairs))


def test_sparsification_equals_a_plain_loop_where_values_lie_on_bins():
    rng = np.random.default_rng(3)
    # 500 pixels, and 1000 shares: at whole numbers of pixels, and halfway.
    error, uncertainty = on_bins(500, rng), on_bins(500, rng)
    truth = np.full(500, 16.)  # so that errors over truth lie on bins, too
    counts = depth_counts((truth + error, truth, uncertainty))
    for name, values in (('abs_rel', error / truth), ('rmse', error ** 2)):
        expected = []
        for order_by in (uncertainty, error):
            spread = values.copy()
            for value in np.unique(order_by):
                tied = order_by == value
                spread[tied] = values[tied].mean()
            spread = spread[np.argsort(order_by)]
            curve, total = [], 0.
            for number, item in enumerate(spread):
                for kept in (number + .5, number + 1):
                    curve.append((total + item * (kept - number)) / kept)
                total += item
            curve = np.sqrt(curve) if name == 'rmse' else np.array(curve)
            expected.append(curve / curve[-1])
        kept, own, oracle = sparsification(counts, name)
        np.testing.assert_allclose(kept, np.arange(1, 1001) / 1000)
        np.testing.assert_allclose(own, expected[0], rtol=1e-12)
        np.testing.assert_allclose(oracle, expected[1], rtol=1e-12)
        assert ause(counts, name) == pytest.approx(np.mean(expected[0] - expected[1]))
    with pytest.raises(ValueError, match="'silog'"):
        sparsification(counts, 'silog')


def test_ause_of_the_error_itself_is_zero_and_of_its_opposite_is_worst():
    rng = np.random.default_rng(4)
    error, truth = on_bins(400, rng), np.full(400, 16.)
    best = depth_counts((truth + error, truth, error))
    none = depth_counts((truth + error, truth, np.ones(400)))
    worst = depth_counts((truth + error, truth, 1 / error))
    for name in ('abs_rel', 'rmse'):
        assert ause(best, name) == pytest.approx(0, abs=1e-15)
        assert .1 < ause(none, name) < ause(worst, name) - .1


def test_oracle_of_any_errors_is_within_the_stated_bound():
    rng = np.random.default_rng(5)
    truth = rng.uniform(5, 50, 1000)
    prediction = truth + 1 + .1 * rng.random(1000)  # errors in a few bins
    counts = depth_counts((prediction, truth, np.ones(1000)))
    for name, values in (('abs_rel', (prediction - truth) / truth),
                         ('rmse', (prediction - truth) ** 2)):
        exact = np.cumsum(np.sort(values)) / np.arange(1, 1001)
        exact = np.sqrt(exact) if name == 'rmse' else exact
        high = sparsification(counts, name)[2] * exact[-1] / exact
        assert high.min() > 1 - 1e-12 and 1 + 1e-6 < high.max() < 1 + 1 / 32


def test_correlations_equal_scipy():
    rng = np.random.default_rng(6)
    # The joint histogram has 16 bins to a factor of two: five bits.
    error, uncertainty = (
        2. ** rng.integers(-3, 2, 600) * (1 + rng.integers(0, 16, 600) / 16)
        for _ in range(2))
    uncertainty = np.where(rng.random(600) < .5, error, uncertainty)
    found = correlations(depth_counts((16 + error, np.full(600, 16.), uncertainty)))
    assert found['pearson'] == pytest.approx(
        stats.pearsonr(uncertainty, error).statistic, abs=1e-12)
    assert found['spearman'] == pytest.approx(
        stats.spearmanr(uncertainty, error).statistic, abs=1e-12)
    # Values off the bins: the values' correlation is exact, the ranks' nearly.
    error = rng.exponential(2, 5000)
    uncertainty = error * rng.uniform(.2, 3, 5000)
    found = correlations(depth_counts((16 + error, np.full(5000, 16.), uncertainty)))
    assert found['pearson'] == pytest.approx(
        stats.pearsonr(uncertainty, error).statistic, abs=1e-12)
    assert found['spearman'] == pytest.approx(
        stats.spearmanr(uncertainty, error).statistic, abs=1e-3)


def test_depth_without_pixels_or_without_variation_is_nan():
    empty = count_depth(*[torch.zeros(0)] * 3)
    same = count_depth(torch.full((5, ), 3.3), torch.full((5, ), 3.1),
                       torch.full((5, ), .7))
    for counts in (empty, same):
        assert all(math.isnan(value) for value in correlations(counts).values())
    assert math.isnan(ause(empty, 'rmse')) and ause(same, 'rmse') == 0
    exact = count_depth(torch.ones(5), torch.ones(5), torch.ones(5))
    assert math.isnan(ause(exact, 'abs_rel'))  # no error, nothing to find
    pooled = pool_depth([same, empty])
    for key, value in vars(pooled).items():
        np.testing.assert_array_equal(value, vars(same)[key])


@pytest.mark.parametrize('values, message', [
    ((torch.ones(3), torch.ones(3), torch.ones(4)), r'\(3,\), \(3,\) and \(4,\)'),
    ((torch.zeros(3), torch.ones(3), torch.ones(3)), '3 of 3 predicted .* 0.0'),
    ((torch.ones(3), torch.full((3, ), math.nan), torch.ones(3)), 'true .*nan'),
    ((torch.ones(3), torch.ones(3), torch.full((3, ), math.nan)),
     '3 of 3 uncertainties .*nan'),
])
def test_depth_counts_name_what_is_wrong(values, message):
    with pytest.raises(ValueError, match=message):
        count_depth(*values)


# Metrics -----------------------------------------------------------------

def map_sample(seed):
    probability, label = masks(seed)
    return dict(token=f'frame {seed}', pred_map_seg=dict(data=probability),
                gt_map_seg=PixelData(data=label),
                pred_map_seg_uncertainty=probability.std(0))


def label_sample(seed):
    logits, labels = label_map(seed)
    return dict(img_path=f'{seed}.png', seg_logits=dict(data=logits),
                gt_sem_seg=dict(data=labels[None]),
                pred_sem_seg_uncertainty=dict(data=logits.std(0, keepdim=True)))


def depth_sample(seed):
    prediction, truth, spread = (values[None] for values in depth_image(seed))
    return dict(img_path=f'{seed}.png', pred_depth_map=dict(data=prediction),
                gt_depth_map=dict(data=truth),
                pred_depth_map_uncertainty=PixelData(data=spread))


EVERY = ('entropy', 'confidence', 'field')
CONFIGS = {
    'maps': (map_sample, dict(type='ddp.CalibrationMetric', scores='multi_label',
                              uncertainty=EVERY)),
    'labels': (label_sample, dict(type='ddp.CalibrationMetric', uncertainty=EVERY)),
    'depth': (depth_sample, dict(type='ddp.DepthUncertaintyMetric', crop=None)),
}


def evaluate(samples, config, batch=2):
    metric = METRICS.build(dict(config))
    for start in range(0, len(samples), batch):
        metric.process(None, samples[start:start + batch])
    return metric.evaluate(len(samples))


@pytest.mark.parametrize('kind', CONFIGS)
def test_batches_and_order_change_nothing_to_the_last_bit(kind):
    make, config = CONFIGS[kind]
    samples = [make(seed) for seed in range(5)]
    figures = evaluate(samples, config, batch=5)
    assert all(math.isfinite(value) for value in figures.values())
    assert evaluate(samples, config, batch=1) == figures
    assert evaluate(samples[::-1], config, batch=2) == figures
    assert evaluate(samples[:4], config) != figures


def test_label_figures_are_those_of_all_pixels_together():
    samples = [label_sample(seed) for seed in range(3)]
    figures = evaluate(samples, CONFIGS['labels'][1])
    logits = torch.cat([sample['seg_logits']['data'] for sample in samples], 1)
    labels = torch.cat([sample['gt_sem_seg']['data'][0] for sample in samples])
    counts = count_classes(logits, labels, EVERY, logits.std(0))
    for name, value in calibration_measures(counts).items():
        assert figures[f'calibration/{name}'] == pytest.approx(float(value[0]),
                                                               abs=1e-14)
    for name, ranked in zip(EVERY, counts.ranked, strict=True):
        for key, value in ranking_measures(ranked).items():
            key = key if key == 'error_rate' else f'{name}/{key}'
            assert figures[f'uncertainty/{key}'] == value
    assert len(figures) == 3 + 1 + 9


def test_map_figures_are_per_class_and_their_mean():
    samples = [map_sample(seed) for seed in range(3)]
    metric = CalibrationMetric('multi_label', 'field', classes='abcdef')
    metric.process(None, samples)
    figures = metric.evaluate(3)
    assert len(figures) == 3 * 7 + 4
    truth, probability = (torch.stack([values(sample) for sample in samples])
                          for values in (lambda sample: sample['gt_map_seg'].data,
                                         lambda sample: sample['pred_map_seg']['data']))
    for index, name in enumerate('abcdef'):
        assert figures[f'calibration/{name}/brier'] == pytest.approx(brier_score_loss(
            truth[:, index].flatten(), probability[:, index].flatten().double()))
    assert figures['calibration/ece'] == pytest.approx(
        np.mean([figures[f'calibration/{name}/ece'] for name in 'abcdef']))
    # One uncertainty per cell serves all classes of the cell.
    wrong = ((probability >= .5) != truth.bool()).flatten().numpy()
    spread = probability.std(1, keepdim=True).expand_as(probability).flatten()
    assert figures['uncertainty/field/auroc'] == pytest.approx(
        roc_auc_score(wrong, spread), abs=.01)


def test_depth_figures_are_those_of_all_evaluated_pixels_together():
    samples = [depth_sample(seed) for seed in range(3)]
    figures = evaluate(samples, CONFIGS['depth'][1] | dict(max_depth=50.))
    prediction, truth, spread = (torch.cat(parts).flatten() for parts in zip(*[
        depth_image(seed) for seed in range(3)], strict=True))
    kept = (truth > 1e-3) & (truth < 50)
    prediction, truth, spread = (values[kept].double().numpy() for values in (
        prediction.clamp(max=50), truth, spread))
    error = abs(prediction - truth)
    assert figures['uncertainty/pearson'] == pytest.approx(
        stats.pearsonr(spread, error).statistic, abs=1e-12)
    assert figures['uncertainty/spearman'] == pytest.approx(
        stats.spearmanr(spread, error).statistic, abs=2e-3)
    for name, values, root in (('abs_rel', error / truth, False),
                               ('rmse', error ** 2, True)):
        curves = [np.cumsum(values[np.argsort(order)]) / np.arange(1, len(values) + 1)
                  for order in (spread, values)]
        curves = [np.sqrt(curve) if root else curve for curve in curves]
        assert figures[f'uncertainty/ause_{name}'] == pytest.approx(
            np.mean(curves[0] - curves[1]) / curves[0][-1], abs=.01)
    assert figures['uncertainty/ause_rmse'] > .02


def test_an_image_without_truth_changes_nothing():
    for kind, truth in (('labels', 'gt_sem_seg'), ('depth', 'gt_depth_map')):
        make, config = CONFIGS[kind]
        samples = [make(seed) for seed in range(2)]
        blank = make(7)
        blank[truth]['data'].fill_(255 if kind == 'labels' else 0)
        assert evaluate([*samples, blank], config) == evaluate(samples, config)
        assert all(math.isnan(value) for value in evaluate([blank], config).values())


def test_curves_are_written(tmp_path):
    path = tmp_path / 'new' / 'curves.json'
    figures = evaluate([label_sample(0)], CONFIGS['labels'][1] | dict(
        curves_file=str(path)))
    content = json.loads(path.read_text())
    assert content['figures'] == figures and len(content['edges']) == 16
    data = content['reliability']['all']
    assert data['cells'][0] == 0 and data['frequency'][0] is None
    gaps = sum(n * abs(f - p) for n, f, p in zip(
        data['cells'], data['frequency'], data['probability'], strict=True) if n)
    assert gaps / sum(data['cells']) == pytest.approx(figures['calibration/ece'])
    assert content['risk_coverage']['field']['risk'][-1] == pytest.approx(
        figures['uncertainty/error_rate'])
    evaluate([depth_sample(0)], CONFIGS['depth'][1] | dict(curves_file=str(path)))
    curve = json.loads(path.read_text())['sparsification']['rmse']
    assert len(curve['kept']) == 1000 and curve['error'][-1] == curve['oracle'][-1] == 1


def test_two_metrics_of_one_evaluator_differ_by_prefix():
    metric = CalibrationMetric(prefix='step_1')
    metric.process(None, [label_sample(0)])
    assert all(name.startswith('step_1/') for name in metric.evaluate(1))


@pytest.mark.parametrize('kind, options, message', [
    (CalibrationMetric, dict(scores='logit'), "'logit'"),
    (CalibrationMetric, dict(uncertainty='variance'), "'variance'"),
    (CalibrationMetric, dict(uncertainty=['field', 'field']), 'each once'),
    (CalibrationMetric, dict(threshold=0.), 'threshold .* 0.0'),
    (CalibrationMetric, dict(bins=0), 'bins .* 0'),
    (DepthUncertaintyMetric, dict(crop='gard'), "'gard'"),
    (DepthUncertaintyMetric, dict(min_depth=5, max_depth=5), '5 and 5'),
])
def test_wrong_options_are_named(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


@pytest.mark.parametrize('kind, field', [
    ('maps', 'pred_map_seg'), ('maps', 'gt_map_seg'),
    ('maps', 'pred_map_seg_uncertainty'), ('labels', 'seg_logits'),
    ('labels', 'gt_sem_seg'), ('labels', 'pred_sem_seg_uncertainty'),
    ('depth', 'pred_depth_map'), ('depth', 'gt_depth_map'),
    ('depth', 'pred_depth_map_uncertainty')])
def test_missing_fields_are_named(kind, field):
    make, config = CONFIGS[kind]
    sample = make(3)
    del sample[field]
    with pytest.raises(ValueError, match=f'sample .*3.* has no {field}'):
        evaluate([sample], config)


def test_sizes_and_names_that_differ_are_named():
    sample = depth_sample(0)
    sample['pred_depth_map_uncertainty'] = torch.ones(20, 16)
    with pytest.raises(ValueError, match=r'\(16, 20\), \(16, 20\) and \(20, 16\)'):
        evaluate([sample], CONFIGS['depth'][1])
    with pytest.raises(ValueError, match='6 classes .* 2 have names'):
        evaluate([map_sample(0)], CONFIGS['maps'][1] | dict(classes=('a', 'b')))
    sample = label_sample(0)
    sample['gt_sem_seg'] = dict(data=torch.zeros(2, 11, 13))
    with pytest.raises(ValueError, match=r'gt_sem_seg .* \(2, 11, 13\)'):
        evaluate([sample], CONFIGS['labels'][1])


def _rank(rank, metrics, path, queue):
    dist.init_process_group('gloo', init_method=f'file://{path}', rank=rank,
                            world_size=2)
    queue.put({kind: metric.evaluate(5) for kind, metric in metrics.items()})
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_give_what_one_gives(tmp_path):
    # Counted before the fork: logarithms of torch may wait for threads that only
    # the parent has.
    shares = [{}, {}]
    for rank, metrics in enumerate(shares):
        for kind, (make, config) in CONFIGS.items():
            metrics[kind] = METRICS.build(dict(config))
            # As a distributed sampler deals five frames: the first one twice.
            for index in (*range(rank, 5, 2), *([0] if rank else [])):
                metrics[kind].process(None, [make(index)])
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    ranks = [context.Process(target=_rank, daemon=True, args=(
        rank, shares[rank], tmp_path / 'store', queue)) for rank in range(2)]
    for process in ranks:
        process.start()
    found = [queue.get(timeout=60) for _ in ranks]
    for process in ranks:
        process.join(60)
    assert found[0] == found[1] == {
        kind: evaluate([make(seed) for seed in range(5)], config)
        for kind, (make, config) in CONFIGS.items()}
