"""The depth metric against golden numbers, loops and mmseg."""
import math
import multiprocessing

import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmseg.evaluation import DepthMetric

from ddp_perception.evaluation.depth import (
    MEASURES,
    KITTIDepthMetric,
    crop_box,
    depth_measures,
    evaluate_depth,
    mean_measures,
    valid_mask,
)
from ddp_perception.registry import METRICS
from tests import golden

THEIRS = {'a1': 'd1', 'a2': 'd2', 'a3': 'd3', 'log_10': 'log10'}


def golden_measures(file, key):
    """Figures of the reference by our names; it computes in float32."""
    return {THEIRS.get(name, name): pytest.approx(float(value), rel=1e-5)
            for name, value in zip(file.meta['metric_order'], file[key])}


def sample(prediction, truth, **more):
    return {'pred_depth_map': {'data': torch.as_tensor(prediction)[None]},
            'gt_depth_map': {'data': torch.as_tensor(truth)[None]},
            'img_path': 'a.png', **more}


def evaluate(samples, **options):
    metric = KITTIDepthMetric(**options)
    for start in range(0, len(samples), 2):
        metric.process(None, samples[start:start + 2])
    return metric.evaluate(len(samples))


def check_vectors(file, numbers):
    for number in numbers:
        truth, prediction = file[f'in/gt{number}'], file[f'in/pred{number}']
        expected = golden_measures(file, f'out/metrics{number}')
        assert sorted(expected) == sorted(MEASURES)
        assert evaluate_depth(prediction[None], truth[None],
                              crop=None) == expected


def check_boxes(file, name, max_depth, crops):
    for theirs, ours in crops.items():
        truth = file[f'in/{name}depth_map']
        dataset = name or 'kitti_'
        mask = valid_mask(truth, max_depth=max_depth, crop=ours)
        assert torch.equal(mask, file[f'out/{dataset}mask_{theirs}'][0])
        # Their NYU predictions reach 0; the reference leaves the least
        # depth to whoever predicts.
        figures = evaluate_depth(file[f'in/{name}pred_map'], truth,
                                 max_depth=max_depth, crop=ours)
        assert figures == golden_measures(
            file, f'out/{dataset}metrics_{theirs}')


def test_small_golden_figures_and_masks_are_met():
    file = golden.load('depth_metrics')
    check_vectors(file, [2])
    check_boxes(file, '', 80, {'garg': 'garg', 'eigen': 'eigen'})
    # No pixel counts: NaN in the reference, left out here.
    assert file['out/metrics3'].isnan().all()
    assert evaluate_depth(file['in/pred3'][None], file['in/gt3'][None],
                          crop=None) is None


def test_all_golden_figures_are_met(reference_dir):
    file = golden.load('depth_metrics', reference_dir)
    check_vectors(file, range(3))
    check_boxes(file, '', 80, {'garg': 'garg', 'eigen': 'eigen'})
    check_boxes(file, 'nyu_', 10, {'garg': 'garg', 'eigen': 'nyu'})
    # The reference's mean over images ignores those that are NaN.
    samples = [sample(file[f'in/pred{i}'][None], file[f'in/gt{i}'][None])
               for i in range(4)]
    assert evaluate(samples, crop=None) == golden_measures(
        file, 'out/pre_eval_mean')


def test_golden_depth_map_through_the_metric_class():
    file = golden.load('depth_metrics')
    for crop in ('garg', 'eigen'):
        metric = METRICS.build(dict(type='ddp.KITTIDepthMetric', crop=crop))
        metric.process(None, [sample(file['in/pred_map'],
                                     file['in/depth_map'])])
        assert metric.evaluate(1) == golden_measures(
            file, f'out/kitti_metrics_{crop}')


def test_boxes_of_the_benchmark_crop():
    assert crop_box(352, 1216, 'garg') == (143, 349, 43, 1172)
    assert crop_box(352, 1216, 'eigen') == (117, 321, 43, 1172)
    assert crop_box(352, 1216, None) == (0, 352, 0, 1216)
    with pytest.raises(ValueError, match='garq'):
        crop_box(352, 1216, 'garq')
    with pytest.raises(ValueError, match='480 x 640'):
        crop_box(352, 1216, 'nyu')


def test_measures_by_hand():
    prediction = torch.tensor([2., 4., 10.])
    truth = torch.tensor([1., 4., 8.])  # ratios 2, 1, 1.25 (not below)
    e = [math.log(2), 0, math.log(1.25)]
    mean = sum(e) / 3
    assert depth_measures(prediction, truth) == pytest.approx(dict(
        d1=1 / 3, d2=2 / 3, d3=2 / 3,  # 2 is above 1.25^3 = 1.953
        abs_rel=(1 + 0 + .25) / 3, sq_rel=(1 + 0 + .5) / 3,
        rmse=math.sqrt(5 / 3),
        rmse_log=math.sqrt((e[0] ** 2 + e[2] ** 2) / 3),
        log10=(math.log10(2) + math.log10(1.25)) / 3,
        silog=100 * math.sqrt(sum((x - mean) ** 2 for x in e) / 3)))


def test_a_wrong_scale_alone_has_no_silog():
    truth = torch.rand(1000) * 70 + 1
    measures = depth_measures(truth * 1.1, truth)
    assert measures['silog'] < 1e-3
    assert measures['abs_rel'] == pytest.approx(.1, rel=1e-5)
    perfect = depth_measures(truth, truth)
    assert perfect.pop('d1') == perfect.pop('d2') == perfect.pop('d3') == 1
    assert set(perfect.values()) == {0}


def test_limits_of_truth_are_strict_and_predictions_are_clamped():
    truth = torch.tensor([[0, .001, .0011, 79.99, 80, 81, 10, 10]])
    mask = valid_mask(truth, crop=None)
    assert mask.tolist() == [[False, False, True, True, False, False, True,
                              True]]
    prediction = torch.tensor([[5, 5, -1., 500, 5, 5, 10, 10]])
    clamped = torch.tensor([.001, 80, 10, 10], dtype=torch.float64)
    assert evaluate_depth(prediction, truth, crop=None) == depth_measures(
        clamped, truth[mask])
    # In float16 the limit would be 0.00100040.
    half = evaluate_depth(prediction.half(), truth, crop=None)
    assert half['abs_rel'] == evaluate_depth(prediction, truth,
                                             crop=None)['abs_rel']


def frames(count, height=44, width=61, seed=0):
    generator = torch.Generator().manual_seed(seed)
    result = []
    for _ in range(count):
        truth = torch.rand(height, width, generator=generator) * 90
        truth[torch.rand(height, width, generator=generator) < .8] = 0
        noise = torch.randn(height, width, generator=generator)
        result.append(sample(truth * (1 + .2 * noise) + 1, truth))
    return result


def test_agrees_with_mmseg_where_the_protocols_agree():
    samples = frames(5)
    for item in samples:
        item['pred_depth_map']['data'].clamp_(1e-3, 80)
    theirs = DepthMetric(min_depth_eval=1e-3, max_depth_eval=80)
    theirs.process(None, samples)
    theirs, ours = theirs.evaluate(5), evaluate(samples, crop=None)
    assert list(ours) == list(theirs)
    assert theirs.pop('silog') < ours.pop('silog') / 50  # not in percent
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_figures_are_means_over_images_in_any_order():
    samples = frames(7)
    single = [evaluate([item]) for item in samples]
    together = evaluate(samples)
    for name in MEASURES:
        assert together[name] == pytest.approx(
            np.mean([figures[name] for figures in single]), rel=1e-12)
    order = [3, 0, 6, 2, 5, 1, 4]
    assert evaluate([samples[i] for i in order]) == together


def test_images_without_a_valid_pixel_are_left_out_and_counted(monkeypatch):
    said = []
    monkeypatch.setattr('ddp_perception.evaluation.depth.print_log',
                        lambda text, *_, **__: said.append(text))
    samples = frames(3)
    empty = sample(torch.ones(44, 61), torch.zeros(44, 61))
    far = sample(torch.ones(44, 61), torch.full((44, 61), 90.))
    assert evaluate([empty, *samples, far]) == evaluate(samples)
    assert '2 of 5 images' in said[1] and '3 images' in said[0]
    assert len(said) == 3  # nothing to say of three good images
    assert all(math.isnan(value) for value in evaluate([empty]).values())
    per_image = [None, {name: 1. for name in MEASURES}, None]
    assert mean_measures(per_image) == ({name: 1. for name in MEASURES}, 2)


def test_table_names_the_passes_where_samples_do(monkeypatch):
    said = []
    monkeypatch.setattr('ddp_perception.evaluation.depth.print_log',
                        lambda text, *_, **__: said.append(text))
    evaluate(frames(2))
    evaluate([dict(item, decoder_passes=dict(seeds=2, steps=3, averaged=2))
              for item in frames(2)])
    plain, known = (text.splitlines()[0] for text in said)
    assert plain == 'Depth, 2 images, crop garg, 0.001 to 80 m'
    assert known == f'{plain}, 2 seeds x 3 steps, last step only (2 of 6 passes)'


def test_bad_input_is_named():
    good = frames(1)[0]
    with pytest.raises(ValueError, match=r'\(44, 61\) and \(44, 60\)'):
        evaluate([good | {'gt_depth_map': {'data': torch.ones(1, 44, 60)}}])
    with pytest.raises(ValueError, match='a.png has no gt_depth_map'):
        evaluate([{k: v for k, v in good.items() if k != 'gt_depth_map'}])
    with pytest.raises(ValueError, match=r'must be \(1, H, W\)'):
        evaluate([good | {'pred_depth_map': {'data': torch.ones(2, 44, 61)}}])
    broken = good['pred_depth_map']['data'].clone()
    broken[...] = math.nan
    with pytest.raises(ValueError, match='predicted depths .*nan'):
        evaluate([good | {'pred_depth_map': {'data': broken}}])
    for options, message in (
            (dict(depth_metrics=['d4']), 'd4'), (dict(crop='big'), 'big'),
            (dict(min_depth=5, max_depth=5), 'min_depth'),
            (dict(format_only=True), 'output_dir')):
        with pytest.raises(ValueError, match=message):
            KITTIDepthMetric(**options)


def test_some_measures_and_a_prefix():
    figures = evaluate(frames(2), depth_metrics=['rmse', 'd1'], prefix='kitti')
    assert list(figures) == ['kitti/rmse', 'kitti/d1']


def _work(rank, file, out):
    dist.init_process_group('gloo', init_method=f'file://{file}', rank=rank,
                            world_size=2)
    torch.set_num_threads(1)
    samples = frames(5) + frames(1)  # the sampler repeats the first
    metric = KITTIDepthMetric()
    metric.process(None, samples[rank::2])
    out.put((rank, metric.evaluate(5)))
    dist.destroy_process_group()


def test_two_processes_give_the_figures_of_one(tmp_path):
    context = multiprocessing.get_context('fork')
    out = context.Queue()
    workers = [context.Process(target=_work, args=(rank, tmp_path / 'i', out))
               for rank in range(2)]
    for worker in workers:
        worker.start()
    results = [out.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
    expected = evaluate(frames(5))
    assert [figures for _, figures in results] == [expected, expected]
