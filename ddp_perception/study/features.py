"""Features of a frozen encoder, kept in files for all trainings of a study."""
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from ddp_perception.engine.numbered_batches import seed_generators
from ddp_perception.study.settings import (
    DamagedFile,
    OtherSettings,
    differing,
    plain,
)

HELD_OUT = 10
"""Every so many training samples, the last is kept for the temperature."""

Encode = Callable[[Any], tuple[Tensor, Tensor]]
"""From a sample of a data set to features (C, H, W) and truth (k, Y, X)."""


@dataclass(frozen=True)
class Split:
    """Features and truth of some samples, mapped from files.

    Args:
        features: (N, C, H, W) float16.
        truth: (N, k, Y, X) uint8.
        views: views of each sample; view v of sample s is at
            ``v * samples + s``.
    """

    features: np.ndarray
    truth: np.ndarray
    views: int = 1

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, indices: Sequence[int], device: str = 'cpu'
              ) -> tuple[Tensor, Tensor]:
        """Return float32 features and uint8 truth of some places, on a device."""
        chosen = np.asarray(indices)
        return (torch.from_numpy(self.features[chosen]).to(device).float(),
                torch.from_numpy(self.truth[chosen]).to(device))

    def places(self, held_out: bool) -> list[int]:
        """Return the places to train on: all views of nine samples in ten.

        Args:
            held_out: the others instead, one view of each.
        """
        samples = len(self) // self.views
        kept = [s for s in range(samples)
                if (s % HELD_OUT == HELD_OUT - 1) == held_out]
        if held_out and not kept:
            kept = [samples - 1]  # of a set that is too small to keep any apart
        return [view * samples + s for view in range(1 if held_out else self.views)
                for s in kept]


class FeatureStore:
    """A folder of the features of both splits, and of what made them.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._note = self.folder / 'features.json'

    @property
    def exists(self) -> bool:
        """Whether the features are there, all of them."""
        return self._note.is_file()

    def require(self, made_by: Mapping[str, Any]) -> None:
        """Refuse features that were made otherwise.

        Args:
            made_by: what makes them now.

        Raises:
            OtherSettings: names what differs.
        """
        place = differing(self.note.get('made_by'), made_by)
        if place:
            raise OtherSettings(f'{self.folder} has features of something else: '
                                f'{place}. Choose another folder, or remove this one')

    @property
    def note(self) -> dict[str, Any]:
        """What made the features, and how a head reads them.

        Raises:
            DamagedFile: it cannot be read, or lacks the views.
        """
        try:
            note = json.loads(self._note.read_bytes())
        except (ValueError, RecursionError):
            note = None
        if not isinstance(note, dict) or not isinstance(note.get('views'), dict):
            raise DamagedFile(f'{self._note} must be JSON with the views of each '
                              'split. Choose another folder, or remove this one')
        return note

    def split(self, name: str) -> Split:
        """Return the features of a split without reading them all.

        Raises:
            DamagedFile: they are not there, or no such arrays.
        """
        views = self.note['views'].get(name)
        features, truth = (self._array(f'{name}_{what}.npy', kind) for what, kind in (
            ('features', np.float16), ('truth', np.uint8)))
        if type(views) is not int or views < 1 or len(features) != len(truth) or (
                len(features) % views):
            raise DamagedFile(f'{self.folder} has {len(features)} features and '
                              f'{len(truth)} truths of {name} in {views!r} views')
        return Split(features, truth, views)

    def _array(self, name: str, kind: type) -> np.ndarray:
        path = self.folder / name
        try:
            array = np.load(path, mmap_mode='r')
        except (OSError, ValueError, EOFError) as error:
            raise DamagedFile(f'{path} cannot be read: {error}') from error
        if array.dtype != kind or array.ndim != 4 or not len(array):
            raise DamagedFile(f'{path} must hold {kind.__name__} of four axes, got '
                              f'{array.dtype} of shape {array.shape}')
        return array

    def write(self, datasets: Mapping[str, Any], counts: Mapping[str, int | None],
              views: Mapping[str, int], encode: Encode, seed: int,
              note: Mapping[str, Any],
              progress: Callable[[str], None] = lambda text: None) -> None:
        """Encode the samples of all splits; the folder appears when complete.

        Args:
            datasets: by the name of the split.
            counts: samples of each, spread evenly; None is all.
            views: how often each sample is loaded and encoded.
            encode: see `Encode`.
            seed: of the augmentation, which depends on nothing else.
            note: kept beside the features.
            progress: is told how far it is.

        Raises:
            ValueError: samples differ in size, or a feature is beyond float16.
        """
        part = self.folder.with_name(f'{self.folder.name}.part{os.getpid()}')
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            for number, (name, dataset) in enumerate(datasets.items()):
                _write_split(part, name, dataset, counts[name], views[name], encode,
                             (seed, number), progress)
            content = plain({**note, 'views': views})
            (part / self._note.name).write_text(json.dumps(content, indent=1) + '\n')
            os.replace(part, self.folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _write_split(folder: Path, name: str, dataset: Any, count: int | None, views: int,
                 encode: Encode, seeds: tuple[int, int],
                 progress: Callable[[str], None]) -> None:
    total = len(dataset)
    count = min(count or total, total)
    if not count:
        raise ValueError(f'the data set of {name} has no sample')
    chosen = np.linspace(0, total - 1, count).round().astype(int)
    files: dict[str, np.ndarray] = {}
    for place in range(views * count):
        view, sample = divmod(place, count)
        seed_generators(*seeds, view, int(chosen[sample]))
        arrays = dict(zip(('features', 'truth'), encode(dataset[int(chosen[sample])])))
        for what, values in arrays.items():
            with np.errstate(over='ignore'):  # refused below
                array = values.numpy().astype(
                    np.float16 if what == 'features' else np.uint8)
            if what not in files:
                files[what] = open_memmap(
                    folder / f'{name}_{what}.npy', 'w+', array.dtype,
                    (views * count, *array.shape))
            if array.shape != files[what].shape[1:]:
                raise ValueError(
                    f'{what} of sample {int(chosen[sample])} of {name} are '
                    f'{array.shape}, those before it {files[what].shape[1:]}: a study '
                    'needs samples of one size')
            if what == 'features' and not np.isfinite(array).all():
                raise ValueError(f'features of sample {int(chosen[sample])} of {name} '
                                 'are not finite in float16')
            files[what][place] = array
        if (place + 1) % 100 == 0 or place + 1 == views * count:
            progress(f'{name}: {place + 1} of {views * count} encoded')
    for file in files.values():
        file.flush()  # type: ignore[attr-defined]  # a memmap
