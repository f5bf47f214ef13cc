"""Boxes and map from one detector of mmdet3d, on a CPU in minutes.

Writes the synthetic nuScenes set of the command demo and trains mmdet3d's
CenterPoint with pillars on it, alone and, for as many steps, with the map
head. Both are evaluated on scenes that they have never seen, boxes by
nuscenes-devkit, and leave in the work directory:

  report.json   figures of boxes and map, sample counts, seconds
  joint.png     a frame of an unseen scene: cameras, predicted and true map,
                with boxes
  detector/, joint/   checkpoints and logs

A second run reuses the data, and the trained models unless code, configuration
or data have changed since.

Example:
  ddp-perception demo-joint --work-dir work_dirs/demo-joint
"""
import copy
import time
from pathlib import Path

from ddp_perception.cli import demo, demo_parts

CONFIG = 'projects/map_head_for_your_detector/configs/demo_joint_cpu.py'


def add_arguments(parser):
    """Add the options of this sub-command."""
    demo_parts.add_arguments(parser, CONFIG, 'work_dirs/demo-joint',
                             'data/demo_nuscenes')


def run(args):
    """Run this sub-command."""
    start = time.perf_counter()
    print('1/5  synthetic nuScenes', flush=True)
    demo.make_data(args.data_root, args.workers)
    from ddp_perception.cli import configuration, runner
    cfg = configuration.load_config(args.config, data_root=args.data_root)
    runner.prepare_process(cfg)
    alone, joint = detector_alone(cfg), copy.deepcopy(cfg)
    alone.work_dir, joint.work_dir = (str(Path(args.work_dir, name))
                                      for name in ('detector', 'joint'))

    seconds, saved = {}, 0.
    print('2/5  the detector alone', flush=True)
    checkpoint, seconds['detector'], reused = demo_parts.train(
        alone, args.data_root, args.fresh)
    saved += seconds['detector'] * reused
    _, alone_figures = demo_parts.evaluate(alone, checkpoint)

    print('3/5  detector and map head', flush=True)
    checkpoint, seconds['joint'], reused_too = demo_parts.train(
        joint, args.data_root, args.fresh)
    saved += seconds['joint'] * reused_too

    print('4/5  evaluation on unseen scenes', flush=True)
    evaluation, figures = demo_parts.evaluate(joint, checkpoint)
    constant, counts = demo.constant_map(joint)

    print('5/5  picture and report', flush=True)
    picture = demo.draw(evaluation, figures, Path(args.work_dir, 'joint.png'))
    report = demo.make_report(evaluation, figures, constant)
    report.update(
        boxes_of(figures), **{f'{name}_detector_alone': value for name, value
                              in boxes_of(alone_figures).items()},
        **counts, seconds_train={name: round(value, 1)
                                 for name, value in seconds.items()},
        training_reused=reused and reused_too, config=args.config, picture=str(picture),
        seconds_total=round(time.perf_counter() - start + saved, 1))
    print_report(report, demo_parts.write_report(report, args.work_dir))
    return 0


def detector_alone(cfg):
    """Return the same settings for the bare detector and its metric.

    Args:
        cfg (mmengine.config.Config): Of a `ddp.WithMapHead`.
    """
    cfg = copy.deepcopy(cfg)
    cfg.model = cfg.model.detector
    for name in ('val_evaluator', 'test_evaluator'):
        cfg[name] = [metric for metric in cfg[name]
                     if metric['type'].split('.')[-1] == 'NuScenesMetric']
    return cfg


def boxes_of(figures):
    """Return nds and detection_map out of NuScenesMetric's figures."""
    found = {name.split('/')[-1]: value for name, value in figures.items()
             if 'NuScenes' in name}
    return {'nds': round(float(found['NDS']), 5),
            'detection_map': round(float(found['mAP']), 5)}


def print_report(report, path):
    """Print the figures as a table."""
    rows = [['', 'detector alone', 'with map head', 'constant map'],
            ['NDS', f'{report["nds_detector_alone"]:.4f}', f'{report["nds"]:.4f}', ''],
            ['mAP of the boxes', f'{report["detection_map_detector_alone"]:.4f}',
             f'{report["detection_map"]:.4f}', ''],
            ['map IoU, mean', '', f'{demo_parts.after_last_step(report, "miou"):.4f}',
             f'{report["miou_constant_map"]:.4f}']]
    demo_parts.print_report(rows, report, path,
                            f'{report["val_samples"]} frames of unseen scenes')
