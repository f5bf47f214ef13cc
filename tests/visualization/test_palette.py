"""Colours of maps, as readers with each kind of colour vision see them.

Colour-blind vision is simulated with the matrices for missing long, middle and short
wave cones (severity 1) of G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, A
Physiologically-based Model for Simulation of Color Vision Deficiency, IEEE TVCG 15(6),
2009, on linear RGB.
"""
from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from ddp_perception.datasets.bev_dataset import PALETTE
from ddp_perception.datasets.map_classes import MAP_CLASSES, MAP_PALETTE
from ddp_perception.visualization.boxes import PREDICTED_BOX, TRUE_BOX
from ddp_perception.visualization.maps import BACKGROUND

VISION = {
    'normal': np.eye(3),
    'protanope': [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                  [-0.003882, -0.048116, 1.051998]],
    'deuteranope': [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                    [-0.011820, 0.042940, 0.968881]],
    'tritanope': [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                  [0.004733, 0.691367, 0.303900]]}
APART = 20
"""CIEDE2000; a just noticeable difference is about 1."""


def seen(colours, vision):
    """Return (n, 3) Lab of RGB colours of 0 to 255."""
    values = np.divide(colours, 255)
    linear = np.where(values <= 0.04045, values / 12.92,
                      ((values + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear,
                            1.055 * linear ** (1 / 2.4) - 0.055))


def differences(colours, vision):
    """Return the difference of every pair by the two colours' names."""
    lab = dict(zip(colours, seen(list(colours.values()), vision)))
    return {pair: deltaE_ciede2000(*(lab[name] for name in pair))
            for pair in combinations(colours, 2)}


@pytest.mark.parametrize('vision', VISION)
def test_map_classes_are_told_apart(vision):
    colours = {**dict(zip(MAP_CLASSES, MAP_PALETTE)), 'background': BACKGROUND}
    assert len(colours) == 7
    found = differences(colours, vision)
    assert min(found.values()) >= APART, min(found, key=found.get)


@pytest.mark.parametrize('vision', VISION)
def test_boxes_stand_out_from_every_map_colour(vision):
    for box in (PREDICTED_BOX, TRUE_BOX):
        for name, colour in zip([*MAP_CLASSES, 'background'],
                                [*MAP_PALETTE, BACKGROUND], strict=True):
            assert differences({'box': box, name: colour}, vision)[
                'box', name] >= APART, (box, name)
    found = differences({'predicted': PREDICTED_BOX, 'true': TRUE_BOX}, vision)
    assert found['predicted', 'true'] >= APART


@pytest.mark.parametrize('vision', VISION)
def test_classes_of_ones_own_are_told_apart(vision):
    found = differences({**dict(enumerate(PALETTE)), 'background': BACKGROUND},
                        vision)
    assert min(found.values()) >= APART, min(found, key=found.get)


def test_simulation_keeps_greys_and_merges_red_and_green():
    greys = np.repeat([[0], [99], [255]], 3, 1)
    for vision in VISION:
        np.testing.assert_allclose(seen(greys, vision), rgb2lab(greys / 255), atol=0.1)
    red_and_green = {'red': (163, 81, 41), 'green': (105, 105, 28)}
    assert differences(red_and_green, 'normal')['red', 'green'] > 25
    assert differences(red_and_green, 'deuteranope')['red', 'green'] < 15
