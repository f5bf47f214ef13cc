"""What users let the command line read, and how each is changed and read."""
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.changes import (
    Change,
    change_bytes,
    change_content,
    deepened,
    to_json,
    to_yaml,
)
from tests.fuzz.materials import CONFIGS, odd_option, write_vast_files

MATRICES = {'cam2img', 'lidar2cam', 'cam2ego', 'lidar2ego', 'ego2global',
            'lidar2sensor', 'timestamp', 'translation', 'rotation',
            'camera_intrinsic'}
"""What must be finite numbers wherever it is read."""


class Case(NamedTuple):
    """One input.

    Attributes:
        run (Callable): Reads it in a new folder; returns an exit status.
        change (Change): What is odd about it.
        names (tuple[str]): A message names one of these.
    """

    run: Callable
    change: Change
    names: tuple


class Reader(NamedTuple):
    """One kind of file and the command that reads it.

    Attributes:
        name (str): For the table.
        files (tuple[str]): Patterns in the materials, of which one is changed.
        alter (Callable): (draw, bytes, suffix) to (bytes, Change).
        command (Callable): (folder, file) to the arguments of the command.
    """

    name: str
    files: tuple
    alter: Callable
    command: Callable


def make_case(draw, reader, materials):
    """Draw one case of a reader."""
    if reader.name == 'options':
        option, key = odd_option(draw)
        arguments = [*_train('configs/tiny.py'), '--cfg-options', option]
        return Case(_runner(materials, arguments), Change(option[:60], (key, )),
                    tuple(part for part in key.split('.') if part) or ('is no key', ))
    paths = sorted(path for pattern in reader.files
                   for path in materials.glob(pattern))
    path = draw.choice(paths)
    inside = path.relative_to(materials)
    names = (path.name, *_tokens(inside))
    if 'vast' in reader.name:
        seed = draw.randrange(10**9)
        return Case(_runner(materials, reader.command(inside), inside, seed=seed),
                    Change('vast'), names)
    content, change = reader.alter(draw, path.read_bytes(), path.suffix)
    return Case(_runner(materials, reader.command(inside), inside, content),
                change, names)


def sound_case(reader, materials):
    """Return the case in which nothing is odd."""
    if reader.name == 'options':
        arguments = [*_train('configs/tiny.py'), '--cfg-options', 'model.width=5']
        return Case(_runner(materials, arguments), Change('sound'), ())
    path = sorted(materials.glob(reader.files[0]))[0].relative_to(materials)
    return Case(_runner(materials, reader.command(path)), Change('sound'), ())


def must_be_refused(change):
    """Whether a change makes a number of space or time meaningless."""
    return change.kind in ('nan', 'infinity', 'text') and bool(
        MATRICES & {key for key in change.keys if isinstance(key, str)})


def _tokens(inside):
    """Return how messages may name a sensor's file: by its frame."""
    return {'frames': ('frame ', 'sample '),
            'rig': ('frame ', 'list of frames', 'yard.geojson'),
            'drivable': (inside.stem, )}.get(inside.parts[0], ())


def _runner(materials, arguments, changed=None, content=None, seed=None):
    """Return a function that reads linked materials, one of them changed."""

    def run(outer):
        import random

        from ddp_perception.cli.main import main
        folder = outer / 'a' / 'b'  # where ../../x of it is, is ours too
        folder.mkdir(parents=True)
        os.chdir(folder)
        for source in materials.rglob('*'):
            target = folder / source.relative_to(materials)
            if source.is_dir():
                target.mkdir(exist_ok=True)
            elif changed is None or target != folder / changed:
                target.symlink_to(source)
        if seed is not None:
            path, _ = write_vast_files(folder, random.Random(seed))
            path.rename(folder / changed)
        elif content is not None:
            (folder / changed).write_bytes(content)
        status = main([str(argument) for argument in arguments])
        outside = {*os.listdir(outer), *os.listdir(outer / 'a')} - {
            'a', 'b', 'stderr'}
        if outside:
            raise AssertionError(f'written outside: {outside}')
        return status or _check_outputs(folder)

    return run


def _check_outputs(folder):
    import numpy as np
    for path in (folder / 'out').rglob('*.npz'):
        with np.load(path) as data:
            for name, array in data.items():
                if array.dtype.kind != 'f':
                    continue
                # Uncertainty is NaN where KBCrop leaves an image without depth.
                known = array[~np.isnan(array)] if name == 'uncertainty' else array
                if not known.size or not np.isfinite(known).all():
                    raise AssertionError(f'{name} of {path.name} is not finite')
    return 0


def _as_bytes(draw, content, suffix):
    return change_bytes(draw, content)


def _as_json(draw, content, suffix):
    if draw.random() < .2:
        return change_bytes(draw, content)
    changed, change = change_content(draw, json.loads(content))
    return to_json(changed), change


def _as_pickle(draw, content, suffix):
    if draw.random() < .4:
        return change_bytes(draw, content)
    changed, change = change_content(draw, pickle.loads(content))
    return pickle.dumps(deepened(changed)), change


def _as_checkpoint(draw, content, suffix):
    """Change bytes of the file, of a part of its archive, or what it holds."""
    import torch
    how = draw.random()
    if how < .4 or suffix == '.safetensors':
        return change_bytes(draw, content)
    if how < .7 and zipfile.is_zipfile(io.BytesIO(content)):
        return _change_part(draw, content)
    held = torch.load(io.BytesIO(content), weights_only=True)
    held, change = change_content(draw, {
        key: dict(value) if key == 'state_dict' else value
        for key, value in held.items()})
    file = io.BytesIO()
    torch.save(deepened(held), file)
    return file.getvalue(), change


def _change_part(draw, content):
    """Change bytes within an archive, whose checksums stay right."""
    result, archive = io.BytesIO(), zipfile.ZipFile(io.BytesIO(content))
    names = archive.namelist()
    chosen = next((name for name in names if name.endswith('data.pkl')), names[0])
    if draw.random() < .3:
        chosen = draw.choice(names)
    with zipfile.ZipFile(result, 'w') as changed:
        for name in names:
            part = archive.read(name)
            if name == chosen:
                part, change = change_bytes(draw, part)
            changed.writestr(name, part)
    return result.getvalue(), Change(f'{change.kind} in {Path(chosen).name}')


def _as_config(draw, content, suffix):
    if suffix == '.json' and draw.random() < .8:
        changed, change = change_content(draw, json.loads(content))
        return to_json(changed), change
    if suffix == '.yaml' and draw.random() < .8:
        import yaml
        if draw.random() < .15:
            return _yaml_bomb(draw), Change('bomb')
        changed, change = change_content(draw, yaml.safe_load(content))
        return to_yaml(changed), change
    if suffix == '.py' and draw.random() < .8:
        return _change_line(draw, content)
    return change_bytes(draw, content)


def _yaml_bomb(draw):
    lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    for level in range(1, draw.choice([5, 9, 30])):
        before = ', '.join([f'*a{level - 1}'] * 9)
        lines.append(f'a{level}: &a{level} [{before}]')
    return '\n'.join(lines).encode()


def _change_line(draw, content):
    lines = content.decode().splitlines()
    number = draw.randrange(len(lines))
    how = draw.choice(['drop', 'value', 'value', 'value', 'line'])
    if how == 'drop':
        del lines[number]
    elif how == 'line':
        lines.insert(number, draw.choice([
            'import absent_module', 'raise SystemExit(1)', '1 / 0', "_base_ = 'no.py'",
            "_base_ = ['./child.py', './tiny.py']", 'model = 5', 'model = None',
            'model = dict()', 'x = undefined', 'def f(', 'from .absent import x',
            'train_dataloader = []', 'custom_imports = dict(imports=["absent"])',
            'class A: pass', 'optim_wrapper = dict(type="Absent")', '\0',
            'default_hooks = [1]', 'custom_hooks = [None]', 'train_cfg = "x"']))
    else:
        head, equals, tail = lines[number].partition('=')
        old = tail.split(',')[0]
        lines[number] = head + equals + tail.replace(old, draw.choice([
            'None', '-1', "'odd'", '[]', '{}', '10**30', "float('nan')", 'dict()',
            'undefined', '(']), 1)
    return '\n'.join(lines).encode(), Change(f'{how}, line {number + 1}')


def _as_split(draw, content, suffix):
    if draw.random() < .5:
        return change_bytes(draw, content)
    lines = content.decode().splitlines()
    fields = lines[0].split()
    fields[draw.randrange(3)] = draw.choice(
        ['None', '', '-5', 'nan', 'inf', '../../x.png', '/dev/zero', 'x' * 5000,
         '1 2', '.'])
    return '\n'.join([' '.join(fields), *lines[1:]]).encode(), Change('field')


def _predict_points(info):
    return ['predict', CONFIGS / 'points.py', 'weights/points.pth', info, '--out',
            'out', '--no-pictures', '--limit', 1, '--device', 'cpu']


def _predict_image(name, image):
    return ['predict', CONFIGS / f'images_{name}.py', f'weights/images_{name}.pth',
            image, '--out', 'out', '--no-pictures', '--device', 'cpu']


def _train(config, *more):
    return ['train', config, '--data-root', 'tiny', '--work-dir', 'work', *more]


def _test(name, root):
    weights = {'evaluate_seg': 'images_seg', 'evaluate_depth': 'images_depth'}
    return ['test', CONFIGS / f'{name}.py', f'weights/{weights[name]}.pth',
            '--data-root', root, '--work-dir', 'work']


_INFO = 'frames/nuscenes_infos_val'
_PREPARE = ['prepare', 'nuscenes', 'frames', '--version', 'v1.0-mini', '--out-dir',
            'out']
# Of the first frame of the validation split.
_SENSORS = ('frames/samples/LIDAR_TOP/*__15000000600*', )
_IDS = 'city/gtFine/val/town/*_labelIds.png'
_LABELS = 'city/gtFine/val/town/*_labelTrainIds.png'
_BROWSE = ['browse', 'ddp_3step_osm-drivable_cpu', '--out', 'out', '--limit', 1]
_VIEWS = ('frames/samples/CAM_FRONT/*__15000000599*', )

READERS = (
    Reader('info file, JSON', (f'{_INFO}.json', ), _as_json,
           lambda file: _predict_points(file)),
    Reader('info file, pickle', (f'{_INFO}.pkl', ), _as_pickle,
           lambda file: _predict_points(file)),
    Reader('info file, extended', (f'{_INFO}.pkl', ), _as_pickle,
           lambda file: ['prepare', 'nuscenes', 'frames', '--extend', file]),
    Reader('nuScenes tables', ('frames/v1.0-mini/*.json', ), _as_json,
           lambda file: _PREPARE),
    Reader('map expansion', ('frames/maps/expansion/*.json', ), _as_json,
           lambda file: _predict_points(f'{_INFO}.json')),
    Reader('LiDAR points', _SENSORS, _as_bytes,
           lambda file: _predict_points('frames/nuscenes_infos_val.json')),
    Reader('camera images', _VIEWS, _as_bytes,
           lambda file: _predict_points('frames/nuscenes_infos_val.json')),
    Reader('LiDAR points, vast', _SENSORS, None,
           lambda file: _predict_points('frames/nuscenes_infos_val.json')),
    Reader('camera images, vast', _VIEWS, None,
           lambda file: _predict_points('frames/nuscenes_infos_val.json')),
    Reader('images, labels', ('city/street.jpg',
                              'city/leftImg8bit/val/town/*.png'), _as_bytes,
           lambda file: _predict_image('seg', file)),
    Reader('images, depth', ('city/street.jpg', ), _as_bytes,
           lambda file: _predict_image('depth', file)),
    Reader('images, vast', ('city/street.jpg', ), None,
           lambda file: _predict_image('seg', file)),
    Reader('images tested', ('city/leftImg8bit/val/town/*.png', ), _as_bytes,
           lambda file: _test('evaluate_seg', 'city')),
    Reader('label maps', (_LABELS, ), _as_bytes,
           lambda file: _test('evaluate_seg', 'city')),
    Reader('label ids, prepared', (_IDS, ), _as_bytes,
           lambda file: ['prepare', 'cityscapes', 'city', '--overwrite']),
    Reader('label ids, vast', (_IDS, ), None,
           lambda file: ['prepare', 'cityscapes', 'city', '--overwrite']),
    Reader('label maps, vast', (_LABELS, ), None,
           lambda file: _test('evaluate_seg', 'city')),
    Reader('depth maps', ('kitti/gt_depth/**/*.png', ), _as_bytes,
           lambda file: _test('evaluate_depth', 'kitti')),
    Reader('depth maps, prepared', ('kitti/gt_depth/**/*.png', ), _as_bytes,
           lambda file: ['prepare', 'kitti', 'kitti']),
    Reader('KITTI lists', ('kitti/split.txt', ), _as_split,
           lambda file: _test('evaluate_depth', 'kitti')),
    Reader('KITTI lists, prepared', ('kitti/split.txt', ), _as_split,
           lambda file: ['prepare', 'kitti', 'kitti']),
    Reader('checkpoints', ('weights/images_seg.pth', ), _as_checkpoint,
           lambda file: _predict_image('seg', 'city/street.jpg')),
    Reader('checkpoints, safetensors', ('weights/images_seg.safetensors', ),
           _as_checkpoint, lambda file: [
               *_predict_image('seg', 'city/street.jpg')[:2], file,
               *_predict_image('seg', 'city/street.jpg')[3:]]),
    Reader('checkpoints, load_from', ('weights/tiny.pth', 'weights/tiny_old.pth'),
           _as_checkpoint,
           lambda file: _train('configs/tiny.py', '--load-from', file)),
    Reader('checkpoints, resumed', ('weights/epoch_1.pth', ), _as_checkpoint,
           lambda file: _train('configs/tiny.py', '--resume', file, '--cfg-options',
                               'train_cfg.max_epochs=2')),
    Reader('rigs of their own', ('rig/frames.json', ), _as_json,
           lambda file: ['prepare', 'custom', 'rig']),
    Reader('rigs, maps', ('rig/*.geojson', ), _as_json,
           lambda file: ['prepare', 'custom', 'rig']),
    Reader('rigs, images and points', ('rig/images/ahead0.png', 'rig/points/0.bin'),
           _as_bytes, lambda file: ['prepare', 'custom', 'rig']),
    Reader('rigs, vast', ('rig/images/ahead0.png', 'rig/points/0.bin',
                          'rig/frames.json', 'rig/yard.geojson'), None,
           lambda file: ['prepare', 'custom', 'rig']),
    Reader('cities of prior maps', ('drivable/*.npz', ), _as_bytes,
           lambda file: [*_BROWSE, '--data-root', 'drivable']),
    Reader('runs reported', ('run/*.json', 'run/2*/*.log', 'run/2*/vis_data/*'),
           _as_bytes, lambda file: ['report', 'run', '--out', 'page.html']),
    Reader('results reported', ('run/figures.json', 'run/curves.json'), _as_json,
           lambda file: ['report', 'run', '--out', 'page.html']),
    Reader('configurations', ('configs/tiny.*', 'configs/child.py'), _as_config,
           lambda file: _train(file)),
    Reader('options', (), None, lambda file: ()),
)
