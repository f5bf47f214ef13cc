"""A model whose predictions follow the running statistics of its batch norm."""
import torch
from mmengine.registry import MODELS

from tests.cli.tiny import TinyModel


@MODELS.register_module()
class NormedModel(TinyModel):

    def __init__(self, width=4):
        super().__init__(width)
        self.norm = torch.nn.BatchNorm1d(1, momentum=0.5)

    def forward(self, x, y, mode='tensor'):
        return super().forward(list(self.norm(torch.stack(list(x)))), y, mode)
