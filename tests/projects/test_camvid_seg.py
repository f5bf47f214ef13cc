"""CamVid's configurations train and test, on generated images and on real ones."""
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from ddp_perception.checkpoints.reading import load_checkpoint_file
from ddp_perception.cli.main import main
from tests.datasets.tiny_camvid import write_tiny_camvid

CONFIGS = Path(__file__).resolve().parents[2] / 'projects/camvid_seg/configs'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.py'))
HEADS = [name for name in NAMES if '-s8' not in name]
ONE_ITERATION = ['train_cfg.max_iters=1', 'train_cfg.val_interval=1',
                 'train_dataloader.batch_size=2', 'train_dataloader.num_workers=0',
                 'train_dataloader.persistent_workers=False',
                 'val_dataloader.num_workers=0', 'model.backbone.pretrained=False',
                 'default_hooks.checkpoint.interval=1']


def read(name):
    init_default_scope('mmseg')
    return Config.fromfile(CONFIGS / f'{name}.py')


def train(name, root, work, *options):
    assert main(['train', str(CONFIGS / f'{name}.py'), '--data-root', str(root),
                 '--work-dir', str(work), '--cfg-options', *ONE_ITERATION,
                 *options]) == 0
    return work / 'iter_1.pth'


def assert_every_parameter_learnt(trained, name):
    checkpoint = load_checkpoint_file(trained)
    assert all(value.isfinite().all() for value in checkpoint['state_dict'].values())
    means = [state['exp_avg'] for state in checkpoint['optimizer']['state'].values()]
    with torch.device('meta'):
        model = MODELS.build(read(name).model)
    assert len(means) == len(list(model.parameters()))
    assert all(mean.isfinite().all() and mean.any() for mean in means)


def test_the_heads_are_trained_alike():
    for variant in ('', '-s8'):
        ours, plain = (read(f'{head}_efflite0{variant}_1xb8-1h_camvid-480x360')
                       for head in ('ddp', 'fcn'))
        assert ours.model.decode_head.type == 'ddp.SegHead'
        assert plain.model.decode_head.type == 'FCNHead'
        assert ours.model.decode_head.loss_decode == plain.model.decode_head.loss_decode
        for cfg in (ours, plain):
            del cfg.model['type'], cfg.model['decode_head']
        assert ours.to_dict() == plain.to_dict()


@torch.no_grad()
@pytest.mark.parametrize('name', NAMES)
def test_a_whole_image_is_decoded_at_the_stride_in_the_name(name):
    stride = 8 if '-s8' in name else 4
    with torch.device('meta'):
        model = MODELS.build(read(name).model).eval()
        image = torch.empty(2, 3, 360, 480)
    levels = model.extract_feat(image)
    assert [level.shape for level in levels] == [(2, 64, 360 // stride, 480 // stride)]
    parameters = sum(p.numel() for p in model.parameters())
    assert 3.2e6 < parameters < 3.6e6


@pytest.mark.parametrize('name', HEADS)
def test_an_iteration_reaches_every_parameter_and_another_split_is_tested(
        name, tmp_path):
    root = write_tiny_camvid(tmp_path / 'camvid', suffix='.png', height=48, width=64)
    trained = train(name, root, tmp_path / 'work')
    assert_every_parameter_learnt(trained, name)
    (root / 'val.txt').unlink()  # only the split that is asked for is read
    out = tmp_path / 'figures.json'
    assert main(['test', str(CONFIGS / f'{name}.py'), str(trained), '--data-root',
                 str(root), '--work-dir', str(tmp_path / 'test'), '--out', str(out),
                 '--cfg-options', 'test_dataloader.dataset.ann_file=test.txt',
                 'test_dataloader.num_workers=0']) == 0
    assert 0 <= json.loads(out.read_text())['metrics']['mIoU'] <= 100


def test_an_iteration_on_real_images(real_dir, tmp_path):
    trained = train(HEADS[0], real_dir / 'camvid', tmp_path,
                    'val_dataloader.dataset.indices=3')
    assert_every_parameter_learnt(trained, HEADS[0])
