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
import time
from pathlib import Path

from ddp_perception.cli import demo_parts
from ddp_perception.cli.configuration import innermost_dataset

CONFIG = 'projects/nuscenes_map_seg/configs/demo_fusion_cpu.py'
DATA = dict(seed=0, scenes=10, keyframes=12, image_size=(352, 198), lidar_sweeps=4,
            azimuths=720)


def add_arguments(parser):
    """Add the options of this sub-command."""
    demo_parts.add_arguments(parser, CONFIG, 'work_dirs/demo', 'data/demo_nuscenes')


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
    checkpoint, seconds_train, reused = demo_parts.train(
        cfg, args.data_root, args.fresh)

    print('3/4  evaluation on unseen scenes', flush=True)
    evaluation, figures = demo_parts.evaluate(cfg, checkpoint)
    constant, counts = constant_map(cfg)

    print('4/4  picture and report', flush=True)
    picture = draw(evaluation, figures, Path(args.work_dir, 'map.png'))
    report = make_report(evaluation, figures, constant)
    report.update(counts, seconds_train=round(seconds_train, 1),
                  training_reused=reused, config=args.config, picture=str(picture),
                  seconds_total=round(time.perf_counter() - start
                                      + (seconds_train if reused else 0), 1))
    print_report(report, demo_parts.write_report(report, args.work_dir))
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
    from ddp_perception.evaluation.passes import describe_passes
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


def print_report(report, path):
    """Print the figures as a table."""
    constant = report['iou_constant_map']
    rows = [['IoU at the best threshold, %', 'diffusion head', 'constant map']]
    rows += [[name, f'{100 * value:.1f}', f'{100 * constant[name]:.1f}']
             for name, value in demo_parts.after_last_step(report, 'iou').items()]
    rows.append(['mean', f'{100 * demo_parts.after_last_step(report, "miou"):.1f}',
                 f'{100 * report["miou_constant_map"]:.1f}'])
    demo_parts.print_report(
        rows, report, path, f'{report["val_samples"]} frames of unseen scenes; mean '
        f'after 1 step {100 * report["miou_1_step"]:.1f} %')
