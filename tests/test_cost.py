"""Costs of a model whose parts are counted by hand."""
import time

import pytest
import torch
from torch import nn

from ddp_perception.cost import cost_of, gflops_of, parameters_of, parts_of, shared_out

CONV = 2 * 5 * 4 * 6 * 3 * 9  # 5 maps of 4 x 6 cells out of 3, 3 x 3
LINEAR = 2 * 24 * 5 * 7
NAP = 0.02


class Head(nn.Module):
    """Called by its method; a product of its own stands between its modules."""

    def __init__(self, steps):
        super().__init__()
        self.steps, self.layer = steps, nn.Linear(5, 7)

    def forward(self, x):
        for _ in range(self.steps):
            y = self.layer(x)
        return y

    def predict(self, x):
        time.sleep(NAP)
        return self(x) @ torch.ones(7, 2)


class Inner(nn.Module):
    """A model inside a model."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 5, 3, padding=1)
        self.levels = nn.ModuleList([nn.Identity(), nn.ReLU()])
        self.unused = nn.Linear(2, 2)

    def test_step(self, data):
        """Not called: the outer model calls the parts."""


class Model(nn.Module):

    def __init__(self, steps=1):
        super().__init__()
        self.detector, self.head = Inner(), Head(steps)
        self.scale = nn.Parameter(torch.ones(2, 2))

    def test_step(self, data):
        x = self.detector.levels[1](self.detector.backbone(data.pop('image')))
        return self.head.predict(x.flatten(2).mT) @ self.scale


def test_parts_are_counted_by_hand_and_the_rest_is_in_the_whole():
    model = Model(steps=3)
    inputs = [{'image': torch.randn(1, 3, 4, 6)}, {'image': torch.randn(1, 3, 4, 6)}]
    cost = cost_of(model, inputs, rounds=3)
    assert cost.parameters == {
        'detector.backbone': 5 * 3 * 9 + 5, 'detector.levels.0': 0,
        'detector.levels.1': 0, 'detector.unused': 6, 'head': 5 * 7 + 7,
        'whole': parameters_of(model)}
    assert parameters_of(model) == 140 + 6 + 42 + 4
    product, scale = 2 * 24 * 7 * 2, 2 * 24 * 2 * 2
    assert {name: round(1e9 * value) for name, value in cost.gflops.items()} == {
        'detector.backbone': CONV, 'detector.levels.1': 0,
        'head': 3 * LINEAR + product, 'whole': CONV + 3 * LINEAR + product + scale}
    assert NAP <= cost.seconds['head'] < min(cost.calls) + NAP
    assert cost.seconds.keys() == cost.gflops.keys() - {'whole'}
    assert len(cost.calls) == 6 and min(cost.calls) >= NAP
    assert all('image' in item for item in inputs)  # as they were


def test_meters_leave_the_model_as_it_was_whatever_happens():
    model = Model()
    with pytest.raises(KeyError), shared_out(parts_of(model), time.perf_counter):
        model.test_step({})
    for part in parts_of(model).values():
        assert not {'forward', 'predict'} & vars(part).keys()


def test_operations_of_a_call():
    layer = nn.Linear(5, 7)
    assert gflops_of(lambda: layer(torch.zeros(24, 5))) == LINEAR / 1e9


@pytest.mark.parametrize('inputs, rounds', [([], 1), ([{}], 0)])
def test_nothing_to_measure_is_refused(inputs, rounds):
    with pytest.raises(ValueError, match='at least 1 round'):
        cost_of(Model(), inputs, rounds)
