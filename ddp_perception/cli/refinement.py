"""Draw how a prediction comes about, step by step."""
from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.model import BaseModel
    from mmengine.structures import BaseDataElement

    from ddp_perception.diffusion import Refinement


def diffusion_head(model: BaseModel) -> Any:
    """Return the `DiffusionHead` of a model.

    Raises:
        UserError: it has none.
    """
    from ddp_perception.heads import DiffusionHead
    from ddp_perception.prediction_heads import heads_of
    heads = [head for head in heads_of(model) if isinstance(head, DiffusionHead)]
    if not heads:
        raise UserError('--refinement draws the steps of a diffusion head; the model '
                        'has none')
    return heads[-1]


def draw_refinement(model: BaseModel, batch: Any, stem: Path,
                    metainfo: Mapping[str, Any], threshold: float = 0.5) -> None:
    """Write ``<stem>_steps.png``, a strip, and ``<stem>_steps.gif``.

    Args:
        model: Its weights loaded.
        batch: One sample, as the model's ``test_step`` takes it.
        stem: Of the files, without their endings.
        metainfo: Of the data set: classes, palettes.
        threshold: Probability from which a picture shows a class.

    Raises:
        UserError: the model has no diffusion head, or its field cannot be
            painted.
    """
    from ddp_perception.fields import Setting, fields_of
    from ddp_perception.visualization.strip import save_animation, save_strip
    head = diffusion_head(model)
    pictures, captions = [], []
    setting = Setting(head, metainfo, threshold)
    for sample, caption in samples_per_step(model, head, batch):
        field, = (field for field in fields_of(sample)
                  if field.prediction == head.prediction_field)
        picture = field.paint(sample, setting)
        if picture is None:
            raise UserError(f'{type(field).__name__} does not paint its predictions: '
                            '--refinement needs its method paint')
        pictures.append(picture)
        captions.append(caption)
    save_strip(stem.with_name(f'{stem.name}_steps.png'), pictures, captions,
               field.legend(setting))
    save_animation(stem.with_name(f'{stem.name}_steps.gif'), pictures, captions)


def samples_per_step(model: BaseModel, head: Any, batch: Any
                     ) -> Iterator[tuple[BaseDataElement, str]]:
    """Predict a sample as the model would, had it stopped after each step.

    Features and steps are computed once and played back; what the model does
    with a prediction (windows, sizes) is done for each.

    Yields:
        The sample after each step; step, seconds and share changed in words.
    """
    import torch

    from ddp_perception.decoder.probing import replaced
    from ddp_perception.probing.features import FeatureMemory
    windows: list[list[Refinement]] = []

    def record(*inputs: Any) -> Sequence[Any]:
        windows.append(list(head.refine(*inputs)))
        return windows[-1][-1].steps

    with torch.no_grad(), ExitStack() as stack:
        memory = None
        if hasattr(model, 'extract_feat'):
            memory = FeatureMemory(model.extract_feat)
            stack.enter_context(replaced(model, 'extract_feat', memory))
        with replaced(head, 'prediction_steps', record):
            model.test_step(copy.deepcopy(batch))
        for index in range(max(len(states) for states in windows)):
            now = [states[min(index, len(states) - 1)] for states in windows]
            if memory is not None:
                memory.rewind()
            played = partial(_next_steps, iter(now))
            with replaced(head, 'prediction_steps', played):
                sample, = model.test_step(copy.deepcopy(batch))
            yield sample, _caption(index + 1, now)


def _caption(step: int, states: Sequence[Refinement]) -> str:
    caption = f'step {step}, {sum(state.seconds for state in states):.2f} s'
    if step > 1:
        share = sum(float(state.changed.mean()) for state in states) / len(states)
        caption += f', {100 * share:.2g} % changed'
    return caption


def _next_steps(order: Iterator[Refinement], *inputs: Any) -> Sequence[Any]:
    return next(order).steps
