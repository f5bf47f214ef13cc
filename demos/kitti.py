"""Depth on a CPU in minutes: synthesize, train, test, draw.

Writes a synthetic set in the layout of KITTI depth, trains a small model with
the diffusion head on its training drives, evaluates it on drives in worlds
that it has never seen, and leaves in the work directory:

  report.json   figures, sample counts, seconds
  picture.png   an unseen image, its depth, true depth and uncertainty
  *.pth, logs   of the training

A second run reuses the data, and the trained model unless code, configuration
or data have changed since.

Example:
  ddp-perception demo-kitti --work-dir work_dirs/demo-kitti
"""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.baseline import median_depth_figures
from demos.image_demo import ImageDemo
from demos.report import after_last_step

if TYPE_CHECKING:
    from mmengine.config import Config

DATA: dict[str, Any] = dict(
    seed=0, train_drives=30, test_drives=6, frames=5, stride=10, image_size=(416, 128))


class KITTIDemo(ImageDemo):
    """Depth of street images."""

    config = 'projects/kitti_depth/configs/demo_kitti_cpu.py'
    work_dir, data_root = 'work_dirs/demo-kitti', 'data/demo_kitti'
    data = 'synthetic KITTI'

    def make_data(self, root: str | Path, workers: int) -> None:
        """Write the synthetic set unless it is there."""
        from data_tools.synthetic_kitti import write_synthetic_kitti
        write_synthetic_kitti(root, workers=workers, overwrite=True, **DATA)

    def named_figures(self, one: dict, last: dict, steps: int) -> dict[str, Any]:
        """Return errors after one and after all steps; rmse in metres."""
        return {'abs_rel_1_step': round(one['abs_rel'], 5),
                **{f'{ours}_{steps}_steps': round(last[name], 5)
                   for ours, name in (('abs_rel', 'abs_rel'), ('rmse', 'rmse'),
                                      ('delta1', 'd1'))}}

    def constant(self, cfg: Config) -> tuple[dict[str, Any], dict[str, int]]:
        """Evaluate each pixel's median depth of training."""
        found, counts = median_depth_figures(cfg)
        return {'abs_rel_constant': round(found['abs_rel'], 5)}, counts

    def rows(self, result: dict[str, Any]) -> list[list[str]]:
        """Return the lines of the printed table."""
        last = {name: after_last_step(result, name)
                for name in ('abs_rel', 'rmse', 'delta1')}
        return [['', 'abs_rel', 'rmse, m', 'delta1, %'],
                ['diffusion head', f'{last["abs_rel"]:.4f}', f'{last["rmse"]:.2f}',
                 f'{100 * last["delta1"]:.1f}'],
                ['after 1 step', f'{result["abs_rel_1_step"]:.4f}', '', ''],
                ["each pixel's median", f'{result["abs_rel_constant"]:.4f}', '', '']]


DEMO = KITTIDemo()
add_arguments, run = DEMO.add_arguments, DEMO.run
