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
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from demos.course import Demo
from demos.report import after_last_step

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

DATA: dict[str, Any] = dict(
    seed=0, scenes=10, keyframes=12, image_size=(352, 198), lidar_sweeps=4,
    azimuths=720)


class MapDemo(Demo):
    """Maps of a nuScenes set from cameras and LiDAR."""

    config = 'projects/nuscenes_map_seg/configs/demo_fusion_cpu.py'
    work_dir, data_root = 'work_dirs/demo', 'data/demo_nuscenes'
    data, samples, unseen = 'synthetic nuScenes', 'frames', 'scenes'
    picture = 'map.png'

    def make_data(self, root: str | Path, workers: int) -> None:
        """Write the synthetic set and its info files unless they are there."""
        from data_tools.prepare_nuscenes import prepare
        from data_tools.synthetic_nuscenes import write_synthetic_nuscenes
        write_synthetic_nuscenes(root, workers=workers, overwrite=True, **DATA)
        infos = [Path(root, f'nuscenes_infos_{split}.pkl')
                 for split in ('train', 'val')]
        tables = Path(root, 'v1.0-mini', 'sample_data.json')
        if not all(path.is_file() and path.stat().st_mtime >= tables.stat().st_mtime
                   for path in infos):
            prepare(root, version='v1.0-mini', overwrite=True)

    def figures(self, evaluation: Runner, last: dict, others: dict[str, dict]
                ) -> dict[str, Any]:
        """Return IoU at the best threshold, as fractions."""
        head = self.head(evaluation)
        steps = head.passes['steps']
        return {
            'miou_1_step': round(last['step_1/map/mean/iou@max'], 5),
            f'miou_{steps}_steps': round(last['map/mean/iou@max'], 5),
            f'iou_{steps}_steps': {name: round(last[f'map/{name}/iou@max'], 5)
                                   for name in head.classes}}

    def constant(self, cfg: Config) -> tuple[dict[str, Any], dict[str, int]]:
        """Evaluate the best map that ignores its input."""
        from mmengine.dataset import Compose

        from ddp_perception.cli.configuration import innermost_dataset
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
        classes = val.metainfo['map_classes']
        found = evaluate_constant_map(frequency, iter_masks(val, load), classes)
        return {'miou_constant_map': round(found['map/mean/iou@max'], 5),
                'iou_constant_map': {name: round(found[f'map/{name}/iou@max'], 5)
                                     for name in classes}}, dict(
            train_samples=len(train), val_samples=len(val))

    def draw(self, evaluation: Runner, last: dict, path: Path) -> Path:
        """Draw the middle frame of the unseen scenes' first half.

        As `predict` does, with its threshold; see `draw_frame` for why. Maps alone: it
        is the first picture that a newcomer sees.
        """
        import torch
        from mmengine.dataset import pseudo_collate

        from ddp_perception.cli.runner import bare_model
        from ddp_perception.fields import Setting, fields_of
        dataset = evaluation.test_dataloader.dataset
        model, head = bare_model(evaluation).eval(), self.head(evaluation)
        with torch.no_grad():
            sample = model.test_step(pseudo_collate([dataset[len(dataset) // 4]]))[0]
        field, = fields_of(sample)
        sample.pop(f'{field.prediction}_uncertainty', None)
        return field.draw(sample, path, Setting(head, dataset.metainfo))

    def rows(self, result: dict[str, Any]) -> list[list[str]]:
        """Return the lines of the printed table."""
        constant = result['iou_constant_map']
        return [['IoU at the best threshold, %', 'diffusion head', 'constant map'],
                *([name, f'{100 * value:.1f}', f'{100 * constant[name]:.1f}']
                  for name, value in after_last_step(result, 'iou').items()),
                ['mean', f'{100 * after_last_step(result, "miou"):.1f}',
                 f'{100 * result["miou_constant_map"]:.1f}']]

    def note(self, result: dict[str, Any]) -> str:
        """Return number of frames, and the mean after one step."""
        return (f'{super().note(result)}; mean after 1 step '
                f'{100 * result["miou_1_step"]:.1f} %')


DEMO = MapDemo()
add_arguments, run = DEMO.add_arguments, DEMO.run
