import pytest
import timm
import torch
from torch import nn

from ddp_perception.backbones import TimmBackbone

TINY_SWIN = dict(embed_dim=12, depths=(1, 1, 1, 1), num_heads=(1, 2, 3, 4))
MODELS = {
    'test_resnet': dict(),
    'test_convnext': dict(),
    'swin_tiny_patch4_window7_224': dict(img_size=(64, 96),
                                         model_options=TINY_SWIN),
}


@pytest.mark.parametrize('name', MODELS)
def test_levels_are_nchw_with_the_announced_channels_and_strides(name):
    backbone = TimmBackbone(name, **MODELS[name]).eval()
    levels = backbone(torch.randn(2, 3, 64, 96))
    assert [tuple(x.shape) for x in levels] == [
        (2, channels, 64 // stride, 96 // stride) for channels, stride in
        zip(backbone.out_channels, backbone.strides)]
    assert len(levels) == 3


@pytest.mark.parametrize('name', MODELS)
def test_every_parameter_learns(name):
    backbone = TimmBackbone(name, **MODELS[name])
    sum(x.square().sum() for x in backbone(torch.randn(2, 3, 64, 96))).backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_swin_takes_another_size_than_it_was_built_for():
    backbone = TimmBackbone('swin_tiny_patch4_window7_224', img_size=(64, 96),
                            model_options=TINY_SWIN).eval()
    levels = backbone(torch.randn(1, 3, 96, 64))
    assert tuple(levels[0].shape) == (1, 24, 12, 8)


def test_features_equal_timms_own():
    torch.manual_seed(0)
    backbone = TimmBackbone('swin_tiny_patch4_window7_224', img_size=(64, 96),
                            out_indices=(0, 2), model_options=TINY_SWIN).eval()
    image = torch.randn(2, 3, 64, 96)
    for ours, theirs in zip(backbone(image), backbone.model(image)):
        assert torch.equal(ours, theirs.movedim(-1, 1))


@pytest.mark.parametrize('name', MODELS)
def test_frozen_levels_do_not_learn_and_stay_in_evaluation_mode(name):
    backbone = TimmBackbone(name, frozen_stages=2, **MODELS[name]).train()
    frozen = {n for n, p in backbone.named_parameters() if not p.requires_grad}
    learned = {n for n, p in backbone.named_parameters() if p.requires_grad}
    assert frozen and learned
    sum(x.sum() for x in backbone(torch.randn(2, 3, 64, 96))).backward()
    assert all((p.grad is None) == (n in frozen)
               for n, p in backbone.named_parameters())
    # The second level must not depend on anything that still learns.
    probe = TimmBackbone(name, out_indices=(1,), frozen_stages=2, **MODELS[name])
    assert not probe(torch.randn(1, 3, 64, 96))[0].requires_grad
    modes = [m.training for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert name != 'test_resnet' or {True, False} == set(modes)


def test_norm_eval_keeps_batch_norms_in_evaluation_mode():
    backbone = TimmBackbone('test_resnet', norm_eval=True).train()
    assert backbone.training
    assert not any(m.training for m in backbone.modules()
                   if isinstance(m, nn.BatchNorm2d))


def test_drop_path_reaches_the_model():
    def rates(backbone):
        return [m.drop_prob for m in backbone.modules()
                if type(m).__name__ == 'DropPath']

    backbone = TimmBackbone('test_convnext', drop_path_rate=0.4)
    assert max(rates(backbone)) == pytest.approx(0.4)


def test_pretrained_weights_are_asked_of_timm_before_a_training(monkeypatch):
    asked = []
    create = timm.create_model

    def fake(model_name, pretrained, **options):
        asked.append((model_name, pretrained))
        model = create(model_name, pretrained=False, **options)
        if pretrained:
            for parameter in model.parameters():
                torch.nn.init.constant_(parameter, 0.125)
        return model

    monkeypatch.setattr(timm, 'create_model', fake)
    backbone = TimmBackbone('test_resnet.r160_in1k', pretrained=True)
    assert asked == [('test_resnet.r160_in1k', False)]
    backbone.init_weights()
    assert asked[1:] == [('test_resnet.r160_in1k', True)]
    assert all((value == 0.125).all() for value in backbone.model.parameters())
    TimmBackbone('test_resnet').init_weights()
    assert len(asked) == 3


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="no model 'resnet17'; similar ones"):
        TimmBackbone('resnet17')
    with pytest.raises(ValueError, match=r'\(0, 9\) ask for levels'):
        TimmBackbone('test_resnet', out_indices=(0, 9))
    with pytest.raises(ValueError, match='cannot freeze 7'):
        TimmBackbone('test_resnet', frozen_stages=7)


@pytest.mark.parametrize('name', MODELS)
def test_output_norms_centre_and_scale_every_pixel_of_every_level(name):
    torch.manual_seed(0)
    backbone = TimmBackbone(name, out_indices=(0, 2), out_norms=True,
                            **MODELS[name]).eval()
    names = {key.split('.')[0] for key in backbone.state_dict()}
    assert names == {'model', 'norm0', 'norm2'}
    for level in backbone(torch.randn(2, 3, 64, 96)):
        assert level.mean(1).abs().max() < 1e-5
        torch.testing.assert_close(level.var(1, unbiased=False),
                                   torch.ones_like(level[:, 0]), rtol=0, atol=0.05)


def test_downsample_eps_is_set_in_convnext_alone():
    backbone = TimmBackbone('test_convnext', downsample_eps=1e-3)
    eps = {name: module.eps for name, module in backbone.named_modules()
           if hasattr(module, 'eps')}
    assert {name.split('.')[-2] for name, value in eps.items()
            if value == 1e-3} == {'downsample'}
    assert sum(value == 1e-3 for value in eps.values()) == 3
    with pytest.raises(ValueError, match='test_resnet.*no norm'):
        TimmBackbone('test_resnet', downsample_eps=1e-5)
