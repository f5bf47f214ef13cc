"""Everything on a CPU in minutes: synthesize, prepare, train, test, draw.

Writes a synthetic nuScenes set, trains a small camera + LiDAR model with the
diffusion map head on its training scenes, evaluates it on scenes that it has
never seen, and leaves in the work directory:

  report.json   figures, sample counts, seconds
  map.png       a frame of an unseen scene: cameras, predicted map, true map
  *.pth, logs   of the training

A second run reuses the data, and the trained model unless code, configuration
or data have changed since.

Example:
  ddp-perception demo --work-dir work_dirs/demo
"""
import json
import time
from pathlib import Path

from ddp_perception.cli.configuration import innermost_dataset

CONFIG = 'projects/nuscenes_map_seg/configs/demo_fusion_cpu.py'
DATA = dict(seed=0, scenes=10, keyframes=12, image_size=(352, 198), lidar_sweeps=4,
            azimuths=720)


def add_arguments(parser):
    """Add the options of this sub-command."""
    parser.add_argument('--config', default=CONFIG,
                        help='configuration to train (default: %(default)s)')
    parser.add_argument('--work-dir', default='work_dirs/demo', metavar='DIR',
                        help='where the results go (default: %(default)s)')
    parser.add_argument('--data-root', default='data/demo_nuscenes', metavar='DIR',
                        help='where the data go (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2,
                        help='processes that write the data (default: %(default)s)')
    parser.add_argument('--fresh', action='store_true', help='train anew in any case')


def run(args):
    """Run this sub-command."""
    start = time.perf_counter()
    print('1/4  synthetic nuScenes', flush=True)
    make_data(args.data_root, args.workers)
    from ddp_perception.cli import configuration, runner
    cfg = configuration.load_config(args.config, data_root=args.data_root)
    cfg.work_dir = args.work_dir
    runner.prepare_process(cfg)

    print('2/4  training', flush=True)
    checkpoint, seconds_train, reused = train(cfg, args.fresh)

    print('3/4  evaluation on unseen scenes', flush=True)
    evaluation, figures = evaluate(cfg, checkpoint)
    constant, counts = constant_map(cfg)

    print('4/4  picture and report', flush=True)
    picture = draw(evaluation, figures, Path(args.work_dir, 'map.png'))
    report = make_report(evaluation, figures, constant)
    report.update(counts, seconds_train=round(seconds_train, 1),
                  training_reused=reused, config=args.config, picture=str(picture),
                  seconds_total=round(time.perf_counter() - start
                                      + (seconds_train if reused else 0), 1))
    path = Path(args.work_dir, 'report.json')
    path.write_text(json.dumps(report, indent=2) + '\n')
    print_report(report, path)
    return 0


def make_data(root, workers):
    """Write the synthetic set and its info files unless they are there."""
    from data_tools.prepare_nuscenes import prepare
    from data_tools.synthetic_nuscenes import write_synthetic_nuscenes
    write_synthetic_nuscenes(root, workers=workers, overwrite=True, **DATA)
    infos = [Path(root, f'nuscenes_infos_{split}.pkl') for split in ('train', 'val')]
    tables = Path(root, 'v1.0-mini', 'sample_data.json')
    if not all(path.is_file() and path.stat().st_mtime >= tables.stat().st_mtime
               for path in infos):
        prepare(root, version='v1.0-mini', overwrite=True)


def train(cfg, fresh=False):
    """Train, or find what an equal earlier run has trained.

    Args:
        cfg (mmengine.config.Config): With ``work_dir``.
        fresh (bool): Train in any case.

    Returns:
        tuple[Path, float, bool]: Checkpoint, seconds that its training took,
        whether it was there already.
    """
    from ddp_perception.cli import runner
    state_file = Path(cfg.work_dir, 'trained.json')
    wanted = fingerprint(cfg)
    if state_file.is_file() and not fresh:
        state = json.loads(state_file.read_text())
        if state['fingerprint'] == wanted and Path(state['checkpoint']).is_file():
            print(f'     {state["checkpoint"]} is up to date')
            return Path(state['checkpoint']), state['seconds'], True
    settings = cfg.copy()  # the evaluation follows in a step of its own
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        settings[key] = None
    start = time.perf_counter()
    run_ = runner.build_runner(settings)
    run_.train()
    seconds = time.perf_counter() - start
    checkpoint = Path(cfg.work_dir, Path(cfg.work_dir, 'last_checkpoint').read_text()
                      .strip().split('/')[-1])
    state_file.write_text(json.dumps(dict(
        fingerprint=wanted, checkpoint=str(checkpoint), seconds=seconds), indent=2))
    return checkpoint, seconds, False


def fingerprint(cfg):
    """Name all that the trained weights depend on: settings, code, data."""
    import hashlib

    import torch

    import ddp_perception
    digest = hashlib.sha256(cfg.pretty_text.encode())
    digest.update(torch.__version__.encode())
    package = Path(ddp_perception.__file__).parent
    for path in sorted(package.rglob('*.py')):
        if path.parts[len(package.parts)] not in ('cli', 'visualization'):
            digest.update(path.read_bytes())
    root = innermost_dataset(cfg.train_dataloader.dataset).data_root
    digest.update(Path(root, 'v1.0-mini', 'sample.json').read_bytes())
    digest.update(json.dumps(DATA, sort_keys=True).encode())
    return digest.hexdigest()


def evaluate(cfg, checkpoint):
    """Evaluate a checkpoint on the validation scenes.

    Returns:
        tuple[Runner, dict]: The runner and the figures of its evaluators.
    """
    from ddp_perception.cli import runner
    settings = cfg.copy()
    for key in ('train_cfg', 'train_dataloader', 'optim_wrapper', 'param_scheduler',
                'val_cfg', 'val_dataloader', 'val_evaluator'):
        settings[key] = None
    settings.load_from = str(checkpoint)
    run_ = runner.build_runner(settings)
    return run_, run_.test()


def constant_map(cfg):
    """Evaluate the best map that ignores its input.

    Returns:
        tuple[dict, dict]: Its figures; the numbers of frames.
    """
    from mmengine.dataset import Compose

    from ddp_perception.evaluation.constant_map import (
        evaluate_constant_map,
        iter_masks,
        training_frequency,
    )
    from ddp_perception.registry import DATASETS
    train, val = (DATASETS.build(innermost_dataset(loader.dataset))
                  for loader in (cfg.train_dataloader, cfg.test_dataloader))
    load = Compose([step for step in cfg.test_dataloader.dataset.pipeline
                    if step['type'] == 'ddp.LoadMapMasks']).transforms[0]
    frequency = training_frequency(iter_masks(train, load))
    figures = evaluate_constant_map(frequency, iter_masks(val, load),
                                    val.metainfo['map_classes'])
    return figures, dict(train_samples=len(train), val_samples=len(val))


def draw(evaluation, figures, path):
    """Draw the middle frame of the unseen scenes' first half.

    Every class is shown from the threshold on that suits it best.
    """
    import torch
    from mmengine.dataset import pseudo_collate

    from ddp_perception.cli.runner import bare_model
    from ddp_perception.evaluation.map_iou import THRESHOLDS
    from ddp_perception.visualization import frame_from_sample, save_frame
    dataset = evaluation.test_dataloader.dataset
    model = bare_model(evaluation).eval()
    with torch.no_grad():
        sample = model.test_step(pseudo_collate([dataset[len(dataset) // 4]]))[0]
    thresholds = [max(THRESHOLDS, key=lambda threshold, name=name:
                      figures[f'map/{name}/iou@{threshold:.2f}'])
                  for name in model.seg_head.classes]
    grid = model.seg_head.output_grid
    return save_frame(frame_from_sample(sample, model.seg_head.classes,
                                        xbound=grid.xbound, ybound=grid.ybound),
                      path, thresholds)


def make_report(evaluation, figures, constant):
    """Collect the figures, fractions of one, rounded to five places."""
    from ddp_perception.cli.runner import bare_model
    from ddp_perception.evaluation.map_iou import describe_passes
    head = bare_model(evaluation).seg_head
    steps = head.passes['steps']
    return {
        'miou_1_step': round(figures['step_1/map/mean/iou@max'], 5),
        f'miou_{steps}_steps': round(figures['map/mean/iou@max'], 5),
        f'iou_{steps}_steps': {name: round(figures[f'map/{name}/iou@max'], 5)
                               for name in head.classes},
        'miou_constant_map': round(constant['map/mean/iou@max'], 5),
        'iou_constant_map': {name: round(constant[f'map/{name}/iou@max'], 5)
                             for name in head.classes},
        'decoder_passes': describe_passes(**head.passes)}


def after_last_step(report, name):
    """Return a report's figure after the last step, whatever their number."""
    return next(value for key, value in report.items()
                if key.startswith(f'{name}_') and key.endswith('_steps'))


def print_report(report, path):
    """Print the figures as a table."""
    from terminaltables import AsciiTable
    constant = report['iou_constant_map']
    rows = [['IoU at the best threshold, %', 'diffusion head', 'constant map']]
    rows += [[name, f'{100 * value:.1f}', f'{100 * constant[name]:.1f}']
             for name, value in after_last_step(report, 'iou').items()]
    rows.append(['mean', f'{100 * after_last_step(report, "miou"):.1f}',
                 f'{100 * report["miou_constant_map"]:.1f}'])
    table = AsciiTable(rows)
    table.inner_footing_row_border = True
    print(f'\n{table.table}\n{report["val_samples"]} frames of unseen scenes; '
          f'{report["decoder_passes"]}; after 1 step the mean is '
          f'{100 * report["miou_1_step"]:.1f} %\n'
          f'training took {report["seconds_train"]:.0f} s of '
          f'{report["seconds_total"]:.0f} s'
          f'{" (reused from an earlier run)" if report["training_reused"] else ""}\n'
          f'report   {path}\npicture  {report["picture"]}')
