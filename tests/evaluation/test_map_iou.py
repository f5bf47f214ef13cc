"""The map metric against golden numbers and counts made by hand."""
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmengine.structures import PixelData

from ddp_perception.evaluation.map_iou import (
    THRESHOLDS,
    MapIoUMetric,
    count_map,
    iou_table,
    map_iou,
)
from ddp_perception.evaluation.passes import describe_passes
from ddp_perception.registry import METRICS

GOLDEN = Path(__file__).parents[1] / 'data' / 'map_metric.npz'


def sample(probability, label, **more):
    return {'pred_map_seg': {'data': torch.as_tensor(probability)},
            'gt_map_seg': {'data': torch.as_tensor(label)}, **more}


def evaluate(samples, **options):
    metric = MapIoUMetric(**options)
    for start in range(0, len(samples), 3):
        metric.process(None, samples[start:start + 3])
    return metric.evaluate(len(samples))


def check_golden(figures, file, which):
    names = [key for key in file if key.startswith(f'out/{which}/')]
    assert len(names) == len(figures) == 49
    for key in names:
        name = key.removeprefix(f'out/{which}/')
        # The reference computes in float32: equal once rounded to it. Its
        # mean of six rounds once more.
        golden = float(file[key])
        if name == 'map/mean/iou@max':
            assert figures[name] == pytest.approx(golden, abs=1e-7)
        else:
            assert np.float32(figures[name]) == np.float32(golden)


def test_first_golden_frame_is_met():
    with np.load(GOLDEN) as file:
        check_golden(evaluate([sample(file['in/pred'][0],
                                      file['in/label'][0])]), file, 'first')


def test_all_golden_frames_are_met(reference_dir):
    with np.load(reference_dir / 'map_metric.npz') as file:
        frames = [sample(*pair) for pair in zip(
            file['in/pred'], file['in/label'], strict=True)]
        check_golden(evaluate(frames), file, 'all')
        check_golden(evaluate(frames[:1]), file, 'first')


def random_frames(count, classes=6):
    generator = torch.Generator().manual_seed(0)
    return [(torch.rand(classes, 7, 9, generator=generator),
             (torch.rand(classes, 7, 9, generator=generator) < .3).byte())
            for _ in range(count)]


def test_counts_match_a_plain_loop():
    probability, label = random_frames(1)[0]
    probability[0, 0, 0], label[0, 0, 0] = .35, 1  # at the threshold: positive
    counts = count_map(probability, label)
    assert counts.shape == (6, 7, 3) and counts.dtype == torch.int64
    for c in range(6):
        for t, threshold in enumerate(np.float32(THRESHOLDS)):
            expected = [0, 0, 0]
            for p, y in zip(probability[c].flatten().tolist(),
                            label[c].flatten().tolist(), strict=True):
                predicted = np.float32(p) >= threshold
                if predicted and y:
                    expected[0] += 1
                elif predicted:
                    expected[1] += 1
                elif y:
                    expected[2] += 1
            assert counts[c, t].tolist() == expected


def test_iou_of_pooled_counts_by_hand():
    # Two frames of one class; pooled 3 / (3 + 1 + 2), not the mean of both.
    label = torch.tensor([[[1, 1, 1, 0]], [[1, 1, 0, 0]]]).byte()
    probability = torch.tensor([[[.9, .9, .1, .1]], [[.9, .1, .9, .1]]])
    counts = sum(count_map(p[None], y[None]) for p, y in zip(
        probability, label, strict=True))
    figures = map_iou(counts, ('road', ))
    assert figures['map/road/iou@0.50'] == pytest.approx(3 / 6)
    assert figures['map/mean/iou@max'] == figures['map/road/iou@max']


def test_best_threshold_is_chosen_per_class_after_pooling():
    label = torch.tensor([[[1, 0]], [[1, 0]]]).byte()
    probability = torch.tensor([[[.9, .62]], [[.42, .1]]])
    figures = map_iou(count_map(probability, label), ('a', 'b'))
    assert figures['map/a/iou@0.60'] == pytest.approx(.5)
    assert figures['map/a/iou@max'] == pytest.approx(1)  # at 0.65
    assert figures['map/b/iou@max'] == pytest.approx(1)  # at 0.35 and 0.40
    assert figures['map/b/iou@0.45'] == 0
    assert figures['map/mean/iou@max'] == pytest.approx(1)


def test_absent_class_counts_as_zero():
    zeros = torch.zeros(2, 3, 4)
    figures = map_iou(count_map(zeros, zeros.byte()), ('a', 'b'))
    assert figures['map/mean/iou@max'] == 0


def test_integers_stay_exact_beyond_float32():
    counts = torch.tensor([[[2 ** 24 + 1, 2 ** 24, 0]]])
    value = map_iou(counts, ('a', ), (.5, ))['map/a/iou@0.50']
    assert value == pytest.approx((2 ** 24 + 1) / (2 ** 25 + 1), rel=1e-12)


def test_packed_samples_and_dicts_give_the_same():
    class Packed(dict):
        """Data samples answer get() with PixelData."""

    frames = random_frames(2)
    packed = [Packed(pred_map_seg=PixelData(data=p),
                     gt_map_seg=PixelData(data=y)) for p, y in frames]
    assert evaluate(packed) == evaluate([sample(*pair) for pair in frames])


def test_label_shape_and_nan_are_rejected():
    probability, label = random_frames(1)[0]
    with pytest.raises(ValueError, match=r'0 or 1, got \[2, 255\]'):
        wrong = label.clone()
        wrong[0, 0, :2] = torch.tensor([2, 255])
        count_map(probability, wrong)
    with pytest.raises(ValueError, match=r'\(6, 7, 9\) and \(6, 9, 7\)'):
        count_map(probability, label.mT)
    with pytest.raises(ValueError, match='1 of 378 .*NaN'):
        probability[0, 0, 0] = float('nan')
        count_map(probability, label)
    with pytest.raises(ValueError, match='frame-7 has no gt_map_seg'):
        MapIoUMetric().process(None, [{'token': 'frame-7'}])
    with pytest.raises(ValueError, match=r'\(3, 7, 3\), got \(6, 7, 3\)'):
        map_iou(torch.zeros(6, 7, 3, dtype=torch.int64), 'abc')


def test_one_sampling_step_has_its_own_prefix():
    frames = random_frames(2)
    steps = [torch.stack([torch.zeros_like(p), p]) for p, _ in frames]
    samples = [sample(torch.zeros_like(p), y, pred_map_seg_steps=s)
               for (p, y), s in zip(frames, steps, strict=True)]
    figures = evaluate(samples, step=1)
    plain = evaluate([sample(*pair) for pair in frames])
    assert figures == {f'step_2/{key}': value for key, value in plain.items()}
    assert evaluate(samples, step=0)['step_1/map/mean/iou@max'] == 0
    with pytest.raises(ValueError, match='step 2 .* 2 steps'):
        evaluate(samples, step=2)
    with pytest.raises(ValueError, match='pred_map_seg_steps'):
        evaluate([sample(*pair) for pair in frames], step=0)
    with pytest.raises(ValueError, match='got -1'):
        MapIoUMetric(step=-1)


def test_table_names_the_passes_it_averages(caplog):
    passes = dict(seeds=1, steps=3, averaged=1)
    assert describe_passes(**passes) == (
        '1 seed x 3 steps, last step only (1 of 3 passes)')
    assert describe_passes(3, 4, 12) == (
        '3 seeds x 4 steps, every pass averaged (12 of 12 passes)')
    assert describe_passes(1, 1, 1) == (
        '1 seed x 1 step, every pass averaged (1 of 1 pass)')
    metric = MapIoUMetric()
    metric.process(None, [sample(*random_frames(1)[0],
                                 decoder_passes=passes)])
    assert metric._describe() == describe_passes(**passes)
    assert MapIoUMetric(step=2)._describe() == 'sampling step 3 alone'


def test_table_shows_percent():
    probability, label = random_frames(1)[0]
    figures = map_iou(count_map(probability, label))
    table = iou_table(figures).splitlines()
    assert table[1].split('|')[1].strip() == 'class'
    row = next(line for line in table if 'walkway' in line).split('|')
    assert float(row[-2]) == pytest.approx(
        100 * figures['map/walkway/iou@max'], abs=.05)
    assert f'{100 * figures["map/mean/iou@max"]:.1f}' in table[-2]


def test_names_come_from_the_data_set():
    metric = METRICS.build(dict(type='ddp.MapIoUMetric'))
    metric.dataset_meta = {'map_classes': ('kerb', 'lane')}
    metric.process(None, [sample(*random_frames(1, classes=2)[0])])
    figures = metric.evaluate(1)
    assert 'map/kerb/iou@max' in figures and len(figures) == 17


def _rank(rank, frames, path, queue):
    dist.init_process_group('gloo', init_method=f'file://{path}', rank=rank,
                            world_size=2)
    metric = MapIoUMetric()
    # As a distributed sampler deals five frames: the last one twice.
    for index in (*range(rank, 5, 2), *([0] if rank else [])):
        metric.process(None, [sample(*frames[index])])
    queue.put(metric.evaluate(5))
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_give_what_one_gives(tmp_path):
    frames = random_frames(5)
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    ranks = [context.Process(target=_rank, args=(
        rank, frames, tmp_path / 'store', queue)) for rank in range(2)]
    for process in ranks:
        process.start()
    figures = [queue.get(timeout=60) for _ in ranks]
    for process in ranks:
        process.join(60)
    assert figures[0] == figures[1] == evaluate(
        [sample(*pair) for pair in frames])
