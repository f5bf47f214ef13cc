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
from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from demos.course import Demo
from demos.nuscenes_map import MapDemo
from demos.report import after_last_step

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


class JointDemo(MapDemo):
    """The map demo's data; a detector alone, and with the map head."""

    config = 'projects/map_head_for_your_detector/configs/demo_joint_cpu.py'
    work_dir, picture = 'work_dirs/demo-joint', 'joint.png'

    def models(self) -> dict[str, tuple[str, Callable[[Config], Config]]]:
        """Train the bare detector first."""
        return {'detector': ('the detector alone', detector_alone),
                'joint': ('detector and map head', copy.deepcopy)}

    def figures(self, evaluation: Runner, last: dict, others: dict[str, dict]
                ) -> dict[str, Any]:
        """Return the figures of the map, and of the boxes of both models."""
        alone = boxes_of(others['detector'])
        return {**super().figures(evaluation, last, others), **boxes_of(last),
                **{f'{name}_detector_alone': value for name, value in alone.items()}}

    def rows(self, result: dict[str, Any]) -> list[list[str]]:
        """Return the lines of the printed table."""
        return [['', 'detector alone', 'with map head', 'constant map'],
                ['NDS', f'{result["nds_detector_alone"]:.4f}', f'{result["nds"]:.4f}',
                 ''],
                ['mAP of the boxes', f'{result["detection_map_detector_alone"]:.4f}',
                 f'{result["detection_map"]:.4f}', ''],
                ['map IoU, mean', '', f'{after_last_step(result, "miou"):.4f}',
                 f'{result["miou_constant_map"]:.4f}']]

    note = Demo.note


def detector_alone(cfg: Config) -> Config:
    """Return the same settings for the bare detector and its metric.

    Args:
        cfg: settings of a `ddp.WithMapHead`.
    """
    cfg = copy.deepcopy(cfg)
    cfg.model = cfg.model.detector
    for name in ('val_evaluator', 'test_evaluator'):
        cfg[name] = [metric for metric in cfg[name]
                     if metric['type'].split('.')[-1] == 'NuScenesMetric']
    return cfg


def boxes_of(figures: dict[str, Any]) -> dict[str, float]:
    """Return nds and detection_map out of NuScenesMetric's figures."""
    found = {name.split('/')[-1]: value for name, value in figures.items()
             if 'NuScenes' in name}
    return {'nds': round(float(found['NDS']), 5),
            'detection_map': round(float(found['mAP']), 5)}


DEMO = JointDemo()
add_arguments, run = DEMO.add_arguments, DEMO.run
