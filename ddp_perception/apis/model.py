"""A model of a configuration, with its weights."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope

from ddp_perception.cli import build_errors, configuration
from ddp_perception.cli.checkpoint_checks import load_weights, require_checkpoint
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.exported import attach_graph
from ddp_perception.cli.prediction import build_model, choose_device
from ddp_perception.diffusion import Sampler

SAMPLING = ('num_steps', 'num_seeds', 'until_stable', 'time_budget', 'refine_share',
            'uncertainty', 'average', 'initial_noise')
"""Options of `Sampler` that may be changed after training."""


def init_model(config: str | Path | Config, checkpoint: str | Path | None = None,
               device: str | torch.device | None = None, *,
               sampling: Mapping[str, Any] | None = None, seed: int | None = None,
               cfg_options: Sequence[str] | Mapping[str, Any] = (),
               trust_checkpoint: bool = False, onnx: str | Path | None = None
               ) -> BaseModel:
    """Build a model and load its weights.

    The arguments and the attribute `cfg` are those of the `init_model` of mmdet3d and
    mmseg, so that what these have for inference takes the model too.

    Args:
        config: File, name of a configuration that comes with the package, or one
            that was read.
        checkpoint: File or address of the weights, every one of them; None leaves
            them random.
        device: Such as 'cpu' or 'cuda:1'; by default a GPU where there is one.
        sampling: Changes to the sampler of a diffusion head, out of `SAMPLING`, such
            as ``dict(num_steps=10, num_seeds=4)``.
        seed: Of the head's noise; by default that of the configuration.
        cfg_options: Changes to single settings, as a dictionary or as texts KEY=VALUE.
        trust_checkpoint: Read a file that holds arbitrary Python objects, and with it
            any code: only where its origin is trusted.
        onnx: Graph that ``ddp-perception export`` wrote of this configuration and
            checkpoint; ONNX Runtime computes it in place of the network, on the CPU.

    Returns:
        In evaluation mode, on the device; `cfg` holds the configuration.

    Raises:
        UserError: configuration or checkpoint are missing, cannot be read, or do not
            fit each other; an option does not fit. One text says what and why.
    """
    if isinstance(config, Config):
        if cfg_options:
            raise UserError('cfg_options changes a configuration that is read here; '
                            'change a Config yourself')
        name, cfg = config.filename or 'the configuration', copy.deepcopy(config)
    else:
        name, cfg = str(config), configuration.load_config(config, cfg_options)
    configuration.require_keys(cfg, name, ['model'], 'used to predict')
    if checkpoint is not None:
        require_checkpoint(checkpoint)
    _check_sampling(sampling or {}, seed)
    with build_errors.naming_settings(cfg, name):
        configuration.set_sampling(cfg, sampling or {}, seed)
        model = build_model(cfg, choose_device(None if device is None else str(device)))
    if checkpoint is not None:
        load_weights(model, checkpoint, name, trust_checkpoint)
    model.cfg = cfg
    if onnx is not None:
        attach_graph(model, onnx)
    return model


def _check_sampling(sampling: Mapping[str, Any], seed: int | None) -> None:
    """Raise unless each option, seen alone, is one that a sampler takes."""
    if not isinstance(sampling, Mapping):
        raise UserError('sampling must be a dictionary, such as dict(num_steps=3), got '
                        f'{sampling!r:.60}')
    odd = [name for name in sampling if name not in SAMPLING]
    if odd:
        raise UserError(f'sampling takes {", ".join(SAMPLING)}, got '
                        f'{", ".join(map(str, odd))}')
    given = dict(sampling) if seed is None else {**sampling, 'seed': seed}
    for name, value in given.items():
        try:
            Sampler(**{'num_seeds': 2, name: value})
        except (TypeError, ValueError) as error:
            about = '' if str(error).startswith(name) else f'{name}={value!r:.60}: '
            raise UserError(f'{about}{error}') from None


def config_of(model: BaseModel) -> Config:
    """Return the configuration that a model was built from, its scope the default one.

    Raises:
        UserError: it has none.
    """
    cfg = getattr(model, 'cfg', None)
    if not isinstance(cfg, Config):
        raise UserError('the model has no configuration as its attribute cfg; build it '
                        'with ddp_perception.apis.init_model')
    init_default_scope(cfg.get('default_scope', 'mmdet3d'))
    return cfg
