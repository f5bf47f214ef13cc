"""The camera configurations start from the official Swin-T of ImageNet-1k."""
import re
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from mmengine.config import Config

from ddp_perception.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'projects/nuscenes_map_seg/configs'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.py')
               if 'lidar' not in path.stem and 'demo' not in path.stem)


@pytest.mark.parametrize('name', NAMES)
def test_backbone_starts_from_imagenet(name):
    backbone = Config.fromfile(CONFIGS / f'{name}.py').model.img_backbone
    assert backbone.convert_weights and backbone.init_cfg.type == 'Pretrained'
    assert backbone.init_cfg.checkpoint == (
        'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
        'swin_tiny_patch4_window7_224.pth')


def test_a_file_of_the_official_format_gives_timms_features(tmp_path):
    torch.manual_seed(0)
    sizes = dict(embed_dim=24, num_heads=(1, 2, 3, 4))
    # Whole windows, and more than one of them, at every level: the two pad otherwise.
    image_size = (448, 672)
    swin = timm.create_model('swin_tiny_patch4_window7_224', features_only=True,
                             out_indices=(1, 2, 3), img_size=image_size, **sizes)
    for parameter in swin.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    # timm begins a stage with what the official code ends the one before with.
    official = {re.sub(r'^layers_(\d)\.downsample', lambda found:
                       f'layers.{int(found[1]) - 1}.downsample', name
                       ).replace('layers_', 'layers.'): value
                for name, value in swin.state_dict().items()}
    torch.save({'model': {**official, 'head.weight': torch.zeros(1000, 192)}},
               tmp_path / 'swin.pth')
    cfg = Config.fromfile(CONFIGS / 'ddp_cam_3step_8xb4-20e_nus-map.py')
    cfg.merge_from_dict({
        'model.img_backbone.embed_dims': sizes['embed_dim'],
        'model.img_backbone.num_heads': list(sizes['num_heads']),
        'model.img_backbone.init_cfg.checkpoint': str(tmp_path / 'swin.pth')})
    backbone = MODELS.build(cfg.model.img_backbone)
    backbone.eval()
    images = torch.randn(2, 3, *image_size)
    with torch.no_grad():
        random = backbone(images)
        backbone.init_weights()
        ours, theirs = backbone(images), swin.eval()(images)
    for level, untrained, expected in zip(ours, random, theirs, strict=True):
        expected = F.layer_norm(expected, expected.shape[-1:]).permute(0, 3, 1, 2)
        torch.testing.assert_close(level, expected, rtol=1e-3, atol=1e-3)
        assert (untrained - expected).abs().mean() > 0.1
