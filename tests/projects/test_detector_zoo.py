"""mmdet3d's own nuScenes configurations with a map head: which of them take one."""
from pathlib import Path

import mmdet3d
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope

from ddp_perception.registry import MODELS
from tests.datasets.transforms.test_map_of_mmdet3d_pipelines import open_dataset
from tests.detectors import reduced

ZOO = Path(mmdet3d.__file__).parent / '.mim/configs'
FOLDERS = ('centerpoint', 'pointpillars', 'regnet', 'free_anchor', 'ssn')
MONOCULAR = ('fcos3d', 'pgd')
SMALL = dict(type='ddp.MapSegHead', decoder=dict(
    channels=32, num_layers=1, num_heads=4, feedforward_channels=32))
PAGE = (Path(__file__).resolve().parents[2]
        / 'projects/map_head_for_your_detector/README.md')


def zoo(*folders):
    return [path.relative_to(ZOO).as_posix() for folder in folders
            for path in sorted((ZOO / folder).glob('*nus-*.py'))]


def build(name, **options):
    init_default_scope('mmdet3d')
    return MODELS.build(dict(type='ddp.WithMapHead', seg_head=SMALL, **options,
                             detector=Config.fromfile(ZOO / name).model))


def assert_takes_a_map_head(name):
    """Compare what is derived with what follows from the file by hand."""
    several = '_fpn_' in name  # levels; SECOND's FPN merges its own
    model = build(name, **(dict(levels=0) if several else {}))
    region, voxel = (51.2, .2) if 'pillar02' in name else (
        51.2, .1) if 'voxel01' in name else (54., .075) if 'voxel0075' in name else (
        50., .25)
    stride = 4 if 'pillar02' in name else 8 if 'voxel0' in name else 2
    for bound in (model.seg_head.input_grid.xbound, model.seg_head.input_grid.ybound):
        assert bound == pytest.approx((-region, region, voxel * stride))
    assert model.seg_head.in_channels == (
        256 if several else 512 if 'voxel0' in name else 384)


@pytest.mark.parametrize('name', [
    'regnet/pointpillars_hv_regnet-400mf_secfpn_sbn-all_8xb4-2x_nus-3d.py',
    'free_anchor/pointpillars_hv_regnet-400mf_fpn_head-free-anchor_sbn-all_8xb4-2x_'
    'nus-3d.py'])
def test_a_backbone_whose_train_returns_nothing_takes_a_map_head(name):
    assert_takes_a_map_head(name)


@pytest.mark.slow
@pytest.mark.parametrize('name', zoo(*FOLDERS))
def test_every_configuration_with_voxels_or_pillars_takes_a_map_head(name):
    assert_takes_a_map_head(name)


@pytest.mark.parametrize('name', zoo(*MONOCULAR)[::3])
def test_monocular_detectors_are_refused_with_what_to_take_instead(name):
    with pytest.raises(ValueError, match="FCOSMono3D predicts from one camera's image "
                       '.* for cameras, ddp.BEVFusion with img_backbone and '
                       'view_transform'):
        build(name)


TTA = [name for name in zoo('centerpoint') if 'tta' in name]


@pytest.mark.parametrize('name', TTA)
def test_test_time_augmentation_is_refused_with_what_to_set(
        name, synthetic_root, synthetic_infos):
    """Frames of the file's own pipeline, on a small model of the same family."""
    assert len(TTA) == 3
    model = reduced.build('centerpoint-voxel').eval()
    cfg = Config.fromfile(ZOO / name)
    frames = open_dataset(synthetic_root, synthetic_infos, cfg.class_names)
    frame = {**frames.get_data_info(0), 'map_root': str(synthetic_root)}
    loading = [*cfg.test_pipeline[:-1], dict(type='ddp.LoadMapMasks')]
    copies = Compose([*loading, cfg.test_pipeline[-1]])(dict(frame))
    assert isinstance(copies, list) and len(copies) >= 4
    refusal = (f'{len(copies)} augmented copies of a frame .*set flip=False and one '
               'pts_scale_ratio')
    with pytest.raises(ValueError, match=refusal):
        model.test_step(pseudo_collate([copies]))
    with pytest.raises(ValueError, match=refusal):  # as the page has it, before that
        Compose([*loading, dict(type='ddp.PackMapInputs')])(dict(frame))


def test_page_lists_the_zoo():
    page = PAGE.read_text()
    for folder in (*FOLDERS, *MONOCULAR):
        assert f'| `{folder}` | {len(zoo(folder))} |' in page, folder
    others = {path.parent.name for path in ZOO.glob('*/*nus-*.py')}
    assert others - {*FOLDERS, *MONOCULAR} == {'nuimages'}  # boxes in images
