"""Predictions of data sets that are neither frames of nuScenes nor single images."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ddp_perception.cli.sample_input import build_samples, input_kind
from tests.cli import tiny  # noqa: F401  registers the data sets

CONFIGS = Path(__file__).parent / 'configs'


def load(name):
    cfg = Config.fromfile(CONFIGS / name)
    init_default_scope(cfg.get('default_scope', 'mmdet3d'))
    return cfg


@pytest.mark.parametrize('name, kind', [
    ('points.py', 'frames'), ('images_seg.py', 'images'), ('images_depth.py', 'images'),
    ('images_flip.py', 'images'), ('tiny.py', 'samples')])
def test_what_input_is_follows_from_the_test_data(name, kind):
    assert input_kind(load(name)) == kind


def test_a_detectors_own_data_set_takes_frames(repository_dir):
    configs = repository_dir / 'projects/map_head_for_your_detector/configs'
    assert input_kind(load(configs / 'centerpoint-pillar_map.py')) == 'frames'


def test_a_folder_replaces_the_data_root_and_a_file_the_annotations(tiny_root):
    cfg = load('tiny.py')
    assert len(build_samples(cfg, tiny_root)) == 5
    assert len(build_samples(cfg, tiny_root / 'train.json')) == 12
    assert len(build_samples(cfg, tiny_root / 'val.json', tiny_root.parent)) == 5
    assert cfg.test_dataloader.dataset.ann_file == 'val.json'  # not the caller's


@pytest.mark.parametrize('place, options, fragment', [
    ('nowhere', [], 'nowhere is neither a file nor a folder'),
    ('ROOT', ['--data-root', 'x'], 'is a data root already'),
    ('ROOT', ['--split', 'train'], '--split means nothing'),
    ('ROOT', ['--data-prefix', 'flat'], '--data-prefix means nothing'),
])
def test_predict_says_what_is_wrong_with_samples(
        error_of, tiny_config, tiny_root, tmp_path, place, options, fragment):
    torch.save({'state_dict': {}}, tmp_path / 'weights.pth')
    place = tiny_root if place == 'ROOT' else place
    assert fragment in error_of('predict', tiny_config, tmp_path / 'weights.pth', place,
                                '--out', tmp_path / 'out', *options)
