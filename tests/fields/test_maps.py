import numpy as np
import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.structures import PixelData

from ddp_perception.fields import MapField, Setting


def test_legend_has_the_colours_and_the_threshold_of_the_paint():
    classes, palette = ('road', 'foot_way'), ((1, 2, 3), (40, 50, 60))
    setting = Setting(metainfo=dict(map_classes=classes, map_palette=palette),
                      threshold=0.25)
    legend = {label.name: tuple(label.colour) for label in MapField().legend(setting)}
    painted = {}
    for name, values in (('road', (.25, .24)), ('foot way', (.25, .25)), (
            'none of probability 0.25 or above', (.24, .24))):
        sample = Det3DDataSample(pred_map_seg=PixelData(
            data=torch.tensor(values).reshape(2, 1, 1).repeat(1, 3, 4)))
        picture = MapField().paint(sample, setting)
        painted[name] = tuple(picture[len(picture) // 2, picture.shape[1] // 2])
    assert painted == legend
    assert np.all(picture[0] == 128)  # a frame around a white map
