"""Samples beside the truth, of small heads."""
import cv2
import numpy as np
import pytest
import torch

from ddp_perception.study.pictures import save_samples
from ddp_perception.study.training import build_head
from tests.study.tiny import (
    CLASSES,
    DIFFUSION,
    MAP_DIFFUSION,
    MAP_PLAIN,
    MAPS,
    PLAIN,
    SEGMENTATION,
    write_features,
)


@pytest.mark.parametrize('task, diffusion, plain, ignored', [
    (SEGMENTATION, DIFFUSION, PLAIN, ['ignored']),
    (MAPS, MAP_DIFFUSION, MAP_PLAIN, [])], ids=['classes', 'maps'])
def test_every_colour_of_a_picture_is_in_its_legend(tmp_path, task, diffusion, plain,
                                                    ignored):
    evaluated = write_features(tmp_path, maps=task is MAPS).split('evaluation')
    heads = [(build_head(settings, 'mmseg', 0).eval(), name) for settings, name
             in ((diffusion, 'diffusion'), (plain, 'plain'))]
    picture = cv2.imread(str(save_samples(tmp_path / 'samples.png', task, *heads,
                                          evaluated)))
    shown = {tuple(colour[::-1]) for colour in np.unique(
        picture.reshape(-1, 3), axis=0).tolist()}
    _, truth = evaluated.batch(range(3))
    legend = task.legend(truth)
    assert [entry.name for entry in legend] == [*CLASSES, *ignored]
    present = [bool(mask.any()) for mask in torch.stack(
        [task.truth_masks(labels) for labels in truth]).transpose(0, 1)]
    assert all(tuple(entry.colour) in shown for entry, there in zip(legend, present)
               if there)
    assert not task.legend(torch.zeros_like(truth))[len(CLASSES):]
