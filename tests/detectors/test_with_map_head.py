"""A map head on mmdet3d's detectors: shared features, losses, predictions."""
import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModule
from mmengine.runner import load_state_dict
from torch import nn

from ddp_perception.registry import MODELS
from tests.detectors.reduced import FAMILIES, NATIVE, batch, build, settings

PILLAR = FAMILIES[0]


@pytest.fixture(scope='module')
def models():
    """One small model per family, in evaluation mode. Train copies alone."""
    return {family: build(family).eval() for family in FAMILIES}


def loss_sum(losses):
    return sum(sum(value) if isinstance(value, list) else value
               for name, value in losses.items() if 'loss' in name)


def same(one, other):
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other)


def boxes(samples):
    return [(s.pred_instances_3d.bboxes_3d.tensor, s.pred_instances_3d.scores_3d,
             s.pred_instances_3d.labels_3d) for s in samples]


@pytest.mark.parametrize('family', FAMILIES)
@torch.no_grad()
def test_boxes_equal_those_of_the_bare_detector_to_the_bit(models, family):
    model = models[family]
    inputs, samples = batch(model)
    bare = boxes(model.detector.predict(inputs, copy.deepcopy(samples)))
    predicted = model.predict(inputs, copy.deepcopy(samples))
    assert same(boxes(predicted), bare)
    assert all(len(scores) for _, scores, _ in bare)
    for sample in predicted:
        probabilities = sample.pred_map_seg.data
        assert probabilities.shape == (6, 40, 28)
        assert 0 <= probabilities.min() <= probabilities.max() <= 1


@pytest.mark.parametrize('family', FAMILIES)
def test_losses_of_the_detector_do_not_change_and_map_losses_join_them(models, family):
    model = copy.deepcopy(models[family]).train()
    bare = copy.deepcopy(model.detector)
    inputs, samples = batch(model)
    torch.manual_seed(1)
    expected = bare.loss(inputs, copy.deepcopy(samples))
    torch.manual_seed(1)
    losses = model.loss(inputs, copy.deepcopy(samples))
    assert all(same(losses[name], expected[name]) for name in expected)
    added = set(losses) - set(expected)
    assert added == {f'map.loss_map_{name}' for name in model.seg_head.classes}
    loss_sum(losses).backward()
    for part in (model.seg_head, model.detector.pts_neck):
        assert all(p.grad is not None and p.grad.isfinite().all()
                   for p in part.parameters() if p.requires_grad)


@pytest.mark.parametrize('family', FAMILIES)
def test_neck_runs_once_per_batch(models, family):
    model = copy.deepcopy(models[family]).train()
    calls = []
    model.detector.pts_neck.register_forward_hook(lambda *args: calls.append(1))
    inputs, samples = batch(model, count=1)
    model.loss(inputs, samples)
    assert len(calls) == 1
    with torch.no_grad():
        model.eval().predict(inputs, samples)
    assert len(calls) == 2
    assert len(model.detector.pts_neck._forward_hooks) == 1  # none of ours stays


@pytest.mark.parametrize('family', FAMILIES)
@torch.no_grad()
def test_features_respond_where_the_derived_grid_says(models, family):
    """A heap of points changes the features at its own place in metres."""
    model = models[family]
    inputs, samples = batch(model, count=1)
    width = 4 if 'pointpillars' in family else 5
    draw = torch.Generator().manual_seed(0)
    for place in ((31., 18.), (-27., -22.), (30., -20.)):
        cloud = torch.randn(400, width, generator=draw)
        cloud[:, :2] = cloud[:, :2] * .8 + torch.tensor(place)
        far = torch.full((1, width), -34.)  # never an empty cloud
        far[:, 2] = -1
        maps = []
        for points in (torch.cat([cloud, far]), far):
            data = model.data_preprocessor(
                dict(inputs=dict(points=[points]), data_samples=samples))
            maps.append(model.extract_feat(data['inputs'], [{}]))
        difference = model.seg_head.bev_features((maps[0] - maps[1]) ** 2)[0].sum(0)
        grid = model.seg_head.input_grid
        centre = [float((difference.sum(1 - axis) * centres).sum() / difference.sum())
                  for axis, centres in enumerate(grid.centres())]
        # Within two cells: strided convolutions look a little to one side.
        assert abs(centre[0] - place[0]) < 2 * grid.xbound[2], (centre, place)
        assert abs(centre[1] - place[1]) < 2 * grid.ybound[2], (centre, place)


@pytest.mark.parametrize('family', FAMILIES)
def test_frozen_detector_keeps_every_tensor(models, family):
    cfg = settings(family)
    model = MODELS.build({**cfg.model, 'freeze': 'detector'})
    model.load_state_dict(models[family].state_dict())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=.1)
    for step in range(2):
        model.train()
        losses = model.loss(*batch(model, step))
        assert all(name.startswith('map.') for name in losses)
        optimizer.zero_grad()
        loss_sum(losses).backward()
        optimizer.step()
    assert not any(module.training for module in model.detector.modules())
    assert model.seg_head.training
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith('seg_head.') for name in changed)


def test_frozen_map_head_leaves_the_detector_to_train(models):
    model = MODELS.build({**settings(PILLAR).model, 'freeze': 'map'}).train()
    head = copy.deepcopy(model.seg_head.state_dict())
    losses = model.loss(*batch(model))
    assert losses and not any(name.startswith('map.') for name in losses)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=.1)
    loss_sum(losses).backward()
    optimizer.step()
    assert all(torch.equal(head[name], value)
               for name, value in model.seg_head.state_dict().items())
    assert 'pred_map_seg' in model.eval().predict(*batch(model, count=1))[0]


def test_loss_weights_scale_each_side(models):
    plain = copy.deepcopy(models['pointpillars-secfpn']).train()
    weighted = copy.deepcopy(plain)
    weighted.detector_weight = .25
    weighted.seg_head.map_loss.loss_weight = 3.
    found = []
    for model in (plain, weighted):
        torch.manual_seed(3)
        found.append(model.loss(*batch(model)))
    for name, value in found[0].items():
        factor = 3 if name.startswith('map.') else .25
        torch.testing.assert_close(found[1][name], [item * factor for item in value]
                                   if isinstance(value, list) else value * factor)


@pytest.mark.parametrize('load', [load_state_dict, lambda model, state:
                                  model.load_state_dict(state, strict=False)])
@pytest.mark.parametrize('family', ['centerpoint-pillar', 'centerpoint-voxel'])
def test_checkpoint_of_the_bare_detector_loads(models, family, load):
    source = copy.deepcopy(models[family])
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(1.)
    target = copy.deepcopy(models[family])
    head = copy.deepcopy(target.seg_head.state_dict())
    load(target, source.detector.state_dict())
    for name, value in source.detector.state_dict().items():
        assert torch.equal(target.detector.state_dict()[name], value), name
    assert all(torch.equal(head[name], value)
               for name, value in target.seg_head.state_dict().items())
    # And its own checkpoint loads completely.
    target.load_state_dict(source.state_dict())
    assert torch.equal(next(iter(target.seg_head.state_dict().values())),
                       next(iter(source.seg_head.state_dict().values())))


def test_what_a_bare_checkpoint_fills_is_reported(models, monkeypatch):
    said = []
    monkeypatch.setattr('ddp_perception.detectors.with_map_head.print_log',
                        lambda text, logger=None: said.append(text))
    model = copy.deepcopy(models[PILLAR])
    state = model.detector.state_dict()
    dropped = next(iter(state))
    del state[dropped]
    load_state_dict(model, state)
    total = len(model.seg_head.state_dict())
    assert (f'detector {len(state)} of {len(state) + 1}, seg_head 0 of {total}'
            in said[0])
    said.clear()
    model.load_state_dict(model.state_dict())
    assert said == []


def test_levels_are_chosen_or_merged():
    cfg = settings('pointpillars-fpn').model
    for levels, channels, cells in ((0, 16, (64, 48)), (1, 16, (32, 24)),
                                    ('merge', 48, (64, 48)), ([1, 2], 32, (32, 24))):
        model = MODELS.build({**cfg, 'levels': levels}).eval()
        assert model.seg_head.in_channels == channels
        assert model.seg_head.input_grid.shape == cells
        inputs, samples = batch(model, count=1)
        with torch.no_grad():
            feats = model.extract_feat(inputs, [s.metainfo for s in samples])
        assert feats.shape == (1, channels, *cells[::-1])
    with pytest.raises(ValueError, match=r"returns 3 levels \(0: 16 channels.*levels=0"
                                         r".*levels='merge'"):
        MODELS.build({key: value for key, value in cfg.items() if key != 'levels'})
    for wrong in (3, [0, 3], [], 'all', [-1]):
        with pytest.raises(ValueError, match="levels must be 'merge', or indices of"):
            MODELS.build({**cfg, 'levels': wrong})


WRONG = [
    (dict(input_grid=((-51.2, 51.2, .8), (-51.2, 51.2, .8))), 'seg_head.input_grid'),
    (dict(input_grid=((-38.4, 38.4, 3.2), (-51.2, 51.2, 3.2))), 'input_grid is'),
    (dict(bev_axes='xy'), 'seg_head.bev_axes is xy.*returns yx'),
    (dict(in_channels=64), 'seg_head.in_channels is 64.*returns 48')]


@pytest.mark.parametrize('given, message', WRONG)
def test_wrong_grid_is_an_error_and_no_shifted_map(given, message):
    model = settings(PILLAR).model
    model.seg_head.update(given)
    with pytest.raises(ValueError, match=message):
        MODELS.build(model)


def test_right_grid_may_be_given():
    model = settings(PILLAR).model
    model.seg_head.update(bev_axes='yx', in_channels=48, input_grid=(
        (-51.2, 51.2, 3.2), (-38.4, 38.4, 3.2)))
    assert MODELS.build(model).seg_head.input_grid.shape == (32, 24)


@pytest.mark.parametrize('part, changes, message', [
    ('pts_middle_encoder', dict(output_shape=(128, 96)), 'output_shape.*voxel_size'),
    ('pts_middle_encoder', dict(output_shape=(512, 512)), 'output_shape.*voxel_size')])
def test_contradicting_settings_of_the_detector_are_named(part, changes, message):
    model = settings(PILLAR).model
    model.detector[part].update(changes)
    with pytest.raises(ValueError, match=message):
        MODELS.build(model)


def test_sparse_shape_that_does_not_fit_the_voxels_is_named():
    model = settings('centerpoint-voxel').model
    model.detector.pts_middle_encoder.sparse_shape = [41, 256, 256]
    with pytest.raises(ValueError, match='sparse_shape.*voxel_layer'):
        MODELS.build(model)


def test_range_of_broken_voxels_is_named():
    model = settings(PILLAR).model
    model.detector.data_preprocessor.voxel_layer.voxel_size = [.7, .8, 8.]
    with pytest.raises(ValueError, match='voxel_size.*whole number'):
        MODELS.build(model)


@MODELS.register_module(force=True)
class VectorNeck(BaseModule):
    """What a neck of another world might return: one vector per sample."""

    def __init__(self, as_dict=False):
        super().__init__()
        self.as_dict = as_dict

    def forward(self, maps):
        vector = maps[0].flatten(2).mean(2)
        return {'bev': maps[0]} if self.as_dict else vector


@pytest.mark.parametrize('as_dict', [False, True])
def test_neck_without_bev_map_is_named(as_dict):
    model = settings(PILLAR).model
    model.detector.pts_neck = ConfigDict(type='ddp.VectorNeck', as_dict=as_dict)
    with pytest.raises(ValueError, match=r'detector.pts_neck must return BEV maps.*fea'
                                         r'ture=.*in_channels, input_grid, bev_axes'):
        MODELS.build(model)
    # Where the user insists on a grid, the first batch says so.
    model.seg_head.update(in_channels=16, bev_axes='yx', input_grid=(
        (-51.2, 51.2, 3.2), (-38.4, 38.4, 3.2)))
    built = MODELS.build(model)
    with pytest.raises(ValueError, match=r'detector.pts_neck must return BEV maps'):
        inputs, samples = batch(built, count=1)
        built.extract_feat(inputs, [s.metainfo for s in samples])


def test_part_of_any_depth_can_be_tapped_with_a_given_grid():
    model = settings(PILLAR).model
    model.feature = 'pts_neck.deblocks.1'
    with pytest.raises(ValueError, match='could not be derived.*in_channels'):
        MODELS.build(model)
    model.seg_head.update(in_channels=16, bev_axes='yx', input_grid=(
        (-51.2, 51.2, 3.2), (-38.4, 38.4, 3.2)))
    built = MODELS.build(model)
    assert set(built.loss(*batch(built))) >= {'map.loss_map_divider'}
    model.feature = 'pts_neck.heads'
    with pytest.raises(ValueError, match="'pts_neck.heads' is no part of CenterPoint"):
        MODELS.build(model)


def test_unknown_options_missing_truth_and_augmented_frames_are_named(models):
    with pytest.raises(ValueError, match="freeze must be.*'neck'"):
        build(PILLAR, freeze='neck')
    with pytest.raises(ValueError, match=r"train_cfg is that of .*got \{'pts': 1\}"):
        build(PILLAR, train_cfg=dict(pts=1))
    model = models[PILLAR]
    inputs, samples = batch(model)
    with pytest.raises(ValueError, match='augmented copies.*flip=False'):
        model([inputs], [samples[:1]], mode='predict')
    copies = [dict(inputs={'points': [points]}, data_samples=[sample])
              for points, sample in zip(inputs['points'], samples, strict=True)]
    with pytest.raises(ValueError, match='2 augmented copies.*flip=False'):
        model.test_step(copies)  # as MultiScaleFlipAug3D and the loader make it
    del samples[1].gt_map_seg
    with pytest.raises(ValueError, match='gt_map_seg is missing.*LoadMapMasks'):
        model.loss(inputs, samples)


def test_colliding_loss_names_are_refused(models, monkeypatch):
    model = copy.deepcopy(models[PILLAR])
    monkeypatch.setattr(model.detector, 'loss', lambda inputs, samples: (
        model.detector.extract_feat(inputs, []) and
        {'map.loss_map_divider': torch.zeros(())}))
    with pytest.raises(ValueError, match='map.loss_map_divider of its own'):
        model.loss(*batch(model))


def test_tensor_mode_gives_features_and_maps(models):
    model = models[PILLAR]
    inputs, samples = batch(model)
    with torch.no_grad():
        outputs = model(inputs, samples, mode='tensor')
    assert outputs['feats'].shape == (2, 48, 24, 32)
    assert outputs['map'].shape == (2, 6, 40, 28)


def test_signatures_of_parts_are_read_when_a_model_is_built_and_not_later(
        models, monkeypatch):
    wrapped, native = models[PILLAR], build(NATIVE).eval()

    def refuse(method):
        raise AssertionError(f'the signature of {method} is read again')

    for module in ('bevfusion.detector', 'detectors.with_map_head'):
        monkeypatch.setattr(f'ddp_perception.{module}.signature', refuse)
    with torch.no_grad():
        inputs, samples = batch(wrapped)
        assert wrapped(inputs, samples, mode='tensor')['map'].shape == (2, 6, 40, 28)
        inputs, samples = batch(native)
        assert len(native.predict(inputs, samples)[0].pred_instances_3d)
        assert 'boxes' in native(inputs, samples, mode='tensor')


def test_native_bevfusion_trains_and_predicts_both():
    model = build(NATIVE).train()
    inputs, samples = batch(model)
    calls = []
    model.pts_neck.register_forward_hook(lambda *args: calls.append(1))
    losses = model.loss(inputs, samples)
    loss_sum(losses).backward()
    assert len(calls) == 1
    assert {name.split('.')[0] for name in losses} >= {'task0', 'task5', 'map'}
    for head in (model.bbox_head, model.seg_head):
        assert all(p.grad is not None for p in head.parameters() if p.requires_grad)
    with torch.no_grad():
        predicted = model.eval().predict(inputs, samples)
    assert all(len(s.pred_instances_3d) and s.pred_map_seg.data.shape == (6, 40, 28)
               for s in predicted)
    assert model(inputs, samples, mode='tensor')['map'].shape == (2, 6, 40, 28)


def test_native_bevfusion_gives_equal_boxes_as_the_detector_of_its_parts(models):
    """Same weights, same maps but for their axes: CenterPoint's own boxes."""
    model, reference = build(NATIVE).eval(), models['centerpoint-voxel'].detector
    state = reference.state_dict()
    for name in [name for name in state if name.startswith('pts_bbox_head')]:
        state[name.removeprefix('pts_')] = state.pop(name)
    model.load_state_dict(state, strict=False)
    inputs, samples = batch(reference, count=1)
    native_inputs, native_samples = batch(model, count=1)
    with torch.no_grad():
        expected = boxes(reference.predict(inputs, samples))
        # Its backbone sees the transposed map: transpose the kernels as well.
        for module in (*model.pts_backbone.modules(), *model.pts_neck.modules()):
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                module.weight.copy_(module.weight.mT.clone())
        found = boxes(model.predict(native_inputs, native_samples))
    for one, other in zip(expected[0], found[0], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_native_bevfusion_names_a_wrong_grid():
    cfg = settings(NATIVE).model
    cfg.seg_head.input_grid = ((-50., 50., 3.125), (-38.4, 38.4, 3.2))
    with pytest.raises(ValueError, match='input_grid is.*pts_neck.*which is derived'):
        MODELS.build(cfg)
    cfg = settings(NATIVE).model
    cfg.seg_head.bev_axes = 'yx'
    with pytest.raises(ValueError, match='seg_head.bev_axes is yx.*returns xy'):
        MODELS.build(cfg)
    cfg = settings(NATIVE).model
    cfg.bbox_axes = 'zy'
    with pytest.raises(ValueError, match="bbox_axes must be.*'zy'"):
        MODELS.build(cfg)


def test_native_bevfusion_reports_what_a_detection_checkpoint_fills(monkeypatch):
    said = []
    monkeypatch.setattr('ddp_perception.bevfusion.detector.print_log',
                        lambda text, logger=None: said.append(text))
    model = build(NATIVE)
    state = {name: value for name, value in model.state_dict().items()
             if not name.startswith('seg_head.')}
    load_state_dict(model, state)
    box, seg = (len(part.state_dict()) for part in (model.bbox_head, model.seg_head))
    assert f'bbox_head {box} of {box}, seg_head 0 of {seg} tensors' in said[0]
    said.clear()
    model.load_state_dict(model.state_dict())
    assert said == []
