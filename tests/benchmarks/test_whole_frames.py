import json

import pytest
import torch

from benchmarks import whole_frames


def test_points_are_those_of_a_street():
    points = whole_frames.street_points(20_000)
    assert points.shape == (20_000, 5) and torch.isfinite(points).all()
    assert points[:, 2].min() > -2.1 and points[:, 2].max() < 6.2
    ages = points[:, 4]
    assert 0 <= ages.min() and .45 < ages.max() <= .5
    ground = points[:, 2] < -1.6
    assert .2 < ground.float().mean() < .8
    assert points[:, :2].norm(dim=1).median() < 20  # dense near the sensor


@pytest.mark.slow
def test_heads_are_compared_on_the_same_features(capsys):
    whole_frames.main(['--model', 'cityscapes', '--image-size', '64', '128', '--rounds',
                       '1', '--shares', '0.25'])
    three, partial = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert three['name'].startswith('cityscapes, 3 steps, over')
    for case in (three, partial):
        assert case['times_baseline'] == pytest.approx(1 / case['ratio'])
        assert {'backbone', 'decode_head'} <= case['parts_s'].keys()
        assert case['parts_s']['decode_head'] > 0
        assert case['baseline_parts_s'].keys() == case['parts_s'].keys()


def test_only_the_head_differs():
    whole = torch.nn.Module()
    whole.backbone, whole.head = torch.nn.Linear(2, 2), torch.nn.Linear(2, 3)
    other = whole_frames._with(whole, 'head', torch.nn.Linear(2, 4))
    assert other.backbone is whole.backbone
    assert whole.head.out_features == 3 and other.head.out_features == 4
