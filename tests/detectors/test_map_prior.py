"""A map from a prior map: grids that are derived, training, prediction."""
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from ddp_perception.datasets import DrivableMapDataset
from ddp_perception.datasets.transforms import PackMapPrior
from ddp_perception.evaluation.map_iou import count_map, map_iou
from ddp_perception.registry import MODELS
from tests.datasets.tiny_drivable import write_cities

SMALL = dict(type='ddp.BEVUNet', in_channels=3, out_channels=16,
             blocks=((1, 8, 4), (1, 16, 2)))
HEADS = {
    'diffusion': dict(type='ddp.MapSegHead', classes=['drivable_area'],
                      decoder_grid=((-50., 50., 2.), (-50., 50., 2.)),
                      decoder=dict(channels=16, num_layers=1, num_heads=2)),
    'convolutional': dict(type='ddp.ConvMapHead', classes=['drivable_area'],
                          hidden_channels=8)}
OBLONG = ((-20., 20., 0.5), (-30., 30., 0.5))  # 80 x 120 cells


def build(head='diffusion', **changes):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    return MODELS.build(dict(type='ddp.MapPriorSegmentor', encoder=SMALL,
                             seg_head=HEADS[head], **changes))


@pytest.mark.parametrize('head', HEADS)
def test_the_heads_grid_follows_from_the_prior_and_the_encoder(head):
    seg_head = build(head).seg_head
    assert seg_head.in_channels == 16 and seg_head.bev_axes == 'xy'
    assert seg_head.input_grid.shape == (50, 50)
    assert tuple(seg_head.input_grid.xbound) == (-50, 50, 2)
    oblong = build(head, prior_grid=OBLONG).seg_head
    assert oblong.input_grid.shape == (20, 30)
    assert tuple(oblong.input_grid.ybound) == (-30, 30, 2)


def test_options_that_contradict_the_prior_are_refused():
    head = dict(HEADS['convolutional'], input_grid=((-51.2, 51.2, 2.048), ) * 2)
    with pytest.raises(ValueError, match=r'seg_head\.input_grid is .*encoder'):
        MODELS.build(dict(type='ddp.MapPriorSegmentor', encoder=SMALL, seg_head=head))
    with pytest.raises(ValueError, match=r'\(80, 120\) cells of prior_grid, got '
                       r'\(2, 3, 120, 80\)'):
        build(prior_grid=OBLONG).extract_feat(torch.rand(2, 3, 120, 80))
    with pytest.raises(ValueError, match="'predict' needs data_samples"):
        build()(torch.rand(1, 3, 200, 200), mode='predict')
    with pytest.raises(ValueError, match="must be 'loss', .*got 'train'"):
        build()(torch.rand(1, 3, 200, 200), [], mode='train')


@torch.no_grad()
@pytest.mark.parametrize('head', HEADS)
def test_items_of_a_batch_stay_apart_and_get_their_prediction(head, tmp_path):
    write_cities(tmp_path, here=2)
    dataset = DrivableMapDataset(tmp_path, ['here'], [PackMapPrior()])
    model = build(head).eval()
    together = model.test_step(pseudo_collate([dataset[0], dataset[1]]))
    alone, = model.test_step(pseudo_collate([dataset[1]]))
    assert together[1].pred_map_seg.data.shape == (1, 200, 200)
    assert together[1].token == 'here1'
    torch.testing.assert_close(together[1].pred_map_seg.data, alone.pred_map_seg.data,
                               rtol=1e-4, atol=1e-5)
    assert torch.equal(alone.map_prior.data, dataset[1]['inputs'].float())
    outputs = model(dataset[1]['inputs'][None].float())
    assert outputs['feats'].shape == (1, 16, 50, 50)
    torch.testing.assert_close(outputs['map'][0], alone.pred_map_seg.data, rtol=1e-4,
                               atol=1e-5)


@pytest.mark.parametrize('head', HEADS)
def test_training_finds_roads_beside_their_sketch(head, tmp_path):
    """Lines up to 5 m off the middle of roads of 8 m, on another set of roads."""
    write_cities(tmp_path, seen=48, unseen=8)
    seen, unseen = (DrivableMapDataset(tmp_path, [city], [PackMapPrior()])
                    for city in ('seen', 'unseen'))
    model = build(head)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for step in range(60):
        batch = model.data_preprocessor(pseudo_collate(
            [seen[(4 * step + item) % 48] for item in range(4)]), training=True)
        loss = sum(model(**batch, mode='loss').values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    with torch.no_grad():
        samples = model.eval().test_step(pseudo_collate([unseen[i] for i in range(8)]))
    learnt = best_iou([sample.pred_map_seg.data for sample in samples], unseen)
    share = torch.stack([packed['data_samples'].gt_map_seg.data.float()
                         for packed in seen]).mean(0)
    constant = best_iou([share / share.max()] * 8, unseen)
    assert learnt > 2 * constant


def best_iou(maps, dataset):
    """IoU at the best threshold of the metric."""
    counts = sum(count_map(found, packed['data_samples'].gt_map_seg.data)
                 for found, packed in zip(maps, dataset))
    return map_iou(counts, ['drivable_area'])['map/mean/iou@max']
