"""Weights that a training starts from and that are published elsewhere."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.model import BaseModule
    from torch import nn


@dataclass
class Part:
    """A part of a model that starts from published weights.

    Args:
        key: of the part in the configuration, dotted.
        module: the part.
        source: file or address of its weights, timm's name of them, or the
            package that has them.
        kind: which of these.
    """

    key: str
    module: BaseModule
    source: str
    kind: Literal['file', 'timm', 'package']


def published_parts(model: nn.Module) -> list[Part]:
    """Find the parts of a model that load weights before a training.

    Args:
        model: The bare model.

    Returns:
        In the model's order, without those initialised already.
    """
    from ddp_perception.backbones import TimmBackbone
    parts = []
    for name, module in model.named_modules():
        key = f'model.{name}' if name else 'model'
        if getattr(module, 'is_init', False):
            continue
        settings = getattr(module, 'init_cfg', None) or []
        for setting in [settings] if isinstance(settings, dict) else settings:
            if setting.get('type') == 'Pretrained':
                parts.append(Part(key, module, setting['checkpoint'], 'file'))
        if isinstance(module, TimmBackbone) and module.pretrained:
            packaged = module.pretrained
            parts.append(
                Part(key, module, packaged, 'package') if isinstance(packaged, str)
                else Part(key, module, module.model_name, 'timm'))
    return parts


def leave_out_filled(model: nn.Module, missing: Sequence[str]) -> None:
    """Load no published weights into parts that a checkpoint fills anyway.

    Args:
        model: The bare model; parts are marked as initialised.
        missing: Names in the model's state dict that the
            checkpoint does not fill.
    """
    for part in published_parts(model):
        if not any(f'model.{name}'.startswith(f'{part.key}.') for name in missing):
            part.module.is_init = True


def explain_failures(model: BaseModule) -> None:
    """Make a message of published weights that are not there, or not reached.

    Args:
        model: The bare model, before a training calls its
            ``init_weights``.
    """
    if not hasattr(model, 'init_weights'):
        return
    load = model.init_weights

    def init_weights() -> None:
        parts = published_parts(model)
        try:
            load()
        except (OSError, ValueError, ImportError) as error:  # of the network as well
            if not parts or not _is_about_a_file(error):
                raise
            raise UserError(_message(parts, error)) from error

    model.init_weights = init_weights


def _is_about_a_file(error: Exception) -> bool:
    from ddp_perception.backbones.packaged_weights import MissingPackage
    from ddp_perception.checkpoints.reading import RefusedObject
    return isinstance(error, (OSError, RefusedObject, MissingPackage)) or (
        'cannot be read as a checkpoint' in str(error))


def _message(parts: Sequence[Part], error: Exception) -> str:
    lines = [f'the published weights that the training starts from cannot be read: '
             f'{error}']
    for part in parts:
        key = part.key
        if part.kind == 'package':
            lines += [
                f'  {key} starts from the weights in {part.source}',
                f'  Start from random ones:  --cfg-options {key}.pretrained=False']
            continue
        if part.kind == 'timm':
            lines += [
                f'  {key} is {part.source} of timm. Fetch it where there is a '
                'network, and copy the cache (~/.cache/huggingface, or $HF_HOME):',
                f'    python -c "import timm; timm.create_model('
                f"'{part.source}', pretrained=True)\"",
                f'  Start from random ones:  --cfg-options {key}.pretrained=False']
            continue
        lines.append(f'  {key} starts from {part.source}')
        if '://' in part.source:
            lines.append('  Fetch it where there is a network, and put it into '
                         f'{_cache()} or anywhere:')
        lines += [
            f'    --cfg-options {key}.init_cfg.checkpoint=FILE',
            f'  Start from random ones:  --cfg-options {key}.init_cfg=None']
    return '\n'.join(lines)


def _cache() -> str:
    from torch import hub
    return os.path.join(hub.get_dir(), 'checkpoints')
