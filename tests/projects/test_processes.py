"""Shipped configurations suit many processes under any project's own tools."""
from pathlib import Path

import pytest
from mmengine.config import Config

from ddp_perception.registry import HOOKS

PROJECTS = Path(__file__).resolve().parents[2] / 'projects'
CONFIGS = sorted(PROJECTS.glob('*/configs/*.py'))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_process_validates_what_is_saved(path):
    kinds = [hook.type for hook in Config.fromfile(path).custom_hooks]
    assert 'ddp.BroadcastBuffersHook' in kinds
    assert all(HOOKS.get(kind) for kind in kinds)
