"""A model, a data set and a metric that train in a second."""
import json
import os

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.structures import PixelData
from torch.utils.data import Dataset

from ddp_perception.ops import BEVGrid

OUTPUT_DTYPES = []
"""Of every training forward pass in this process, newest last."""


@DATASETS.register_module()
class TinyDataset(Dataset):
    """Noisy samples of y = 3 x; the noise is drawn when a sample is loaded."""

    metainfo = {}

    def __init__(self, data_root, ann_file):
        with open(os.path.join(data_root, ann_file)) as file:
            self.values = json.load(file)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        x = self.values[index] + np.random.rand() + torch.rand(()).item()
        return {'x': torch.tensor([float(x)]),
                'y': torch.tensor([3 * float(self.values[index])])}


@DATASETS.register_module()
class QuietDataset(TinyDataset):
    """The same without noise."""

    def __getitem__(self, index):
        x = torch.tensor([float(self.values[index])])
        return {'x': x, 'y': 3 * x}


@MODELS.register_module()
class TinyModel(BaseModel):

    def __init__(self, width=4):
        super().__init__()
        self.hidden = torch.nn.Linear(1, width)
        self.out = torch.nn.Linear(width, 1)

    def forward(self, x, y, mode='tensor'):
        x, y = torch.stack(list(x)), torch.stack(list(y))
        predicted = self.out(self.hidden(x).relu())
        if mode == 'loss':
            OUTPUT_DTYPES.append(predicted.dtype)
            return {'loss': (predicted.float() - y).square().mean()}
        return list(torch.cat([predicted, y], dim=1))


@MODELS.register_module()
class NoisyModel(TinyModel):
    """Adds noise of its own in training, as diffusion heads do."""

    def forward(self, x, y, mode='tensor'):
        x = list(x)
        if mode == 'loss':
            x = [value + torch.randn(1) for value in x]
        return super().forward(x, y, mode)


@METRICS.register_module()
class TinyMetric(BaseMetric):

    def process(self, data_batch, data_samples):
        self.results += [float(p) for p, _ in data_samples]

    def compute_metrics(self, results):
        return {'mean_prediction': float(np.mean(results)),
                'count': len(results)}


@HOOKS.register_module()
class PullThePlug(Hook):
    """Interrupts training as a user would, in an epoch or at an iteration."""

    def __init__(self, epoch=-1, iteration=-1):
        self.epoch, self.iteration = epoch, iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration or (runner.epoch == self.epoch
                                             and batch_idx == 1):
            raise KeyboardInterrupt


@MODELS.register_module()
class PointCountModel(BaseModel):
    """Predicts 0.9 for the class with a LiDAR point in a cell, 0.1 else."""

    def __init__(self, classes, grid, data_preprocessor=None):
        super().__init__(data_preprocessor=data_preprocessor)
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.seg_head = torch.nn.Identity()
        self.seg_head.prediction_field = 'pred_map_seg'
        self.seg_head.classes = tuple(classes)
        self.seg_head.output_grid = BEVGrid.of(grid)

    def forward(self, inputs, data_samples, mode='predict'):
        (x_low, _, x_step), (y_low, _, y_step) = (
            self.seg_head.output_grid.xbound, self.seg_head.output_grid.ybound)
        shape = self.seg_head.output_grid.shape
        for points, sample in zip(inputs['points'], data_samples):
            i = ((points[:, 0] - x_low) / x_step).floor().long()
            j = ((points[:, 1] - y_low) / y_step).floor().long()
            inside = (i >= 0) & (i < shape[0]) & (j >= 0) & (j < shape[1])
            maps = torch.full((len(self.seg_head.classes), *shape), 0.1)
            maps[:, i[inside], j[inside]] = 0.9
            sample.pred_map_seg = PixelData(data=maps)
        return data_samples
