"""Convert a checkpoint of another code base to a model of this package."""
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ddp_perception.checkpoints.explanations import explain
from ddp_perception.checkpoints.naming import drop_reason, target_names
from ddp_perception.checkpoints.releases import Release, detect_release

CONVERTED = ('kept', 'renamed')
_TASKS = {'pred_map_seg': 'map', 'pred_depth_map': 'depth',
          'pred_sem_seg': 'segmentation'}
"""Tasks of the releases by the field that a model's head predicts."""


@dataclass(frozen=True)
class Row:
    """What became of one tensor of the checkpoint.

    Args:
        source: its name there.
        target: its name in the model, or None where it was left out.
        shape: its shape there.
        action: ``'kept'`` (its name), ``'renamed'``, ``'dropped'``,
            ``'conflict'`` or ``'unexpected'``.
        note: what else was done, or the reason.
    """

    source: str
    target: str | None
    shape: tuple[int, ...]
    action: str
    note: str = ''


@dataclass
class Conversion:
    """A converted checkpoint, with an account of every tensor.

    Args:
        release: what the checkpoint was.
        state: the model's parameters, in the model's order and with the
            versions of its modules, which loaders ask for.
        rows: one per tensor of the checkpoint.
        missing: parameters of the model that the checkpoint does not have.
        problems: why the result must not be used; empty if it may.
    """

    release: Release
    state: OrderedDict
    rows: list[Row]
    missing: list[str]
    problems: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the state has all parameters of the model."""
        return not self.missing and not self.problems


def convert_state(state: Mapping[str, Tensor], model: nn.Module) -> Conversion:
    """Rename and reshape a checkpoint's parameters to those of a model.

    Nothing is lost silently: each tensor is converted, dropped for a reason
    that is known here, or named in ``problems``.

    Args:
        state: parameters, without the ``module.`` of distributed training.
        model: built from the configuration that is to use them.

    Returns:
        The conversion. That of a detection checkpoint has the shared parts
        alone, and the rest of the model in ``missing``.

    Raises:
        UnknownRelease: the names are of no known release.
    """
    release = detect_release(state)
    model_state = model.state_dict()
    problem = _wrong_task(release, model)
    if problem:
        return Conversion(release, OrderedDict(), [], [], [problem])
    names = target_names(list(state), model_state, release)
    rows, found, conflicts = [], {}, {}
    for key, value in state.items():
        name, shape = names[key], tuple(value.shape)
        if name not in model_state:
            reason = drop_reason(key, name, model_state, release)
            rows.append(Row(key, None, shape, 'dropped' if reason else 'unexpected',
                            reason or f'the model has no {name}'))
            continue
        own = model_state[name]
        fitted = _fit(value, own)
        if fitted is None or name in found:
            note = f'{name} is {tuple(own.shape)} in the model' if fitted is None \
                else f'{name} was taken from another tensor already'
            action = 'dropped' if release.partial else 'conflict'
            rows.append(Row(key, None, shape, action, note))
            conflicts[name] = (shape, tuple(own.shape))
            continue
        found[name] = fitted
        rows.append(Row(key, name, shape, CONVERTED[name != key],
                        _changes(value, fitted)))
    converted = OrderedDict((name, found[name]) for name in model_state
                            if name in found)
    vars(converted)['_metadata'] = getattr(model_state, '_metadata', OrderedDict())
    missing = [name for name in model_state if name not in found]
    conversion = Conversion(release, converted, rows, missing)
    if release.partial:
        if not converted:
            conversion.problems.append('it has no part in common with the model')
    else:
        unexpected = [row.source for row in rows if row.action == 'unexpected']
        conversion.problems += explain(
            names, [name for name in missing if name not in conflicts], unexpected,
            conflicts)
    return conversion


def _fit(value: Tensor, own: Tensor) -> Tensor | None:
    """Bring a tensor into the model's layout and type, if it fits at all."""
    if value.shape != own.shape:
        # Sparse convolutions: spconv 2 keeps (out, x, y, z, in), its
        # predecessors (x, y, z, in, out).
        if value.dim() != 5 or value.permute(4, 0, 1, 2, 3).shape != own.shape:
            return None
        value = value.permute(4, 0, 1, 2, 3)
    return value.detach().to(own.dtype).contiguous()


def _changes(value: Tensor, fitted: Tensor) -> str:
    notes = []
    if value.shape != fitted.shape:
        notes.append('(x, y, z, in, out) to (out, x, y, z, in)')
    if value.dtype != fitted.dtype:
        notes.append(f'{_type(value)} to {_type(fitted)}')
    return '; '.join(notes)


def _type(value: Tensor) -> str:
    return str(value.dtype).removeprefix('torch.')


def _task(model: nn.Module) -> str | None:
    from ddp_perception.prediction_heads import heads_of
    fields = {head.prediction_field for head in heads_of(model)}
    return next((task for field, task in _TASKS.items() if field in fields), None)


def _wrong_task(release: Release, model: nn.Module) -> str | None:
    task = _task(model)
    if task == release.task:
        return None
    builds = {'map': "a map segmentation model (with a 'seg_head')",
              'depth': 'a depth model', 'segmentation': 'a segmentation model',
              None: 'a model with none of the heads of the releases'}[task]
    return f'it is of the release {release.name}, but the configuration builds {builds}'


def load_converted(model: nn.Module, conversion: Conversion) -> None:
    """Load a complete conversion, every parameter of it.

    Raises:
        ValueError: the conversion is not complete.
    """
    if not conversion.complete:
        raise ValueError('cannot load an incomplete conversion: '
                         + '; '.join(conversion.problems or conversion.missing))
    with torch.no_grad():
        model.load_state_dict(conversion.state)
