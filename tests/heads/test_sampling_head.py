"""A head that is trained on pairs of draws gives samples, not their mean."""
import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData

from ddp_perception.heads import DepthHead, MapSegHead, SegHead

GRID = ((0., 3., 1.), (0., 3., 1.))
DECODER = dict(channels=16, num_layers=2, num_heads=2, num_points=2)


def _trained(loss, recipe):
    """Learn, from features that say nothing, that all is road or nothing is."""
    torch.manual_seed(0)
    head = MapSegHead(4, ['road'], GRID, GRID, loss=loss, decoder=DECODER,
                      diffusion=dict(scale=1., noise='pink', recipe=recipe),
                      sampler=dict(num_steps=2, num_seeds=32))
    optimizer = torch.optim.Adam(head.parameters())
    feats = torch.ones(16, 4, 3, 3)
    for step in range(100):
        optimizer.param_groups[0]['lr'] = 5e-3 * (1 - step / 100)
        samples = [_sample('gt_map_seg', torch.full((1, 3, 3), float(place < 8)))
                   for place in torch.randperm(len(feats))]
        loss = sum(head.loss(feats, samples).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return head.prediction_steps(feats[:1])[-1][0, :, 0].sigmoid()


def test_samples_decide_where_a_loss_of_cells_gives_the_mean():
    samples = _trained(dict(type='ddp.EnergyScore', patches=(3, )), 'samples')
    assert ((samples - 0.5).abs() > 0.3).float().mean() > 0.8
    assert 0.2 < samples.mean() < 0.8
    assert samples.std(0).min() > 0.2  # every cell, one way or the other
    of_cells = _trained(dict(type='ddp.MultiLabelCrossEntropy'), 'unrolled')
    assert ((of_cells - 0.5).abs() < 0.3).float().mean() > 0.9


def _sample(field, data):
    sample = BaseDataElement(metainfo=dict(img_shape=(16, 16)))
    sample.set_field(PixelData(data=data), field)
    return sample


@pytest.mark.parametrize('kind, field, truth, settings', [
    (SegHead, 'gt_sem_seg', torch.randint(0, 3, (1, 16, 16)), dict(num_classes=3)),
    (DepthHead, 'gt_depth_map', 1 + 70 * torch.rand(1, 16, 16),
     dict(min_depth=1e-3, max_depth=80.))])
def test_classes_and_depth_learn_from_pairs_too(kind, field, truth, settings):
    torch.manual_seed(0)
    outcome = 'classes' if kind is SegHead else 'depth'
    head = kind(4, **settings, decoder=DECODER, sampler=dict(num_steps=2),
                diffusion=dict(scale=1., recipe='samples'),
                loss_decode=dict(type='ddp.EnergyScore', outcome=outcome))
    head.init_weights()
    optimizer = torch.optim.Adam(head.parameters(), 5e-3)
    feats, samples = [torch.randn(1, 4, 4, 4)], [_sample(field, truth)]
    losses = []
    for _ in range(40):
        loss = head.loss(feats, samples)['loss_energy']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
