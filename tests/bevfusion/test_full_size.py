"""The published full-size models, part by part against their key lists."""
import json
import math

import pytest
import torch
from mmengine.config import Config

from ddp_perception.registry import MODELS
from tests.bevfusion import tiny

CONFIGS = {
    'camera': 'projects/nuscenes_map_seg/configs/ddp_cam_released_nus-map.py',
    'fusion': 'projects/nuscenes_map_seg/configs/ddp_fusion_released_nus-map.py',
}
PARTS = {
    'encoders.camera.backbone.': 'img_backbone.',
    'encoders.camera.neck.': 'img_neck.',
    'encoders.camera.vtransform.': 'view_transform.',
    'encoders.lidar.backbone.': 'pts_middle_encoder.',
    'fuser.': 'fusion_layer.',
    'decoder.backbone.': 'pts_backbone.',
    'decoder.neck.': 'pts_neck.',
}
GEOMETRY = ('.dx', '.bx', '.nx', '.frustum')


def published_shapes(folder, name):
    """Return shapes under mmdet3d's names, sparse weights in its layout."""
    keys = json.loads((folder / f'official_keys_bev_{name}.json').read_text())
    shapes = {}
    for key, shape in keys['state_dict'].items():
        for theirs, ours in PARTS.items():
            if key.startswith(theirs) and not key.endswith(GEOMETRY):
                if len(shape) == 5:
                    shape = [shape[-1], *shape[:-1]]
                shapes[ours + key[len(theirs):]] = tuple(shape)
    return shapes


def build(root, name):
    """Build a published model without its data preprocessor and map head."""
    config = Config.fromfile(root / CONFIGS[name]).model
    config.pop('seg_head')
    config.data_preprocessor.type = 'mmdet3d.Det3DDataPreprocessor'
    return MODELS.build(config)


@pytest.mark.parametrize('name', CONFIGS)
def test_full_size_parts_have_the_published_names_and_shapes(
        name, reference_dir, repository_dir):
    if name == 'fusion':
        pytest.importorskip('spconv', reason='spconv is not installed')
    model = build(repository_dir, name)
    ours = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert ours == published_shapes(reference_dir, name)
    assert sum(map(math.prod, ours.values())) > 30e6


@pytest.mark.slow
@pytest.mark.parametrize('name, channels', [('camera', 256), ('fusion', 512)])
def test_full_size_model_runs_at_batch_one(name, channels, repository_dir):
    if name == 'fusion':
        pytest.importorskip('spconv', reason='spconv is not installed')
    torch.manual_seed(0)
    model = build(repository_dir, name).eval()
    _, samples = tiny.batch(1)
    meta = dict(samples[0].metainfo)
    for key in ('cam2img', 'cam2lidar', 'img_aug_matrix'):
        meta[key] = meta[key].repeat(3, axis=0)  # six cameras of two
    cloud = torch.randn(30000, 5) * torch.tensor([15.0, 15.0, 1.0, 1.0, 1.0])
    with torch.no_grad():
        bev = model.extract_feat({'imgs': torch.randn(1, 6, 3, 256, 704),
                                  'points': [cloud]}, [meta])
    bev = bev if isinstance(bev, torch.Tensor) else bev[0]
    assert bev.shape == (1, channels, 128, 128) and bev.isfinite().all()
