"""Small sound inputs of every kind, and weights of models that read them."""
import json
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from tests.datasets.tiny_drivable import write_cities
from tests.datasets.tiny_kitti import line, write_tiny_kitti
from tests.datasets.tiny_nuscenes import write_tiny_nuscenes
from tests.datasets.tiny_rig import write_tiny_rig
from tests.fuzz.children import Child

CONFIGS = Path(__file__).parents[1] / 'cli' / 'configs'
CITIES = ('boston-seaport', 'singapore-onenorth', 'singapore-queenstown')
TRAINED = ['train.json', 'val.json']


def write_materials(root):
    """Write everything; returns the folder.

    frames/ has a nuScenes root with info files as pickle and JSON; rig/ a rig of
    its own with a map; drivable/ archives of cities; kitti/ and city/ are roots of
    depth and segmentation; tiny/ is what the configuration tiny.py trains on, and
    run/ what that leaves; weights/ and configs/ say what they are.
    """
    root = Path(root)
    _write_frames(root / 'frames')
    write_tiny_kitti(root / 'kitti', drives=['2011_09_26_drive_0001_sync'],
                     height=40, width=80)
    (root / 'kitti' / 'split.txt').write_text('\n'.join(
        line('2011_09_26_drive_0001_sync', frame) for frame in range(2)))
    _write_city(root / 'city')
    (root / 'tiny').mkdir()
    for name in TRAINED:
        (root / 'tiny' / name).write_text(json.dumps([i / 4 for i in range(4)]))
    _write_weights(root / 'weights')
    _write_configs(root / 'configs')
    (root / 'rig').mkdir()
    write_tiny_rig(root / 'rig')
    write_cities(root / 'drivable', **dict.fromkeys(CITIES, 1))
    _write_run(root)
    return root


def _write_run(root):
    """Train for an epoch, in a process of its own: loggers have names."""
    from ddp_perception.cli.main import main
    end = Child(lambda folder: main([
        'train', str(root / 'configs' / 'tiny.py'), '--data-root', str(root / 'tiny'),
        '--work-dir', str(folder / 'run'), '--seed', '0'])
        or shutil.copytree(folder / 'run', root / 'run') and 0).end()
    assert end.kind == 'ok', end.text
    start, = (path for path in (root / 'run').iterdir() if path.is_dir())
    start.rename(start.with_name('20260131_120000'))
    start = start.with_name('20260131_120000')
    next(start.glob('*.log')).rename(start / f'{start.name}.log')
    (root / 'run' / 'epoch_1.pth').rename(root / 'weights' / 'epoch_1.pth')
    (root / 'run' / 'figures.json').write_text(json.dumps({
        'metrics': {'mean_prediction': 0.5, 'count': 4}, 'configuration': 'tiny.py',
        'cfg_options': ['a=1'], 'checkpoint': 'epoch_1.pth', 'decoder_passes': {
            'pred_map_seg': {'seeds': 1, 'steps': 3, 'averaged': 1}}}))
    (root / 'run' / 'curves.json').write_text(json.dumps({
        'figures': {'ece': 0.1}, 'reliability': {'all': {
            'probability': [0.1, 0.9], 'frequency': [0.2, 0.8]}}}))


def _write_frames(root):
    from data_tools.prepare_nuscenes import prepare
    write_tiny_nuscenes(root)
    for path in prepare(root, 'v1.0-mini', progress=False).values():
        content = pickle.loads(path.read_bytes())
        plain = json.loads(json.dumps(content, default=_plain))
        path.with_suffix('.json').write_text(json.dumps(plain))


def _plain(value):
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else str(value)


def _write_city(root):
    generator = np.random.default_rng(0)
    for folder, end, values in (
            ('leftImg8bit', 'leftImg8bit', generator.integers(0, 256, (40, 80, 3))),
            ('gtFine', 'gtFine_labelTrainIds', generator.integers(0, 3, (40, 80)))):
        path = root / folder / 'val' / 'town' / f'a_{end}.png'
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), values.astype(np.uint8))
    ids = root / 'gtFine' / 'val' / 'town' / 'a_gtFine_labelIds.png'
    cv2.imwrite(str(ids), generator.integers(0, 34, (40, 80)).astype(np.uint8))
    image = cv2.imread(str(root / 'leftImg8bit/val/town/a_leftImg8bit.png'))
    cv2.imwrite(str(root / 'street.jpg'), image)


def _write_weights(root):
    from safetensors.torch import save_file
    root.mkdir()
    torch.save({'state_dict': {'weight': torch.zeros(2)}}, root / 'points.pth')
    for name in ('images_seg', 'images_depth'):
        init_default_scope('mmseg')
        torch.manual_seed(0)
        model = MODELS.build(Config.fromfile(CONFIGS / f'{name}.py').model)
        torch.save({'state_dict': model.state_dict()}, root / f'{name}.pth')
        save_file(model.state_dict(), root / f'{name}.safetensors')
    tiny = {'hidden.weight': torch.ones(4, 1), 'hidden.bias': torch.ones(4),
            'out.weight': torch.ones(1, 4), 'out.bias': torch.ones(1)}
    meta = {'epoch': 1, 'iter': 3, 'experiment_name': 'tiny_0', 'seed': 1,
            'dataset_meta': {'classes': ['a', 'b']}}
    torch.save({'state_dict': tiny, 'meta': meta}, root / 'tiny.pth')
    torch.save({'state_dict': tiny, 'meta': meta}, root / 'tiny_old.pth',
               _use_new_zipfile_serialization=False)


def _write_configs(root):
    """The configuration tiny.py in each format, short, without _base_."""
    root.mkdir()
    text = (CONFIGS / 'tiny.py').read_text().replace('max_epochs=4', 'max_epochs=1')
    (root / 'tiny.py').write_text(text)
    (root / 'child.py').write_text(
        "_base_ = './tiny.py'\nmodel = dict(width=4)\n"
        'train_dataloader = dict(batch_size=2)\n')
    content = Config.fromfile(root / 'tiny.py').to_dict()
    content = json.loads(json.dumps(content))
    (root / 'tiny.json').write_text(json.dumps(content, indent=1))
    import yaml
    (root / 'tiny.yaml').write_text(yaml.safe_dump(content))


def write_vast_files(root, draw):
    """Write what is odd by its size or kind, and return the path of one."""
    import os
    kind = draw.choice(['png', 'sparse', 'pipe', 'device', 'folder', 'vast jpg'])
    path = Path(root) / f'vast{draw.randrange(10**6)}.bin'
    if kind in ('png', 'vast jpg'):
        from tests.datasets.test_bounded_files import write_png_that_claims
        path.unlink(missing_ok=True)
        write_png_that_claims(path, draw.choice([9_000, 30_000, 2**31 - 1]),
                              draw.choice([12_000, 30_000]),
                              bits=draw.choice([8, 16]), colour=draw.choice([0, 2, 6]))
    elif kind == 'sparse':
        with path.open('wb') as file:
            file.truncate(draw.choice([600_000_000, 3_000_000_000]))
    elif kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'device':
        path.symlink_to('/dev/zero')
    else:
        path.mkdir()
    return path, kind


def odd_option(draw):
    """Return a KEY=VALUE text for tiny.py, sound or not, and its key."""
    keys = list(_flat(Config.fromfile(CONFIGS / 'tiny.py').to_dict()))
    key = draw.choice(keys)
    how = draw.random()
    if how < .1:
        key += draw.choice(['.unknown', '_', '.0', '._delete_', '.type'])
    elif how < .15:
        key = draw.choice(['modle.width', 'x', '', '.', 'a..b', 'model.', '_base_',
                           'model.0', 'custom_hooks.7.type', 'custom_hooks.0'])
    value = draw.choice([
        'abc', '', '-1', '0', '1e400', 'nan', 'None', 'True', '[1,2]', '(1,', '[[',
        '[]', '()', '1' * 30, '-0.5', 'dict(type=X)', "{'type': 'X'}", 'Adam',
        '1000000', '../../x', '/dev/zero', '[' * 3000, 'a=b', 'é', '\n', '1,2',
        'OptimWrapper', 'EpochBasedTrainLoop', 'TinyMetric', 'TestLoop'])
    if value == '1000000' and key.endswith('max_epochs'):
        value = '1'  # a million epochs are sound, and take longer than a case may
    return f'{key}={value}', key


def _flat(node, place=''):
    for key, value in (node.items() if isinstance(node, dict)
                       else enumerate(node)):
        yield f'{place}{key}'
        if isinstance(value, (dict, list, tuple)):
            yield from _flat(value, f'{place}{key}.')


