"""What predictions cost, from the command line."""
import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ddp_perception.shipped_configs import find_config
from tests.cli.conftest import CONFIGS
from tests.cli.test_evaluation import write_cityscapes
from tests.cli.test_predict_images import build

SEG = CONFIGS / 'images_seg.py'
FLIP = CONFIGS / 'images_flip.py'


@pytest.fixture
def measured(run, capsys):
    """Run the command and return its last line and the text before it."""

    def measure(*argv):
        capsys.readouterr()
        run('benchmark', *argv, '--device', 'cpu', '--rounds', 2)
        text, _, line = capsys.readouterr().out.strip().rpartition('\n')
        return json.loads(line), text

    return measure


def test_steps_and_seeds_cost_the_head_alone(measured, tmp_path):
    size = ('--image-size', 48, 96)
    found = {}
    for steps, seeds in ((1, 1), (2, 1), (3, 1), (2, 2)):
        found[steps, seeds], text = measured(
            SEG, *size, '--num-steps', steps, '--num-seeds', seeds)
        assert f'{seeds} seed' in text and 'an image of noise, 48 x 96' in text
    head, other = ({key: one['gflops'][part] for key, one in found.items()}
                   for part in ('decode_head', 'backbone'))
    step = head[2, 1] - head[1, 1]
    assert step > 0 and len(set(other.values())) == 1
    assert head[3, 1] - head[2, 1] == pytest.approx(step)
    # Seeds share what is done once per image, and the embedding of the times.
    assert 0.95 * 2 * step < head[2, 2] - head[2, 1] < 2 * step
    one = found[3, 1]
    parameters = build(SEG).decode_head.parameters()
    assert one['parameters']['decode_head'] == sum(item.numel() for item in parameters)
    assert one['decoder_passes'] == {'pred_sem_seg': dict(seeds=1, steps=3, averaged=1)}
    seconds = one['seconds']['whole']
    assert 0 < seconds['least'] <= seconds['median'] <= seconds['most']
    assert seconds['calls'] == 2
    assert one['gflops']['whole'] >= one['gflops']['decode_head']


@pytest.mark.parametrize('config', [SEG, FLIP])
def test_images_of_the_test_data_and_a_checkpoint(measured, tmp_path, config):
    write_cityscapes(tmp_path / 'data')
    torch.save({'state_dict': build(SEG).state_dict()}, tmp_path / 'weights.pth')
    out = tmp_path / 'new' / 'cost.json'
    found, _ = measured(config, tmp_path / 'weights.pth', '--data-root',
                        tmp_path / 'data', '--samples', 2, '--out', out)
    assert found['input'] == '2 samples of the test data'
    assert found['seconds']['whole']['calls'] == 4
    assert found['checkpoint'] == str(tmp_path / 'weights.pth')
    assert json.loads(out.read_text()) == found


def test_frames_of_cameras_and_points(measured, synthetic_root, synthetic_infos):
    config = 'demo_fusion_cpu'
    found, text = measured(
        config, '--data-root', synthetic_root, '--samples', 1, '--num-steps', 1,
        '--cfg-options', f'test_dataloader.dataset.ann_file={synthetic_infos["val"]}')
    assert found['input'] == '1 sample of the test data' and found['input'] in text
    settings = Config.fromfile(find_config(config)).model
    model = MODELS.build(settings)
    assert found['parameters'] == {
        **{name: sum(item.numel() for item in part.parameters())
           for name, part in model.named_children()},
        'whole': sum(item.numel() for item in model.parameters())}
    called = {'img_backbone', 'img_neck', 'view_transform', 'fusion_layer',
              'pts_backbone', 'pts_neck', 'seg_head'}
    assert called <= {name for name, value in found['gflops'].items() if value > 0}
    assert called <= found['seconds'].keys()


def test_what_cannot_be_measured_is_named(error_of, points_config, tmp_path):
    message = error_of('benchmark', SEG)
    assert 'no/where' in message and '--image-size H W measures on an image' in message
    message = error_of('benchmark', points_config, '--image-size', 9, 16)
    assert 'does not start from a single image' in message
    for option, text in ((('--rounds', 0), '--rounds must be at least 1, got 0'),
                         (('--samples', 0), '--samples must be at least 1, got 0'),
                         (('--image-size', 0, 5), 'at least 1 1, got 0 5')):
        assert text in error_of('benchmark', SEG, *option)
    assert 'does not exist' in error_of('benchmark', SEG, tmp_path / 'no.pth')


def test_samples_that_cannot_be_loaded_are_named(error_of, points_config, tmp_path,
                                                 synthetic_root, synthetic_infos):
    write_cityscapes(tmp_path)
    first = sorted(tmp_path.rglob('*_leftImg8bit.png'))[0]
    first.write_bytes(first.read_bytes()[:100])
    message = error_of('benchmark', SEG, '--data-root', tmp_path)
    assert 'sample 0 of the test data cannot be loaded' in message
    copies = tmp_path / 'copies.py'
    copies.write_text(f"""
_base_ = '{points_config}'
test_dataloader = dict(dataset=dict(
    data_root='{synthetic_root}', ann_file='{synthetic_infos["val"]}', pipeline=[
        dict(type='ddp.LoadPoints', load_dim=5, use_dim=5),
        dict(type='MultiScaleFlipAug3D', img_scale=(1333, 800), pts_scale_ratio=1,
             flip=True, pcd_horizontal_flip=True, transforms=[
                 dict(type='RandomFlip3D', sync_2d=False)]),
        dict(type='ddp.PackMapInputs')]))
""")
    message = error_of('benchmark', copies)
    assert '2 augmented copies of a frame were given' in message
    assert 'set flip=False' in message and 'Traceback' not in message
