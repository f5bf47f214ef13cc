"""Find checkpoints, and refuse those of another configuration."""
from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ddp_perception.cli.errors import UserError
from ddp_perception.cli.output_places import require_file_place
from ddp_perception.cli.training_state import require_training_state
from ddp_perception.wording import few

if TYPE_CHECKING:
    from torch import Tensor, nn

_SHOWN = 4
_OF_TRAINING = re.compile(r'(epoch|iter)_\d+\.pth')  # as mmengine names them


@dataclass
class Difference:
    """How a file's parameters differ from a model's.

    Args:
        missing: names that only the model has.
        unexpected: names that only the file has.
        mismatched: (name, shape in the model, shape in the file).
        common: how many agree in name and shape.
        moved: names of tables of indices (integers) that have other values.
    """

    missing: list[str]
    unexpected: list[str]
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]]
    common: int
    moved: list[str] = field(default_factory=list)

    @property
    def not_filled(self) -> list[str]:
        """Names of the model that the file gives no fitting values."""
        return [*self.missing, *(name for name, *_ in self.mismatched)]

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.missing or self.unexpected or self.mismatched
                    or self.moved)

    def __str__(self) -> str:
        """Describe it in a few lines."""
        lines = []
        if self.missing:
            lines.append(f'{len(self.missing)} parameters of the model are not '
                         f'in the file: {few(self.missing, _SHOWN)}')
        if self.unexpected:
            lines.append(f'{len(self.unexpected)} parameters of the file are '
                         f'not in the model: {few(self.unexpected, _SHOWN)}')
        if self.mismatched:
            lines.append(f'{len(self.mismatched)} have another shape: ' + few(
                [f'{name} {model} in the model, {file} in the file'
                 for name, model, file in self.mismatched], _SHOWN))
        if self.moved:
            lines.append(f'{len(self.moved)} tables of indices hold others than the '
                         f'model computes: {few(self.moved, _SHOWN)}')
        lines.append(f'{self.common} agree')
        return '\n'.join(f'  {line}' for line in lines)


def compare_states(model_state: Mapping[str, Tensor],
                   file_state: Mapping[str, Tensor]) -> Difference:
    """Compare two state dicts by name and shape, and tables of indices by value.

    A table of indices, as windowed attention has them, follows from the model's
    settings; others from a file would reach beyond what they index.

    Args:
        model_state: Of the model.
        file_state: Of the file.

    Returns:
        What differs; it is false where they agree.
    """
    common = model_state.keys() & file_state.keys()
    mismatched = [(name, tuple(model_state[name].shape),
                   tuple(file_state[name].shape))
                  for name in model_state if name in common
                  and model_state[name].shape != file_state[name].shape]
    shapes = {name for name, *_ in mismatched}
    moved = [name for name in model_state if name in common - shapes
             and _is_table(model_state[name])
             and not model_state[name].equal(file_state[name].to(model_state[name]))]
    return Difference(
        missing=[name for name in model_state if name not in common],
        unexpected=[name for name in file_state if name not in common],
        mismatched=mismatched, common=len(common) - len(mismatched), moved=moved)


def expected_state(model: nn.Module,
                   file_state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what a file must hold to fill a model.

    That is the model's state, where what a module calls optional (a temperature
    of 1 is not saved) counts only if the file has it.
    """
    state = dict(model.state_dict())
    for place, module in model.named_modules():
        for name, value in getattr(module, 'optional_state', dict)().items():
            key = f'{place}.{name}' if place else name
            if key in file_state:
                state[key] = value
            else:
                state.pop(key, None)
    return state


def _is_table(value: Tensor) -> bool:
    """Tell whether a buffer holds indices; counters are numbers without axes."""
    return value.dim() > 0 and not (value.is_floating_point() or value.is_complex())


def require_checkpoint(path: str | Path) -> None:
    """Raise UserError unless the path is a file, or an address to fetch."""
    from ddp_perception.checkpoints.addresses import is_address
    if is_address(path):
        return
    path = Path(path).expanduser()
    if path.is_dir():
        files = sorted(str(file) for file in path.glob('*.pth'))[:5]
        raise UserError(f'checkpoint {path} is a folder' + (
            f'; it has {", ".join(files)}' if files else ''))
    if not path.is_file():
        raise UserError(f'checkpoint {path} does not exist')


def local_file(path: str | Path) -> Path:
    """Return the file of a checkpoint, fetched where it is an address.

    Raises:
        UserError: it cannot be fetched.
    """
    from ddp_perception.checkpoints.addresses import fetch, is_address
    if not is_address(path):
        return Path(path).expanduser()
    try:
        return fetch(str(path))
    except (OSError, ValueError) as error:
        raise UserError(f'checkpoint {path} cannot be fetched: {error}') from error


def require_output(out: str | Path, source: str | Path, option: str = 'OUT') -> Path:
    """Return the file that a changed checkpoint is to be written to.

    Args:
        out: The file, which may be there.
        source: The checkpoint that is changed.
        option: What names it on the command line.

    Raises:
        UserError: it is that checkpoint, or see `require_file_place`.
    """
    out, source = require_file_place(out, option), Path(source).expanduser()
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(f'{out} would be overwritten: name another {option}')
    return out


def read_content(path: str | Path, trusted: bool = False) -> dict:
    """Read all of a checkpoint.

    Args:
        path: The file.
        trusted: See `load_checkpoint_file`.

    Returns:
        What it holds; of a file that is a bare state dict, that as ``state_dict``.

    Raises:
        UserError: the file is missing, unreadable, no checkpoint, or holds
            objects that are refused.
    """
    import pickle
    import zipfile

    import torch

    from ddp_perception.checkpoints.reading import RefusedObject, load_checkpoint
    require_checkpoint(path)
    try:
        content = load_checkpoint(path, trusted=trusted)
    except RefusedObject as error:
        raise UserError(str(error)) from None
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile,
            OSError, ValueError, KeyError, IndexError, AttributeError,
            TypeError) as error:  # what pickle raises on other bytes
        message = f'{path} cannot be read as a checkpoint: {error}'
        raise UserError(str(error) if str(path) in str(error) else message
                        ) from error
    if isinstance(content, dict) and 'state_dict' not in content:
        content = {'state_dict': content}
    state = content['state_dict'] if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or not all(
            isinstance(name, str) and isinstance(value, torch.Tensor)
            for name, value in state.items()):
        raise UserError(f'{path} is not a checkpoint: it holds no state_dict '
                        'of tensors by name')
    if not _are_versions(getattr(state, '_metadata', {})):
        raise UserError(f'{path} is not a checkpoint: the versions of the modules in '
                        'its state_dict (_metadata) are no numbers by name')
    return content


def _are_versions(notes: object) -> bool:
    return isinstance(notes, dict) and all(
        isinstance(name, str) and isinstance(note, dict)
        and isinstance(note.get('version'), (int, float, type(None)))
        for name, note in notes.items())


def read_state(path: str | Path,
               trusted: bool = False) -> tuple[OrderedDict[str, Tensor], dict]:
    """Read a checkpoint's parameters.

    Args:
        path: The file.
        trusted: See `load_checkpoint_file`.

    Returns:
        State dict without DDP's ``module.`` prefix, and
        the meta data (empty where there is none).

    Raises:
        UserError: see `read_content`.
    """
    return _state_of(read_content(path, trusted))


def _state_of(content: dict) -> tuple[OrderedDict[str, Tensor], dict]:
    meta, content = content.get('meta'), content['state_dict']
    versions = getattr(content, '_metadata', None)
    state = OrderedDict((name.removeprefix('module.'), value)
                        for name, value in content.items())
    if versions is not None:  # mmdet3d turns sparse weights of no known version
        state._metadata = OrderedDict(  # type: ignore[attr-defined]
            (name.removeprefix('module').removeprefix('.'), value)
            if name.split('.')[0] == 'module' else (name, value)
            for name, value in versions.items())
    return state, meta if isinstance(meta, dict) else {}


def require_fit(model: nn.Module, path: str | Path, config_path: str | Path,
                trusted: bool = False) -> OrderedDict[str, Tensor]:
    """Refuse a checkpoint of another configuration before anything runs.

    Args:
        model: Built from the configuration.
        path: The checkpoint.
        config_path: For the message.
        trusted: See `load_checkpoint_file`.

    Returns:
        The state dict.

    Raises:
        UserError: names or shapes differ; lists a few.
    """
    return _require_fit(model, read_content(path, trusted), path, config_path)


def require_resumable(model: nn.Module, path: str | Path, config_path: str | Path,
                      trusted: bool = False) -> None:
    """Refuse a checkpoint that a training of the model cannot go on from.

    Args:
        model: See `require_fit`.
        path: See `require_fit`.
        config_path: See `require_fit`.
        trusted: See `load_checkpoint_file`.

    Raises:
        UserError: see `require_fit` and `require_training_state`.
    """
    content = read_content(path, trusted)
    _require_fit(model, content, path, config_path)
    require_training_state(content, path)


def _require_fit(model: nn.Module, content: dict, path: str | Path,
                 config_path: str | Path) -> OrderedDict[str, Tensor]:
    state, meta = _state_of(content)
    difference = compare_states(expected_state(model, state), state)
    if difference:
        origin = meta.get('experiment_name')
        raise UserError(
            f'checkpoint {path} does not fit the model of {config_path}:\n'
            f'{difference}\n'
            'It comes from another configuration'
            + (f' (its run was named {origin})' if origin else '')
            + '; use that one, or the changes made to it with --cfg-options.')
    return state


def load_weights(model: nn.Module, path: str | Path, config_path: str | Path,
                 trusted: bool = False) -> None:
    """Load a checkpoint into a model, every parameter of it.

    Raises:
        UserError: see `require_fit`; or a value is out of its range.
    """
    state = require_fit(model, path, config_path, trusted)
    if not hasattr(state, '_metadata'):  # the shapes fit as they are
        state._metadata = (  # type: ignore[attr-defined]
            model.state_dict()._metadata)  # type: ignore[attr-defined]
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f'checkpoint {path} cannot be loaded: {error}') from error


def require_overlap(model: nn.Module, path: str | Path, config_path: str | Path,
                    trusted: bool = False) -> Difference:
    """Check a checkpoint that is to initialise a part of a model.

    Returns:
        What stays as initialised, to be shown.

    Raises:
        UserError: not one parameter agrees in name and shape, or a table of
            indices differs.
    """
    state, _ = read_state(path, trusted)
    difference = compare_states(expected_state(model, state), state)
    if difference.moved:
        raise UserError(f'checkpoint {path} is not for the model of {config_path}:'
                        f'\n{difference}')
    if not difference.common:
        raise UserError(f'checkpoint {path} has nothing in common with the '
                        f'model of {config_path}:\n{difference}')
    return difference


def latest_checkpoint(work_dir: str | Path, trusted: bool = False) -> Path | None:
    """Return the checkpoint to go on from in a work directory.

    That is the one that the run wrote last. Where its file is gone or cannot
    be read, the newest one beside it that can; what is passed over is printed.

    Args:
        work_dir: The directory. It may have moved since.
        trusted: See `load_checkpoint_file`.

    Returns:
        None where there is none.

    Raises:
        UserError: not one can be read. Names them all.
    """
    pointer, folder = Path(work_dir) / 'last_checkpoint', Path(work_dir)
    named = Path(pointer.read_text().strip()) if pointer.is_file() else Path()
    if named.is_file() and not (folder / named.name).is_file():
        folder = named.parent  # as the hook's out_dir says
    candidates = sorted((path for path in folder.glob('*.pth')
                         if _OF_TRAINING.fullmatch(path.name)),
                        reverse=True, key=_age)
    problems, last = [], folder / named.name
    if last.is_file():
        candidates = [last, *(path for path in candidates if path != last)]
    elif named.name:
        problems.append(f'{pointer} names {named}, which does not exist')
    for path in candidates:
        try:
            require_training_state(read_content(path, trusted), path)
        except UserError as error:
            problems.append(str(error))
            continue
        if problems:
            print('\n'.join(problems), f'going on from {path}, the newest one '
                  'that can be read', sep='\n')
        return path
    if problems:
        raise UserError('\n'.join(problems)
                        + '; give the checkpoint to go on from as --resume FILE')
    return None


def _age(path: Path) -> tuple[int, int]:
    """Sort the files of a run by when they were written."""
    return path.stat().st_mtime_ns, int(re.findall(r'\d+', path.name)[0])
