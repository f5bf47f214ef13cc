import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from ddp_perception.fields import Setting, fields_of
from optical_flow import task


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build(dict(
        type='ddp.FlowHead', in_channels=8,
        decoder=dict(channels=8, num_layers=1, num_heads=2), **changes))


def samples(height=24, width=40):
    generator = torch.Generator().manual_seed(1)
    return [SegDataSample(gt_flow=PixelData(data=9 * torch.randn(
        2, height, width, generator=generator))) for _ in range(2)]


def test_it_takes_less_than_120_lines():
    with open(task.__file__) as file:
        assert len(file.readlines()) < 120


def test_head_trains_and_samples_in_pixels():
    head, feats = build(sampler=dict(num_steps=2)), [torch.randn(2, 8, 6, 10)]
    losses = head.loss(feats, samples())
    losses['loss_flow'].backward()
    assert list(losses) == ['loss_flow'] and losses['loss_flow'] > 5
    assert all(p.grad is not None for p in head.parameters())
    with torch.no_grad():
        flow = head.eval()(feats)
        assert flow.shape == (2, 2, 6, 10)
        torch.testing.assert_close(head([feats[0][1:]]), flow[1:], rtol=1e-4, atol=1e-5)


def test_codec_shrinks_by_means_and_knows_the_scale():
    codec = task.FlowCodec(scale=0.2)
    flow = torch.tensor([[[[4., 6.], [8., 2.]], [[-10., -10.], [-10., -10.]]]])
    expected = 0.2 * torch.tensor([0.5, -1.]).tanh()
    torch.testing.assert_close(codec.encode(flow, (1, 1))[0, :, 0, 0], expected)


def test_a_field_that_was_not_padded_with_its_image_is_refused():
    batch = samples()
    for sample in batch:
        sample.set_metainfo(dict(padding_size=(0, 8, 0, 0), img_shape=(24, 40)))
    with pytest.raises(ValueError, match='gt_flow of .24, 40. was not'):
        build().loss([torch.randn(2, 8, 6, 12)], batch)


def test_field_is_saved_as_opencv_reads_it_and_drawn(tmp_path):
    cv2.imwrite(str(tmp_path / 'a_0.png'), np.full((24, 40, 3), 80, np.uint8))
    sample = samples()[0]
    sample.set_metainfo(dict(img_path=str(tmp_path / 'a_0.png')))
    sample.pred_flow = PixelData(data=sample.gt_flow.data + 1)
    field, = fields_of(sample)
    assert field.save(sample, tmp_path / 'a_0', Setting()) == tmp_path / 'a_0.flo'
    np.testing.assert_array_equal(cv2.readOpticalFlow(str(tmp_path / 'a_0.flo')),
                                  sample.pred_flow.data.permute(1, 2, 0))
    picture = cv2.imread(str(field.draw(sample, tmp_path / 'p.png', Setting())))
    assert np.ptp(picture.reshape(-1, 3), axis=0).min() > 100


def test_metric_averages_end_point_errors():
    metric, batch = task.EndPointError(), samples()
    for length, sample in zip((5., 10.), batch, strict=True):
        shift = torch.tensor([0.6, 0.8])[:, None, None] * length
        sample.pred_flow = PixelData(data=sample.gt_flow.data + shift)
    metric.process({}, [sample.to_dict() for sample in batch])
    assert metric.evaluate(2)['flow/epe'] == pytest.approx(7.5, rel=1e-5)


def baselines(root):
    """End-point errors of no flow, and of the training pairs' mean flow."""
    train, val = (np.stack([cv2.readOpticalFlow(str(path)) for path in sorted(
        (root / split).glob('*.flo'))]) for split in ('train', 'val'))
    return [float(np.linalg.norm(val - guess, axis=-1).mean())
            for guess in (0, train.mean(0))]


@pytest.mark.slow
def test_it_learns_flow_of_unseen_drives_through_the_command_line(
        command, repository_dir, tmp_path):
    config = repository_dir / 'examples' / 'optical_flow' / 'config.py'
    root = tmp_path / 'data' / 'optical_flow'
    said = command('optical_flow.make_data', root, '--train-drives', 24,
                   '--val-drives', 6, '--pairs', 12)
    zero, mean = baselines(root)
    assert f'{zero:.3f}' in said and f'{mean:.3f}' in said and mean < zero

    first = cv2.imread(str(root / 'val' / '5001_000_0.png')).astype(np.float32)
    second = cv2.imread(str(root / 'val' / '5001_000_1.png')).astype(np.float32)
    flow = cv2.readOpticalFlow(str(root / 'val' / '5001_000.flo'))
    place = np.stack(np.meshgrid(np.arange(256), np.arange(96)), -1) + flow
    inside = ((place >= 0) & (place <= (255, 95))).all(-1)
    warped = cv2.remap(second, *np.moveaxis(place.astype('f'), -1, 0), cv2.INTER_LINEAR)
    assert np.abs(warped - first)[inside].mean() < 0.7 * np.abs(
        second - first)[inside].mean()

    command('ddp_perception.cli', 'train', config, '--work-dir', 'work', '--seed', 0,
            '--cfg-options', 'train_cfg.max_iters=400', 'train_cfg.val_interval=400',
            'default_hooks.checkpoint.interval=400')
    checkpoint = tmp_path / 'work' / 'iter_400.pth'
    said = command('ddp_perception.cli', 'test', config, checkpoint, '--num-steps', 2,
                   '--show-dir', 'pictures', '--show-limit', 3, '--out', 'figures.json')
    assert '1 seed x 2 steps' in said
    error = json.loads((tmp_path / 'figures.json').read_text())['metrics']['flow/epe']
    assert error < 0.8 * mean
    assert len(list((tmp_path / 'pictures').glob('5*_0.png'))) == 3

    said = command('ddp_perception.cli', 'predict', config, checkpoint, root, '--limit',
                   2, '--num-steps', 2, '--out', 'out')
    assert '2 flow fields and pictures in out' in said
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        f'5001_00{index}_0.{kind}' for index in (0, 1) for kind in ('flo', 'png')]
    predicted = cv2.readOpticalFlow(str(tmp_path / 'out' / '5001_000_0.flo'))
    assert np.linalg.norm(predicted - flow, axis=-1).mean() < np.linalg.norm(
        flow, axis=-1).mean()
