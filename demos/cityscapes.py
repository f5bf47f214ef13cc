"""Segmentation on a CPU in minutes: synthesize, train, test, draw.

Writes a synthetic set in the layout of Cityscapes, trains a small model with
the diffusion head on its training drives, evaluates it on drives in worlds
that it has never seen, and leaves in the work directory:

  report.json   figures, sample counts, seconds
  picture.png   an unseen image, its prediction, truth and uncertainty
  *.pth, logs   of the training

A second run reuses the data, and the trained model unless code, configuration
or data have changed since.

Example:
  ddp-perception demo-cityscapes --work-dir work_dirs/demo-cityscapes
"""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.truth_only import build_datasets, loading_steps
from demos.image_demo import ImageDemo
from demos.report import after_last_step

if TYPE_CHECKING:
    from mmengine.config import Config

DATA: dict[str, Any] = dict(
    seed=0, train_drives=24, val_drives=6, frames=5, stride=20, image_size=(512, 256))


class CityscapesDemo(ImageDemo):
    """Segmentation of street images."""

    config = 'projects/cityscapes_seg/configs/demo_cityscapes_cpu.py'
    work_dir, data_root = 'work_dirs/demo-cityscapes', 'data/demo_cityscapes'
    data = 'synthetic Cityscapes'

    def make_data(self, root: str | Path, workers: int) -> None:
        """Write the synthetic set and its training labels unless they are there."""
        from data_tools.prepare_cityscapes import prepare
        from data_tools.synthetic_cityscapes import write_synthetic_cityscapes
        write_synthetic_cityscapes(root, workers=workers, overwrite=True, **DATA)
        prepare(root, jobs=workers, progress=False)

    def named_figures(self, one: dict, last: dict, steps: int) -> dict[str, Any]:
        """Return mean IoU after one and after all steps, as fractions."""
        return {'miou_1_step': round(one['mIoU'] / 100, 5),
                f'miou_{steps}_steps': round(last['mIoU'] / 100, 5)}

    def constant(self, cfg: Config) -> tuple[dict[str, Any], dict[str, int]]:
        """Evaluate each pixel's most frequent class of training."""
        from ddp_perception.evaluation.constant_labels import (
            evaluate_constant_labels,
            iter_labels,
            most_frequent_class,
        )
        train, val = build_datasets(cfg)
        load = loading_steps(cfg, 'LoadAnnotations')
        classes = len(val.metainfo['classes'])
        best = most_frequent_class(iter_labels(train, load), classes)
        miou = evaluate_constant_labels(best, iter_labels(val, load), classes)
        return {'miou_constant': round(miou, 5)}, dict(
            train_samples=len(train), val_samples=len(val))

    def rows(self, result: dict[str, Any]) -> list[list[str]]:
        """Return the lines of the printed table."""
        return [['mean IoU, %', ''],
                ['diffusion head', f'{100 * after_last_step(result, "miou"):.1f}'],
                ['after 1 step', f'{100 * result["miou_1_step"]:.1f}'],
                ["each pixel's most frequent class",
                 f'{100 * result["miou_constant"]:.1f}']]


DEMO = CityscapesDemo()
add_arguments, run = DEMO.add_arguments, DEMO.run
