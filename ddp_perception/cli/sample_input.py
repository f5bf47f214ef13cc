"""What ``ddp-perception predict`` reads, and the data set that reads it."""
from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ddp_perception.cli.configuration import innermost_dataset, set_data_root
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config, ConfigDict
    from mmengine.registry import Registry

LOADERS = ('test_dataloader', 'val_dataloader')
IMAGES, FRAMES, SAMPLES = 'images', 'frames', 'samples'


class Samples(Protocol):
    """A data set that knows how many samples it has."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


def test_datasets(cfg: Config) -> Iterator[ConfigDict]:
    """Yield the settings of the configuration's test and validation data."""
    for loader in LOADERS:
        if cfg.get(loader):
            yield innermost_dataset(cfg[loader]['dataset'])


def input_kind(cfg: Config) -> str:
    """Tell what the configuration's test data are made of.

    Args:
        cfg: Its default scope is set.

    Returns:
        `FRAMES` for a data set of mmdet3d's nuScenes kind, which reads
        info files; `IMAGES` where the pipeline starts from a single image;
        `SAMPLES` for any other data set, which is built over other data.

    Raises:
        UserError: the configuration has no test data set.
    """
    from mmcv.transforms import LoadImageFromFile
    from mmdet3d.datasets import NuScenesDataset
    from mmengine.registry import DATASETS, TRANSFORMS
    settings = next(test_datasets(cfg), None)
    if settings is None:
        raise UserError('the configuration has no test_dataloader')
    steps = settings.get('pipeline') or [{'type': None}]
    if _is_kind(DATASETS, settings['type'], NuScenesDataset):
        return FRAMES
    first = steps[0]['type'] if hasattr(steps[0], 'get') else type(steps[0])
    return IMAGES if _is_kind(TRANSFORMS, first, LoadImageFromFile) else SAMPLES


def _is_kind(registry: Registry, name: str | type | None, base: type) -> bool:
    """Whether a type, by its name in the configuration, derives from another."""
    with registry.switch_scope_and_registry(None) as here:
        found = here.get(name) if isinstance(name, str) else name
    return isinstance(found, type) and issubclass(found, base)


def build_samples(cfg: Config, place: str | Path,
                  data_root: str | Path | None = None) -> Samples:
    """Build the configuration's test data set over other data.

    Args:
        cfg: Has a test data set.
        place: Data root, or annotation file.
        data_root: Where the files of an annotation
            file lie, by default beside it.

    Returns:
        The data set as configured, but for ``data_root`` and,
        for a file, ``ann_file``.

    Raises:
        UserError: there is no such file or folder, or a root was given twice.
    """
    from mmengine.config import Config
    from mmengine.registry import DATASETS
    place = Path(place).expanduser()
    if not place.exists():
        raise UserError(f'{place} is neither a file nor a folder')
    if place.is_dir() and data_root is not None:
        raise UserError(f'--data-root {data_root}: INPUT {place} is a data root '
                        'already')
    root = str(place if place.is_dir() else data_root or place.absolute().parent)
    moved = Config({'dataset': copy.deepcopy(dict(next(test_datasets(cfg))))})
    set_data_root(moved, root)
    moved.dataset.data_root = root
    if place.is_file():
        moved.dataset.ann_file = str(place.absolute())
    return DATASETS.build(moved.dataset)
