"""Say what to do where the data of a configuration are missing."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ddp_perception.cli.configuration import innermost_dataset, unwrapped
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

    from ddp_perception.datasets.missing_list import Advice


def require_info_files(cfg: Config, loaders: Sequence[str]) -> None:
    """Raise before anything is built where the list of samples is missing.

    That is an annotation file or, without one, the folder of images. Likewise
    where the objects are missing that a step of the pipeline pastes.

    Args:
        cfg: The configuration.
        loaders: Names such as 'train_dataloader'.

    Raises:
        UserError: names it and, where the class of the data set tells, the
            command that writes it.
    """
    for name in loaders:
        if not cfg.get(name):
            continue
        dataset = innermost_dataset(cfg[name]['dataset'])
        root = dataset.get('data_root') or ''
        listed, what = dataset.get('ann_file'), 'file'
        exists: Callable[[str], bool] = os.path.isfile
        if not listed and not dataset.get('backend_args'):
            listed = (dataset.get('data_prefix') or {}).get('img_path')
            exists, what = os.path.isdir, 'image folder'
        path = os.path.join(root, listed or '')
        if listed and not exists(path):
            raise UserError(_message(cfg, name, dataset, what, path))
        _require_objects(name, dataset)


def _require_objects(name: str, dataset: dict) -> None:
    """Raise where the objects that mmdet3d's ObjectSample pastes are missing."""
    for step in dataset.get('pipeline') or ():
        sampler = (step.get('db_sampler') if isinstance(step, dict) else None) or {}
        path = sampler.get('info_path')
        if path and not sampler.get('backend_args') and not os.path.isfile(path):
            raise UserError('\n  '.join([
                f'the objects {path} that {step["type"]} of {name} pastes into frames '
                'are missing; ddp-perception prepare does not cut them out.',
                "mmdet3d's tools/create_data.py does, with the info files.",
                'Without them, leave the step out in a configuration of your own:  '
                'train_pipeline = [step for step in _base_.train_pipeline '
                "if step['type'] != 'ObjectSample']"]))


def _message(cfg: Config, name: str, dataset: dict, what: str, path: str) -> str:
    root = dataset.get('data_root') or ''
    where = root or '.'
    reason = ('' if os.path.isdir(where) else
              f' (the data root {where} does not exist)')
    advice = _advice(cfg, dataset)
    missing = (f'the {advice.what if advice else what} {path} of {name} is '
               f'missing{reason}')
    if advice is None:
        file = cfg.filename or 'the configuration'
        return f'{missing}; correct {file}, or for data elsewhere add --data-root DIR'
    steps = advice.steps.format(root=where)
    listed = dataset.get('ann_file')
    if advice.written and listed not in advice.written.values():
        steps = _use_written(cfg, dataset['type'], root, advice, steps)
    lines = [f'{missing}.', steps, 'Data elsewhere:  add --data-root DIR']
    if advice.command:
        lines.append('No data at all:  ddp-perception synthesize '
                     f'{advice.command} {where}  first')
    return '\n  '.join(lines)


def _advice(cfg: Config, dataset: dict) -> Advice | None:
    """Return the advice of a data set's class or the nearest base, or None."""
    from ddp_perception.datasets.missing_list import advice_for
    from ddp_perception.registry import DATASETS
    kind = dataset.get('type')
    names = [kind.split('.')[-1]] if isinstance(kind, str) else []
    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
            kind = registry.get(kind)
    if isinstance(kind, type):
        names += [base.__name__ for base in kind.__mro__]
    return advice_for(names)


def _use_written(cfg: Config, kind: str | type, root: str, advice: Advice,
                 steps: str) -> str:
    """Say how a configuration of other lists takes those that we write."""
    there = all(os.path.isfile(os.path.join(root, written))
                for written in advice.written.values())
    options = []
    for name, written in advice.written.items():
        if not cfg.get(name):
            continue
        dataset, depth = unwrapped(cfg[name]['dataset'])
        if dataset.get('type') == kind:
            options.append(f'{name}{".dataset" * (depth + 1)}.ann_file={written}')
    option = '--cfg-options ' + ' '.join(options)
    if there:  # the command would refuse to replace them
        files = ' and '.join(dict.fromkeys(advice.written.values()))
        return f'Use {files}, which are there:  {option}'
    return f'{steps}\n  and use the lists that it writes:  {option}'
