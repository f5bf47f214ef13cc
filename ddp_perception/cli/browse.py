"""Draw what the pipeline of a configuration loads: one picture per sample.

Images, points and truth are those that the model gets, after every augmentation:
  maps          the images with the points in them, around the true map with the true
                boxes; the title says how the points were moved
  segmentation  the image, and its true labels over it
  depth         the image, and its true depth in colour
No model is built. Pictures are <number>.png, numbered as in the data set (of training,
with its repetitions). The same --seed draws the same augmentation of a sample.

A task of your own draws what its field says (Field.draw_truth).

Examples:
  ddp-perception browse CONFIG --out samples
  ddp-perception browse CONFIG --split val --index 0 17 --out samples
"""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli import (
    arguments,
    build_errors,
    configuration,
    missing_data,
    output_places,
    runner,
)
from ddp_perception.cli.errors import UserError
from ddp_perception.progress import hides_bar
from ddp_perception.wording import counted

if TYPE_CHECKING:
    from mmengine.config import Config

    from ddp_perception.cli.sample_input import Samples
    from ddp_perception.fields import Setting


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train',
                        help='whose data and pipeline (default: %(default)s)')
    parser.add_argument('--limit', type=int, default=10, metavar='N',
                        help='how many samples, spread over the split '
                        '(default: %(default)s)')
    parser.add_argument('--index', type=int, nargs='+', metavar='I',
                        help='these samples instead, numbered from 0')
    parser.add_argument('--out', required=True, metavar='DIR',
                        help='where the pictures go')
    parser.add_argument('--seed', type=int, default=0, metavar='N',
                        help='of the augmentation (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    cfg = configuration.load_config(args.config, args.cfg_options, args.data_root)
    loader = f'{args.split}_dataloader'
    configuration.require_keys(cfg, args.config, [loader], 'browsed')
    if args.limit < 1:
        raise UserError(f'--limit must be at least 1, got {args.limit}')
    out = output_places.require_folder_place(args.out, '--out')
    missing_data.require_info_files(cfg, [loader])
    runner.prepare_process(cfg)
    with build_errors.naming_settings(cfg, args.config):
        dataset = _build(cfg, loader)
        numbers = _numbers(len(dataset), args)
        draw_samples(dataset, numbers, out, _setting(cfg, dataset), args.seed)
    print(f'{counted(len(numbers), "pictures")} in {out}')
    return 0


def draw_samples(dataset: Samples, numbers: list[int], out: Path, setting: Setting,
                 seed: int = 0, progress: bool = True) -> None:
    """Draw some samples of a data set.

    Args:
        dataset: Each sample is what a pipeline packs: ``inputs``, ``data_samples``.
        numbers: Of the samples.
        out: Folder.
        setting: What is known beside the samples.
        seed: Of the augmentation, for each sample anew.
        progress: Show a bar with the time left.

    Raises:
        UserError: a sample cannot be loaded or drawn, or no registered field draws
            its truth; names it.
    """
    from mmengine.runner import set_random_seed
    from tqdm import tqdm

    from ddp_perception.cli.prediction import load_sample
    from ddp_perception.registry import FIELDS
    FIELDS.import_from_location()
    fields = [kind() for kind in FIELDS.module_dict.values()]
    digits = len(str(len(dataset) - 1))
    for number in tqdm(numbers, unit='sample', desc='drawing',
                       disable=hides_bar(progress)):
        set_random_seed(seed + number)
        packed = load_sample(dataset, number, f'sample {number}')
        sample = packed['data_samples']
        found = [field for field in fields if field.truth in sample]
        if not found:
            raise UserError(
                f'sample {number} has no truth that could be drawn: it has '
                f'{", ".join(sample.all_keys()) or "nothing"}, and the registered '
                f'fields have {", ".join(field.truth for field in fields)}')
        for field in found:
            ending = f'_{field.truth}.png' if len(found) > 1 else '.png'
            path = out / f'{number:0{digits}d}{ending}'
            try:
                drawn = field.draw_truth(packed['inputs'], sample, path, setting)
            except ValueError as error:
                raise UserError(f'sample {number} cannot be drawn: {error}') from error
            if drawn is None:
                raise UserError(f'{type(field).__name__} does not draw its truth: '
                                'browse needs its method draw_truth')


def _build(cfg: Config, loader: str) -> Samples:
    """Build a loader's data set as it is, with what repeats or mixes it."""
    from mmengine.registry import DATASETS, init_default_scope

    import ddp_perception  # noqa: F401  makes the ddp types known
    init_default_scope(cfg.get('default_scope', 'mmdet3d'))
    dataset = DATASETS.build(cfg[loader]['dataset'])
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    return dataset


def _numbers(count: int, args: argparse.Namespace) -> list[int]:
    """Return which samples are drawn."""
    if not args.index:
        every = max(1, -(-count // args.limit))
        return list(range(0, count, every))
    wrong = [index for index in args.index if not 0 <= index < count]
    if wrong:
        raise UserError(f'--index must be from 0 to {count - 1}, the last sample of '
                        f'{args.split}, got {wrong[0]}')
    return list(dict.fromkeys(args.index))


def _setting(cfg: Config, dataset: Any) -> Setting:
    """Return what the data set, its pipeline and the head know of the pictures."""
    from ddp_perception.fields import Setting
    inner = dataset
    while not hasattr(inner, 'pipeline') and hasattr(inner, 'dataset'):
        inner = inner.dataset
    metainfo = dict(getattr(dataset, 'metainfo', {}))
    preprocessor = configuration.bare_model_settings(cfg).get(
        'data_preprocessor') if cfg.get('model') else None
    steps = getattr(getattr(inner, 'pipeline', None), 'transforms', ())
    rasterizers = [step.rasterizer for step in steps if hasattr(step, 'rasterizer')]
    if rasterizers:  # it drew the truth
        classes, bounds = rasterizers[-1].classes, rasterizers[-1].bounds
        known = dict(zip(metainfo.get('map_classes', ()),
                         metainfo.get('map_palette', ()), strict=True))
        metainfo['map_palette'] = [known[name] for name in classes
                                   if name in known] or None
        metainfo['map_classes'] = classes
    else:
        metainfo.update(_of_head(cfg) if cfg.get('model') else {})
        bounds = metainfo.pop('bounds', None)
    return Setting(metainfo=metainfo, bounds=bounds,
                   ignore_index=getattr(inner, 'ignore_index', 255),
                   bgr=not (preprocessor or {}).get('rgb_to_bgr', False))


def _of_head(cfg: Config) -> dict[str, Any]:
    """Return classes, colours and bounds of a map that the head's settings declare.

    The head is not built: what its class fixes is read there.
    """
    from ddp_perception.registry import MODELS
    head = configuration.head_settings(cfg)
    if not head:
        return {}
    kind = MODELS.get(head['type']) if isinstance(head['type'], str) else head['type']
    found = {f'map_{name}': head.get(name) or getattr(kind, name, None)
             for name in ('classes', 'palette')}
    grid = head.get('output_grid')
    if grid:
        found['bounds'] = tuple(map(tuple, grid))
    return {name: value for name, value in found.items()
            if isinstance(value, list | tuple)}
