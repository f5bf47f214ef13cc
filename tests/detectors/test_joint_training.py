"""Every family trains and is evaluated, boxes and map in one pass."""
import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ddp_perception.compat import load_checkpoints_safely
from ddp_perception.datasets.map_classes import MAP_CLASSES
from tests.detectors.reduced import FAMILIES, MAP_GRID, NATIVE, settings

ITERATIONS = 50


def on_synthetic(cfg, root, infos, work_dir):
    """Point a reduced configuration at the synthetic set, two frames a batch."""
    for loader, split in ((cfg.train_dataloader, 'train'), (cfg.val_dataloader, 'val'),
                          (cfg.test_dataloader, 'val')):
        # Too few frames to balance classes, and no objects to paste.
        dataset = loader.dataset.get('dataset', loader.dataset)
        dataset.update(data_root=str(root), ann_file=str(infos[split]))
        dataset.metainfo.version = 'v1.0-mini'
        dataset.pipeline = [step for step in dataset.pipeline
                            if step['type'] != 'ObjectSample']
        for step in dataset.pipeline:
            if step['type'] == 'ddp.LoadMapMasks':
                step.update(map_root=str(root), xbound=MAP_GRID[0],
                            ybound=MAP_GRID[1])
        loader.dataset = dataset  # update() would merge it into its wrapper
        loader.update(batch_size=2 if split == 'train' else 1, num_workers=0,
                      persistent_workers=False)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator[0].update(data_root=str(root), ann_file=str(infos['val']))
    cfg.train_dataloader.sampler = ConfigDict(type='InfiniteSampler', shuffle=True)
    cfg.train_cfg = ConfigDict(by_epoch=False, max_iters=ITERATIONS,
                               val_interval=10 ** 9)
    cfg.optim_wrapper = ConfigDict(type='OptimWrapper', clip_grad=dict(max_norm=10),
                                   optimizer=dict(type='AdamW', lr=2e-3))
    cfg.param_scheduler = []
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=ITERATIONS)
    cfg.log_processor = ConfigDict(type='LogProcessor', by_epoch=False)
    cfg.randomness = dict(seed=0)
    cfg.work_dir = str(work_dir)
    return cfg


class LossCurves(Hook):
    """Sum the losses of the detector and of the map, per iteration."""

    def __init__(self):
        self.boxes, self.maps = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        of_map = sum(float(value) for name, value in outputs.items()
                     if name.startswith('map.'))
        self.maps.append(of_map)
        self.boxes.append(float(outputs['loss']) - of_map)


@pytest.mark.slow
@pytest.mark.parametrize('family', [*FAMILIES, NATIVE])
def test_family_trains_and_one_pass_gives_both_metrics(
        family, synthetic_root, synthetic_infos, tmp_path):
    load_checkpoints_safely()
    cfg = on_synthetic(settings(family), synthetic_root, synthetic_infos, tmp_path)
    runner = Runner.from_cfg(cfg)
    curves = LossCurves()
    runner.register_hook(curves)
    runner.train()
    for losses in (curves.boxes, curves.maps):
        losses = np.array(losses)
        assert len(losses) == ITERATIONS and np.isfinite(losses).all()
        assert losses[-10:].mean() < .9 * losses[:10].mean(), losses
    figures = runner.test()
    boxes = {name.split('/')[-1]: value for name, value in figures.items()
             if 'NuScenes' in name}
    assert 0 <= boxes['NDS'] <= 1 and 0 <= boxes['mAP'] <= 1
    assert 0 < figures['map/mean/iou@max'] <= 1
    assert {f'map/{name}/iou@max' for name in MAP_CLASSES} <= set(figures)
