"""Load any split of a configuration as it is loaded in evaluation."""
from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.configuration import innermost_dataset
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch.utils.data import DataLoader

SPLITS = ('val', 'test', 'train')
_WHICH = ('type', 'data_root', 'ann_file', 'cities', 'data_prefix', 'indices',
          'split')


def split_loader(cfg: Config, split: str, samples: int | None = None) -> DataLoader:
    """Build a loader of a split's samples, in their order, each once.

    Those of training are loaded by the pipeline of the validation data (or
    of the test data): whole and without augmentation. Wrappers that repeat or
    choose samples are left out.

    Args:
        cfg: Has that dataloader. Its default scope is initialised.
        split: One of `SPLITS`.
        samples: Only so many, spread evenly.

    Raises:
        UserError: there is no pipeline of evaluation, or no sample.
    """
    import numpy as np
    from mmengine.registry import DATASETS
    from mmengine.runner import Runner
    from torch.utils.data import Subset
    own = cfg[f'{split}_dataloader']
    pattern = own if split != 'train' else (
        cfg.get('val_dataloader') or cfg.get('test_dataloader'))
    if not pattern:
        raise UserError('training data are loaded as in evaluation, and the '
                        'configuration has neither val_dataloader nor test_dataloader')
    settings = copy.deepcopy(dict(innermost_dataset(own['dataset'])))
    settings.update({key: value for key, value in
                     innermost_dataset(pattern['dataset']).items()
                     if key in ('pipeline', 'test_mode')})
    dataset = DATASETS.build(settings)
    if not len(dataset):
        raise UserError(f'{split}_dataloader has no samples')
    if samples is not None and samples < len(dataset):
        chosen = np.linspace(0, len(dataset) - 1, samples).round().astype(int)
        dataset = Subset(dataset, chosen.tolist())
    loader = copy.deepcopy(dict(pattern))
    loader.pop('batch_sampler', None)
    loader.update(dataset=dataset, drop_last=False,
                  sampler=dict(type='DefaultSampler', shuffle=False))
    return Runner.build_dataloader(loader)


def same_data(cfg: Config, one: str, other: str) -> bool:
    """Whether two dataloaders of a configuration read the same samples."""
    if not cfg.get(one) or not cfg.get(other):
        return False
    first, second = (innermost_dataset(cfg[name]['dataset']) for name in (one, other))
    return all(first.get(key) == second.get(key) for key in _WHICH)


def is_random(loader: DataLoader) -> bool:
    """Whether a sample's inputs are others when it is loaded again."""
    return not _equal(*(loader.dataset[0].get('inputs') for _ in range(2)))


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(
            _equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    if hasattr(first, 'shape'):
        return first.shape == second.shape and bool((first == second).all())
    return bool(first == second)
