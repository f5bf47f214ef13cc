import torch
from mmengine.structures import BaseDataElement

from ddp_perception.heads import BEVHead
from ddp_perception.registry import MODELS
from tests import golden
from tests.heads.test_map_seg_head import FEATS, SETTINGS, samples


def published_head(reference, loss='MultiLabelFocalLoss'):
    grid = reference.meta['grid']
    head = MODELS.build(dict(
        type='ddp.ConvMapHead', in_channels=reference.meta['in_channels'],
        classes=reference.meta['classes'], input_grid=grid['input_scope'],
        output_grid=grid['output_scope'], loss=dict(type=f'ddp.{loss}')))
    head.load_state_dict(reference.under('w/'))
    return head


def test_probabilities_equal_the_published_ones(reference_dir):
    reference = golden.load('bev_heads', reference_dir)
    head = published_head(reference).eval()
    with torch.no_grad():
        torch.testing.assert_close(head(reference['in/x']),
                                   reference['out/vanilla_probability_eval'],
                                   rtol=1e-5, atol=1e-6)


def test_losses_equal_the_published_ones(reference_dir):
    reference = golden.load('bev_heads', reference_dir)
    for loss, name in (('MultiLabelFocalLoss', 'focal'),
                       ('MultiLabelCrossEntropy', 'xent')):
        for mode, frozen in (('bn_frozen', True), ('batch_bn', False)):
            head = published_head(reference, loss).train(not frozen)
            feats = reference['in/x'].clone().requires_grad_()
            losses = head.objective(head.logits(feats), reference['in/target'])
            expected = {key.split('/')[0]: value for key, value in
                        reference.under(f'out/vanilla_train_{mode}/').items()
                        if key.endswith(f'/{name}')}
            assert len(expected) == 6
            for key, value in expected.items():
                torch.testing.assert_close(losses[f'loss_map_{key}'], value,
                                           rtol=1e-5, atol=1e-6)
            if frozen:
                sum(losses.values()).backward()
                torch.testing.assert_close(
                    feats.grad, reference[f'out/vanilla_train_bn_frozen/{name}_grad_x'],
                    rtol=1e-4, atol=1e-7)


def test_head_has_the_interface_of_the_diffusion_head():
    settings = {key: SETTINGS[key]
                for key in ('in_channels', 'classes', 'input_grid', 'output_grid')}
    head = MODELS.build(dict(type='ddp.ConvMapHead', hidden_channels=5, keep_steps=True,
                             **settings)).eval()
    batch = samples()
    losses = head.loss(FEATS, batch)
    assert len(losses) == 3 and all(loss > 0 for loss in losses.values())
    with torch.no_grad():
        maps = head.predict(FEATS, batch)
    assert maps[0].data.shape == (3, 12, 16)
    torch.testing.assert_close(batch[0].pred_map_seg_steps[0], maps[0].data)
    assert batch[0].decoder_passes == dict(seeds=1, steps=1, averaged=1)
    share = batch[0].pred_map_seg.data.double()
    entropy = -(share * share.log() + (1 - share) * (1 - share).log())
    torch.testing.assert_close(batch[0].pred_map_seg_uncertainty.data.double(),
                               entropy, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_plain_head_of_ones_own_needs_no_uncertainty():
    class Plain(BEVHead):
        truth_field, prediction_field = 'gt_height', 'pred_height'
        passes = dict(seeds=1, steps=1, averaged=1)

        def prediction_steps(self, feats):
            return [feats[:, None, :1]]

        def average(self, steps):
            return steps[0][:, 0]

    feats = torch.randn(2, 6, 5, 7)
    batch = [BaseDataElement(), BaseDataElement()]
    Plain(6, [[0, 5, 1], [0, 7, 1]]).predict(feats, batch)
    assert torch.equal(batch[1].pred_height.data, feats[1, :1])
    assert 'pred_height_uncertainty' not in batch[1]
