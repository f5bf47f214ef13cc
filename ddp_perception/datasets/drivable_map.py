"""Drivable area at real poses, beside a sketch of the roads as prior map."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.dataset import BaseDataset

from ddp_perception.registry import DATASETS

from .drivable_files import City, read_city
from .map_classes import MAP_CLASSES, MAP_PALETTE

PRIOR_CLASSES = ('major_road', 'minor_road', 'service_or_path')
"""Channels of the sketch: OpenStreetMap's roads by importance."""

PRIOR_PALETTE = ((178, 24, 43), (33, 102, 172), (120, 120, 120))
"""RGB, 0 to 255, in the order of `PRIOR_CLASSES`."""


@DATASETS.register_module()
class DrivableMapDataset(BaseDataset):
    """Frames of cities: a sketch of the roads, and where one can drive.

    A city is one file, ``<data_root>/<city>.npz``; see `read_city` and
    `write_city`. A split is a list of cities. The maps stay packed in memory,
    20 kB a frame.

    Args:
        data_root: Folder of the files.
        cities: Names of the files without ``.npz``.
        pipeline: Steps or their configs.
        ann_file: One file, relative to `data_root` unless absolute, in the
            place of `cities`.
        prior_classes: Names of the sketch's channels, for pictures; how many
            there are is how many a file must have.
        prior_palette: One RGB triple of 0 to 255 for each.
        metainfo, indices, serialize_data, test_mode, lazy_init, max_refetch:
            As in mmengine's BaseDataset.

    A sample has map_prior (channels, 200, 200) and gt_masks_bev (1, 200, 200),
    uint8, 0 or 1, x right along axis 1, y forward along axis 2, +-50 m at
    0.5 m; token, scene_name and map_location (the city).

    Raises:
        FileNotFoundError: a file is missing; says which there are.
        ValueError: no city is named, one is named twice, two have a token in
            common, the palette does not fit, or see `read_city`.
    """

    METAINFO = {'classes': MAP_CLASSES[:1], 'palette': MAP_PALETTE[:1],
                'map_classes': MAP_CLASSES[:1], 'map_palette': MAP_PALETTE[:1]}

    def __init__(self, data_root: str | Path, cities: Sequence[str] = (),
                 pipeline: Sequence[dict | Callable] = (), ann_file: str = '',
                 prior_classes: Sequence[str] = PRIOR_CLASSES,
                 prior_palette: Sequence[Sequence[int]] = PRIOR_PALETTE,
                 metainfo: dict | None = None,
                 indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True, test_mode: bool = False,
                 lazy_init: bool = False, max_refetch: int = 1000) -> None:
        if isinstance(cities, str):
            cities = (cities,)
        if not cities and not ann_file:
            raise ValueError("cities must name at least one file, such as "
                             "['boston-seaport'], got none")
        if len(set(cities)) < len(cities):
            raise ValueError(f'cities must differ, got {list(cities)}')
        if len(prior_palette) != len(prior_classes):
            raise ValueError(
                f'prior_palette must hold {len(prior_classes)} colours, one for '
                f'each of prior_classes, got {len(prior_palette)}')
        self.cities = tuple(cities)
        self._files: list[City] = []
        super().__init__(
            ann_file=str(ann_file),
            metainfo={'prior_classes': tuple(prior_classes),
                      'prior_palette': tuple(map(tuple, prior_palette)),
                      **(metainfo or {})},
            data_root=str(data_root), data_prefix={}, indices=indices,
            serialize_data=serialize_data, pipeline=list(pipeline),
            test_mode=test_mode, lazy_init=lazy_init, max_refetch=max_refetch)

    def load_data_list(self) -> list[dict]:
        """Read the files and list their frames."""
        paths = [Path(self.ann_file)] if self.ann_file else [
            Path(self.data_root, f'{city}.npz') for city in self.cities]
        channels = len(self.metainfo['prior_classes'])
        self._files = [self._read(path, channels) for path in paths]
        frames: dict[str, dict] = {}
        for number, city in enumerate(self._files):
            for row, (token, scene) in enumerate(zip(
                    city.token.tolist(), city.scene.tolist(), strict=True)):
                if token in frames:
                    other = self._files[frames[token]['place'][0]].path
                    raise ValueError(f'{city.path} and {other} both have the token '
                                     f'{token!r}')
                frames[token] = dict(token=token, scene_name=scene,
                                     map_location=city.path.stem,
                                     place=(number, row))
        return list(frames.values())

    @staticmethod
    def _read(path: Path, channels: int) -> City:
        try:
            return read_city(path, channels)
        except FileNotFoundError as error:
            there = sorted(file.name for file in path.parent.glob('*.npz'))
            raise FileNotFoundError(
                f'{error}; {path.parent} has {", ".join(there[:8]) or "no .npz file"}'
            ) from None

    def prepare_data(self, idx: int) -> dict:
        """Unpack a frame's maps and run the pipeline."""
        frame = self.get_data_info(idx)
        number, row = frame['place']
        frame['map_prior'], frame['gt_masks_bev'] = self._files[number].maps(row)
        return self.pipeline(frame)
