"""Samples beside the truth, of small heads."""
import cv2
import numpy as np
import pytest
import torch

from ddp_perception.study.pictures import save_samples
from ddp_perception.study.training import build_head
from tests.study.tiny import CLASSES, SETS, write_features


@pytest.mark.parametrize('name, ignored', [('classes', ['ignored']), ('maps', [])])
def test_every_colour_of_a_picture_is_in_its_legend(tmp_path, name, ignored):
    task, diffusion, plain = SETS[name]
    evaluated = write_features(tmp_path, maps=name == 'maps').split('evaluation')
    heads = [(build_head(settings, 'mmseg', 0).eval(), label) for settings, label
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
