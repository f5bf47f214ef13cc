"""Train a demo's model once, and evaluate it."""
from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

UNUSED_IN_TRAINING = ('val_cfg', 'val_dataloader', 'val_evaluator')
UNUSED_IN_TESTS = ('train_cfg', 'train_dataloader', 'optim_wrapper', 'param_scheduler',
                   *UNUSED_IN_TRAINING)


class Trained(NamedTuple):
    """A trained model.

    Attributes:
        checkpoint: its file.
        seconds: how long its training took.
        reused: whether an earlier run trained it.
    """

    checkpoint: Path
    seconds: float
    reused: bool


def train(cfg: Config, data_root: str | Path, fresh: bool = False) -> Trained:
    """Train, or find what an equal earlier run has trained.

    Args:
        cfg: with ``work_dir``.
        data_root: synthetic set to train on.
        fresh: train in any case.
    """
    from ddp_perception.cli import runner
    state_file = Path(cfg.work_dir, 'trained.json')
    wanted = fingerprint(cfg, data_root)
    if state_file.is_file() and not fresh:
        state = json.loads(state_file.read_text())
        if state['fingerprint'] == wanted and Path(state['checkpoint']).is_file():
            print(f'     {state["checkpoint"]} is up to date')
            return Trained(Path(state['checkpoint']), state['seconds'], True)
    settings = cfg.copy()  # the evaluation follows in a step of its own
    for key in UNUSED_IN_TRAINING:
        settings[key] = None
    start = time.perf_counter()
    run = runner.build_runner(settings)
    run.train()
    seconds = time.perf_counter() - start
    checkpoint = Path(cfg.work_dir, Path(cfg.work_dir, 'last_checkpoint').read_text()
                      .strip().split('/')[-1])
    state_file.write_text(json.dumps(dict(
        fingerprint=wanted, checkpoint=str(checkpoint), seconds=seconds), indent=2))
    return Trained(checkpoint, seconds, False)


def fingerprint(cfg: Config, data_root: str | Path) -> str:
    """Name all that the trained weights depend on: settings, code, data."""
    import torch

    import ddp_perception
    from data_tools.synthetic.folder import MARKER
    digest = hashlib.sha256(cfg.pretty_text.encode())
    digest.update(torch.__version__.encode())
    package = Path(ddp_perception.__file__).parent
    for path in sorted(package.rglob('*.py')):
        if path.parts[len(package.parts)] not in ('cli', 'visualization'):
            digest.update(path.read_bytes())
    digest.update(Path(data_root, MARKER).read_bytes())
    return digest.hexdigest()


def evaluate(cfg: Config, checkpoint: Path) -> tuple[Runner, dict[str, Any]]:
    """Evaluate a checkpoint on the unseen part of the data.

    Returns:
        The runner and the figures of its evaluators.
    """
    from ddp_perception.cli import configuration, runner
    settings = cfg.copy()
    for key in UNUSED_IN_TESTS:
        settings[key] = None
    configuration.report_passes(settings)
    settings.load_from = str(checkpoint)
    run = runner.build_runner(settings)
    return run, run.test()


def evaluate_one_step(evaluation: Runner, head: Any) -> dict[str, Any]:
    """Return the figures of an evaluated model after a single step."""
    sampler = head.sampler
    head.sampler = dataclasses.replace(sampler, num_steps=1)
    try:
        return evaluation.test()
    finally:
        head.sampler = sampler
