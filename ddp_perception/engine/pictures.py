"""Draw what a model predicts while it is evaluated."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from ddp_perception.fields import Setting, fields_of
from ddp_perception.file_names import output_name, output_names
from ddp_perception.prediction_heads import heads_by_field
from ddp_perception.registry import HOOKS

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.data import DataLoader


@HOOKS.register_module()
class PictureHook(Hook):
    """Draw prediction and truth of some samples of an evaluation.

    What is drawn follows from what a sample predicts: every registered
    `Field` knows how. Truth is drawn where the sample has it. Samples are
    taken evenly over the split: every n-th one that the process evaluates, from the
    first, counted over the batches, with the least n that keeps to the limit; all of
    them where there are no more than that. The size of the batch changes nothing.

    Writes PNG files, named by the token of a map's frame or after the image.
    Images of one name get the names of their folders before it, as many as
    tell them apart: ``drive_0002_sync__data__0000000069.png``. What cannot be a
    file's name is changed; see `output_names`.

    Args:
        out_dir: picture folder, relative to the current one.
        limit: how many samples each process draws at most.
        threshold: probability from which a map shows a class.

    Raises:
        ValueError: the limit is below one; or, at the first sample, it holds
            no such prediction or its image cannot be drawn.
    """

    priority = 'LOW'

    def __init__(self, out_dir: str, limit: int = 20, threshold: float = 0.5) -> None:
        if limit < 1:
            raise ValueError(f'limit must be at least 1, got {limit}')
        self.out_dir = Path(out_dir)
        self.limit = limit
        self.threshold = threshold
        self._seen = 0  # samples of this evaluation, before the batch
        # Data set; names by token and by image.
        self._names: tuple[Any, dict[str, str], dict[str, str]] = None, {}, {}

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: object = None,
                        outputs: Sequence[BaseDataElement] | None = None) -> None:
        """Draw every n-th sample; see the class."""
        self._draw(runner, runner.test_dataloader, batch_idx, outputs)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: object = None,
                       outputs: Sequence[BaseDataElement] | None = None) -> None:
        """Draw every n-th sample; see the class."""
        self._draw(runner, runner.val_dataloader, batch_idx, outputs)

    def _draw(self, runner: Runner, loader: DataLoader, batch_idx: int,
              outputs: Sequence[BaseDataElement] | None) -> None:
        if batch_idx == 0:
            self._seen = 0
        every = max(1, -(-len(cast(Sized, loader.sampler)) // self.limit))
        for number, sample in enumerate(outputs or (), self._seen):
            if number % every == 0:
                self._draw_sample(runner.model, loader.dataset, sample, number)
        self._seen += len(outputs or ())

    def _draw_sample(self, model: nn.Module, dataset: Any, sample: BaseDataElement,
                     number: int) -> None:
        name = self._name(sample, dataset) or output_name(
            sample.metainfo.get('token') or f'{number:06d}_{get_rank()}')
        heads = heads_by_field(model)
        found = fields_of(sample)
        for field in found:
            setting = Setting(heads.get(field.prediction),
                              getattr(dataset, 'metainfo', {}), self.threshold,
                              getattr(dataset, 'ignore_index', 255))
            ending = f'_{field.prediction}.png' if len(found) > 1 else '.png'
            field.draw(sample, self.out_dir / f'{name}{ending}', setting)

    def _name(self, sample: BaseDataElement, dataset: Any) -> str | None:
        """Return the name of a sample's pictures, None where it has none."""
        tokens, images = self._names_of(dataset)
        meta = sample.metainfo
        path = meta.get('img_path')
        return tokens.get(str(meta.get('token'))) or (
            images.get(path) if isinstance(path, str) else None)

    def _names_of(self, dataset: Any) -> tuple[dict[str, str], dict[str, str]]:
        """Name all frames and images of a data set, alike in every process."""
        if self._names[0] is not dataset:
            infos = [] if not hasattr(dataset, 'get_data_info') else [
                dataset.get_data_info(index) for index in range(len(dataset))]
            tokens, paths = (
                list(dict.fromkeys(
                    str(info[key]) for info in infos if info.get(key)))
                for key in ('token', 'img_path'))
            self._names = (
                dataset, dict(zip(tokens, output_names(tokens), strict=True)),
                dict(zip(paths, output_names(name_images(paths)), strict=True)))
        return self._names[1:]


def name_images(paths: Sequence[str]) -> list[str]:
    """Name images by their stems and, where those are shared, folders.

    Args:
        paths: Paths of images.

    Returns:
        A name per path, without suffix, different for different paths. Case
        does not tell names apart, as on some disks.
    """
    files = [Path(path) for path in dict.fromkeys(paths)]
    stems = Counter(str(file.with_suffix('')).casefold() for file in files)
    parts = {}
    for file in files:
        beside = stems[str(file.with_suffix('')).casefold()] > 1  # a.png, a.jpg
        last = f'{file.stem}_{file.suffix[1:]}' if beside else file.stem
        parts[str(file)] = *file.parent.parts, last
    depth = dict.fromkeys(parts, 1)
    while True:
        names = {path: '__'.join(parts[path][-depth[path]:]).replace('/', '')
                 for path in parts}
        counts = Counter(name.casefold() for name in names.values())
        shared = [path for path, name in names.items()
                  if counts[name.casefold()] > 1]
        longer = [path for path in shared if depth[path] < len(parts[path])]
        if not longer:
            break
        for path in longer:
            depth[path] += 1
    for number, path in enumerate(shared, 1):  # a__b/c beside a/b__c
        names[path] += f'__{number}'
    return [names[str(Path(path))] for path in paths]
