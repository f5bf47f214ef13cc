"""nuScenes frames with what map segmentation needs."""
from collections.abc import Sequence
from pathlib import Path

from mmdet3d.datasets import NuScenesDataset

from ddp_perception.registry import DATASETS

from .info_files import read_info_file
from .info_schema import required_fields
from .map_classes import MAP_CLASSES, MAP_PALETTE
from .transforms.images import CAMERAS
from .transforms.map_masks import LoadMapMasks
from .vector_map import load_vector_map, require_map_files

NUSCENES_PREFIX = {'pts': 'samples/LIDAR_TOP', 'sweeps': 'sweeps/LIDAR_TOP',
                   **{name: f'samples/{name}' for name in CAMERAS}}
"""Folders of a nuScenes root, for info files that hold base names."""

FLAT_PREFIX = dict.fromkeys(NUSCENES_PREFIX, '')
"""All files of a frame in one folder."""


@DATASETS.register_module()
class NuScenesMapDataset(NuScenesDataset):
    """mmdet3d's nuScenes data set, extended for map segmentation.

    The info file (pickle or JSON, info v2) carries `map_location`, which
    ``ddp-perception prepare nuscenes`` writes. The map itself is read from
    maps/expansion when a sample needs it, in training and in testing.

    Args:
        data_root: nuScenes root.
        ann_file: Info file, relative to the root.
        pipeline: Steps or their configs.
        modality: use_camera and use_lidar, both by default.
        data_prefix: Folders of the sensors under the root. By default those of
            nuScenes, or the root itself where the first frame's files lie
            there directly.
        load_map: Check at construction that the map fields and files are
            there. By default where the pipeline holds a LoadMapMasks.
        filter_empty_gt: Skip training frames without boxes. Off: a map needs
            none.
        map_classes: Names in the order of the masks, for metrics and pictures.
        lazy_init: Read no frame before `full_init`; classes and palettes are
            known without any file.

    Other arguments are those of mmdet3d's NuScenesDataset.

    Every sample has, besides mmdet3d's keys, lidar2ego (4, 4), map_root and
    test_mode.

    Raises:
        ValueError: frames lack `map_location`; says how to add it. The info file
            or a map cannot be read or holds wrong values; names file, frame and
            key (see `check_infos`).
        FileNotFoundError: the info file or a map expansion file is missing.
    """

    # Without `version`: that of the info file holds (mini, trainval, test).
    METAINFO = {'classes': NuScenesDataset.METAINFO['classes'],
                'palette': NuScenesDataset.METAINFO['palette'],
                'map_classes': MAP_CLASSES, 'map_palette': MAP_PALETTE}

    def __init__(self, data_root: str, ann_file: str, pipeline: Sequence = (),
                 modality: dict | None = None, data_prefix: dict | None = None,
                 load_map: bool | None = None, filter_empty_gt: bool = False,
                 map_classes: Sequence[str] = MAP_CLASSES, metainfo: dict | None = None,
                 box_type_3d: str = 'LiDAR', test_mode: bool = False,
                 with_velocity: bool = True, use_valid_flag: bool = False,
                 load_eval_anns: bool = True,
                 indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True, lazy_init: bool = False,
                 max_refetch: int = 1000, filter_cfg: dict | None = None,
                 backend_args: dict | None = None, default_cam_key: str | None = None,
                 show_ins_var: bool = False) -> None:
        path = Path(data_root or '', ann_file)
        if not lazy_init and not path.is_file():
            raise FileNotFoundError(
                f'info file {path} is missing; write it with "ddp-perception '
                f'prepare nuscenes {data_root}"')
        if data_prefix is None:
            data_prefix = (detect_data_prefix(data_root, ann_file)
                           if path.is_file() else NUSCENES_PREFIX)
        if load_map is None:
            load_map = any(map(_draws_masks, pipeline))
        self.load_map = load_map
        palette = [MAP_PALETTE[MAP_CLASSES.index(name)]
                   if name in MAP_CLASSES else (0, 0, 0)
                   for name in map_classes]
        super().__init__(
            data_root=str(data_root), ann_file=ann_file,
            pipeline=list(pipeline), box_type_3d=box_type_3d,
            modality=dict(modality or dict(use_camera=True, use_lidar=True)),
            filter_empty_gt=filter_empty_gt, test_mode=test_mode,
            with_velocity=with_velocity, use_valid_flag=use_valid_flag,
            data_prefix=dict(data_prefix), load_eval_anns=load_eval_anns,
            metainfo={'map_classes': tuple(map_classes),
                      'map_palette': palette, **(metainfo or {})},
            indices=indices, serialize_data=serialize_data,
            lazy_init=lazy_init, max_refetch=max_refetch,
            filter_cfg=filter_cfg, backend_args=backend_args,
            default_cam_key=default_cam_key, show_ins_var=show_ins_var)

    def load_data_list(self) -> list[dict]:
        """Read and check the info file, and the maps where masks are drawn."""
        content = read_info_file(self.ann_file, required_fields(
            self.modality, self.load_map, velocity=self.with_velocity,
            boxes=not self.test_mode or self.load_eval_anns))
        if self.load_map:
            self._require_maps(content['data_list'])
        for key, value in content['metainfo'].items():
            self._metainfo.setdefault(key, value)
        return [self.parse_data_info(frame) for frame in content['data_list']]

    def _require_maps(self, frames: list[dict]) -> None:
        lacking = [str(frame.get('token')) for frame in frames
                   if not frame.get('map_location')]
        if lacking:
            raise ValueError(
                f'{self.ann_file}: {len(lacking)} of {len(frames)} frames '
                f'have no map_location (first: {lacking[0]}). Add the map '
                'fields with "ddp-perception prepare nuscenes '
                f'{self.data_root} --extend {self.ann_file}"')
        locations = {frame['map_location'] for frame in frames}
        require_map_files(self.data_root, locations)
        for location in sorted(locations):  # workers that fork share them
            load_vector_map(self.data_root, location)

    def parse_data_info(self, info: dict) -> dict:
        """Add lidar2ego, map_root and test_mode to mmdet3d's sample."""
        info.setdefault('instances', [])  # the test split has none
        info = super().parse_data_info(info)
        info['lidar2ego'] = info.get('lidar_points', {}).get('lidar2ego')
        info['map_root'] = self.data_root
        info['test_mode'] = self.test_mode
        return info


def detect_data_prefix(data_root: str | Path, ann_file: str | Path) -> dict:
    """Return the folders of the sensors for an info file.

    Args:
        data_root: Where the data lie.
        ann_file: Info file, relative to the root.

    Returns:
        `FLAT_PREFIX` where there is no folder samples and the first frame's
        LiDAR file or an image lies in the root itself, `NUSCENES_PREFIX`
        otherwise.
    """
    if Path(data_root or '', 'samples').is_dir():
        return NUSCENES_PREFIX
    content = read_info_file(Path(data_root or '', ann_file))
    frame = content['data_list'][0] if content['data_list'] else {}
    names = [(frame.get('lidar_points') or {}).get('lidar_path')]
    names += [view.get('img_path')
              for view in (frame.get('images') or {}).values()]
    flat = any(name and Path(data_root or '', name).is_file()
               for name in names)
    return FLAT_PREFIX if flat else NUSCENES_PREFIX


def _draws_masks(step: object) -> bool:
    kind = step.get('type') if hasattr(step, 'get') else step
    if isinstance(kind, str):
        return kind.split('.')[-1] == LoadMapMasks.__name__
    return kind is LoadMapMasks or isinstance(kind, LoadMapMasks)
