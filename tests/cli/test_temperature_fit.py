"""Fitting a head's temperature, whatever the head averages."""
import math

import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData
from torch.utils.data import DataLoader

from ddp_perception.cli import temperature_fit
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.temperature_fit import calibrate_head, calibrated_head
from ddp_perception.diffusion import Presences
from ddp_perception.evaluation import fit_temperature
from ddp_perception.heads import calibrated
from tests.heads import test_depth_head, test_map_seg_head, test_seg_head

COUNT = 4


class Around(torch.nn.Module):
    """A head, and samples whose truth a temperature makes as likely as it says."""

    def __init__(self, head, feats, truth, offsets=None):
        super().__init__()
        self.head = head
        with torch.no_grad():
            scores = self.scores(feats)
            logits = not head.averages_probabilities
            values = calibrated(scores, truth, head.outcome, offsets=offsets,
                                logits=logits)
        self.truth = head.outcome.values(values) if logits else values
        values = self.truth
        generator = torch.Generator().manual_seed(1)
        if isinstance(head.outcome, Presences):
            drawn = (torch.rand(values.shape, generator=generator) < values).byte()
        else:
            rows = values.permute(0, 2, 3, 1).flatten(0, 2)
            drawn = torch.multinomial(rows, 1, generator=generator).reshape(
                len(feats), 1, *values.shape[2:])
        self.loader = DataLoader(list(zip(feats, drawn, strict=True)), batch_size=3)

    def scores(self, feats):
        return self.head(feats if isinstance(self.head.outcome, Presences) else [feats])

    def test_step(self, batch):
        return [BaseDataElement(**{
            self.head.prediction_field: PixelData(data=scores),
            self.head.truth_field: PixelData(data=truth)})
            for scores, truth in zip(self.scores(batch[0]), batch[1], strict=True)]


def features(*size):
    return torch.randn(COUNT, 6, *size, generator=torch.Generator().manual_seed(2))


def map_model(truth, offsets=None, **changes):
    wide = dict(input_grid=[[-40, 40, 2], [-30, 30, 2]],
                output_grid=[[-40, 40, 1], [-30, 30, 1]])
    head = test_map_seg_head.build(**wide, **changes)
    for parameter in head.diffusion.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return Around(head, features(40, 30), torch.tensor(truth), offsets)


def test_overlapping_classes_get_their_own():
    model = map_model([.4, 1., 2.5])
    model.head.calibration.assign(torch.tensor([9., 9., 9.]))  # of an earlier fit
    result = calibrate_head(model, model.head, model.loader, 10**6, progress=False)
    assert model.head.temperature.tolist() == pytest.approx([.4, 1., 2.5], rel=0.15)
    assert result.groups == tuple(test_map_seg_head.CLASSES)
    assert (result.samples, result.cells) == (COUNT, COUNT * 3 * 80 * 60)
    assert result.offsets is None
    # All cells were kept, so the fit's NLL is that of all of them.
    model.head.calibration.assign(torch.ones(3))
    logits = model.scores(features(40, 30)).logit(1e-7).transpose(0, 1).flatten(1)
    truth = torch.stack([truth for _, truth in model.loader.dataset])
    fits = [fit_temperature(torch.stack([torch.zeros_like(own), own]), mask.long())
            for own, mask in zip(logits, truth.transpose(0, 1).flatten(1), strict=True)]
    for name, measures in (('before', result.before), ('after', result.after)):
        assert [getattr(fit, name) for fit in fits] == pytest.approx(
            measures['nll'].tolist(), rel=1e-5)
    assert result.after['nll'].mean() < result.before['nll'].mean()
    assert not result.warnings()
    shown = [f'{temperature:.4f}' for temperature in result.temperatures]
    assert all(word in result.table() for word in (*result.groups, *shown, 'mean'))


@pytest.mark.parametrize('sampler', [dict(average='all', num_seeds=2), {}])
def test_mean_probabilities_and_logits_of_exclusive_classes(sampler):
    head = test_seg_head.build(sampler=sampler)
    model = Around(head, features(50, 60), torch.tensor([2.]))
    place, found = calibrated_head(model, 'config.py')
    assert (place, found) == ('head', head)
    result = calibrate_head(model, head, model.loader, 2500, progress=False)
    assert float(head.temperature) == pytest.approx(2., rel=0.1)
    assert result.groups == ('all', ) and result.cells == COUNT * 50 * 60
    assert result.after['ece'] < result.before['ece']


def test_offsets_of_overlapping_classes():
    model = map_model([.8, 1., 1.5], torch.tensor([-2., 0., 1.]))
    result = calibrate_head(model, model.head, model.loader, 10**6, progress=False,
                            offsets=True)
    calibration = model.head.calibration
    stated = model.scores(features(40, 30))  # as often as things are there
    torch.testing.assert_close(stated, model.truth, rtol=0, atol=0.02)
    assert result.offsets == pytest.approx(calibration.offsets.tolist())
    assert all(f'{value:.3f}' in result.table() for value in result.offsets)
    assert result.after['ece'].mean() < result.before['ece'].mean() / 5
    again = calibrate_head(model, model.head, model.loader, 10**6, progress=False)
    assert calibration.offsets is None and again.offsets is None


@pytest.mark.parametrize('sampler', [dict(average='all', num_seeds=2), {}])
def test_offsets_of_exclusive_classes(sampler):
    head = test_seg_head.build(sampler=sampler)
    truth = torch.linspace(0, 2, head.calibration.classes)
    model = Around(head, features(50, 60), torch.tensor([2.]), truth)
    result = calibrate_head(model, head, model.loader, 10**6, progress=False,
                            offsets=True)
    stated = model.scores(features(50, 60))
    if not head.averages_probabilities:
        stated = stated.softmax(1)
    torch.testing.assert_close(stated, model.truth, rtol=0, atol=0.02)
    assert result.after['nll'] < result.before['nll']


def test_a_head_of_unknown_classes_gets_no_offsets():
    model = map_model([1., 1., 1.])
    model.head.calibration.classes = None
    with pytest.raises(UserError, match='how many classes'):
        calibrate_head(model, model.head, model.loader, 500, False, offsets=True)


def test_scores_that_would_not_fit_into_memory_are_thinned(monkeypatch):
    kept = []
    monkeypatch.setattr(temperature_fit, 'LARGEST', 1200)
    own = temperature_fit.CellSubsample.add
    monkeypatch.setattr(temperature_fit.CellSubsample, 'add', lambda self, *cells: (
        own(self, *cells), kept.append(self.scores[-1].numel())))
    model = map_model([1., 1., 1.])
    calibrate_head(model, model.head, model.loader, 20000, progress=False)
    assert sum(kept) == 1200


def test_temperatures_at_the_end_of_the_range_are_told():
    model = map_model([1., 1., 1.])
    for _, truth in model.loader.dataset:
        truth.zero_()  # nothing is there, whatever was said
    model.head.diffusion.denoiser.predictor.bias.data.fill_(-30.)
    result = calibrate_head(model, model.head, model.loader, 500, progress=False)
    assert result.temperatures == (.01, ) * 3
    assert len(result.warnings()) == 3 and 'end of the range' in result.warnings()[0]
    assert all(math.isfinite(nll) for nll in result.after['nll'])


def test_depth_is_refused():
    model = torch.nn.Sequential(test_depth_head.build())
    with pytest.raises(UserError, match=r'config\.py cannot be.*Its heads: DepthHead'):
        calibrated_head(model, 'config.py')
