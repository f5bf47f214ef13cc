"""The configurations that the pages of segmentation and depth show."""
import functools
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from ddp_perception.registry import DATASETS, TRANSFORMS

PROJECTS = Path(__file__).resolve().parents[2] / 'projects'


def blocks(project):
    page = (PROJECTS / project / 'README.md').read_text()
    return re.findall(r'```python\n(.*?)```', page, re.DOTALL)


def complete(project):
    """Blocks that are a whole configuration, not part of one."""
    return [text for text in blocks(project) if text.startswith('_base_')]


SHOWN = [(project, number) for project in ('cityscapes_seg', 'kitti_depth')
         for number in range(len(complete(project)))]


@pytest.fixture
def load(tmp_path):
    """Read a block as a file in its project's folder of configurations."""

    def read(project, text):
        init_default_scope('mmseg')
        folder = PROJECTS / project / 'configs'
        text = text.replace("'./", f"'{folder}/")
        (tmp_path / 'shown.py').write_text(text)
        return Config.fromfile(tmp_path / 'shown.py')

    return read


def build(model):
    """Build a model without storage: its parameters have a shape only."""
    with pytest.MonkeyPatch.context() as patch:
        # Drop-path rates are read from a linspace, which needs values.
        patch.setattr(torch, 'linspace',
                      functools.partial(torch.linspace, device='cpu'))
        with torch.device('meta'):
            return MODELS.build(model)


def test_pages_show_configurations_before_and_after():
    counts = {project: len(complete(project)) for project, _ in SHOWN}
    assert counts == {'cityscapes_seg': 3, 'kitti_depth': 2}


@pytest.mark.parametrize('project, number', SHOWN)
def test_shown_configuration_builds(project, number, load):
    cfg = load(project, complete(project)[number])
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        DATASETS.build(dict(loader.dataset, lazy_init=True, pipeline=[]))
        for step in loader.dataset.pipeline:
            if step['type'] != 'Albu':  # a package more, as the page says
                TRANSFORMS.build(step)
    settings = cfg.model.get('module', cfg.model)
    if settings.decode_head.type == 'VPDDepthHead':
        return  # Stable Diffusion: downloaded when built
    model = build(cfg.model)
    model = getattr(model, 'module', model)
    head = model.decode_head
    if number == 0:  # mmseg's own, before
        assert type(head).__module__.startswith('mmseg.')
        return
    assert type(head).__module__.startswith('ddp_perception.')
    assert head.sampler.num_steps == 3
    classes = settings.decode_head.get('num_classes', 1)
    assert head.num_classes == classes
    if settings.get('auxiliary_head'):
        assert model.auxiliary_head.num_classes == classes


def test_shown_neck_makes_one_map_of_stride_four(load):
    for project in ('cityscapes_seg', 'kitti_depth'):
        model = load(project, complete(project)[1]).model
        neck, width = build(model).neck, model.decode_head.in_channels
        widths = model.neck[0].in_channels
        with torch.device('meta'):
            pyramid = [torch.empty(2, channels, 32 // 2 ** i, 64 // 2 ** i)
                       for i, channels in enumerate(widths)]
            level, = neck(pyramid)
        assert level.shape == (2, width, 32, 64)


def test_shown_backbone_of_timm_fits_the_shown_neck(load):
    part, = [text for text in blocks('cityscapes_seg')
             if text not in complete('cityscapes_seg')]
    cfg = load('cityscapes_seg', complete('cityscapes_seg')[1])
    named = {}
    exec(part, named)  # noqa: S102  our own page
    named['model']['backbone']['pretrained'] = False  # no download
    cfg.merge_from_dict({'model': named['model']})
    backbone = build(cfg.model).backbone
    with torch.device('meta'):
        levels = backbone(torch.empty(2, 3, 64, 128))
    assert [level.shape[1] for level in levels] == cfg.model.neck[0].in_channels
    assert [level.shape[-1] for level in levels] == [32, 16, 8, 4]
