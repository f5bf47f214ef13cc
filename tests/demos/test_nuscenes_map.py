from types import SimpleNamespace

import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.structures import PixelData
from torch import nn

from ddp_perception import visualization
from ddp_perception.datasets.map_classes import MAP_CLASSES
from ddp_perception.evaluation.map_iou import THRESHOLDS
from ddp_perception.ops import BEVGrid
from demos.nuscenes_map import DEMO


class Model(nn.Module):
    """Predicts one map, with its uncertainty."""

    prediction_field, classes = 'pred_map_seg', MAP_CLASSES
    output_grid = BEVGrid((-20, 20, 1), (-15, 15, 1))

    def test_step(self, batch):
        sample = Det3DDataSample(metainfo={'token': 'x'})
        for name in ('pred_map_seg', 'pred_map_seg_uncertainty'):
            sample.set_field(PixelData(data=torch.full((6, 40, 30), 0.4)), name)
        return [sample]


class Frames(list):
    metainfo = {}


def test_picture_takes_the_threshold_of_all_others(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(visualization, 'save_frame',
                        lambda *arguments: drawn.append(arguments) or arguments[1])
    # On the evaluated frames the lowest threshold is the best one.
    figures = {f'map/{name}/iou@{threshold:.2f}': 1 - threshold
               for name in MAP_CLASSES for threshold in THRESHOLDS}
    evaluation = SimpleNamespace(model=Model(), test_dataloader=SimpleNamespace(
        dataset=Frames([{}] * 4)))
    assert DEMO.draw(evaluation, figures, tmp_path / 'map.png') == tmp_path / 'map.png'
    (frame, _, threshold), = drawn
    assert threshold == 0.5
    assert frame.xbound == (-20, 20, 1) and frame.uncertainty is None
