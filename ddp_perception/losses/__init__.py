"""Losses that no library has."""
from ddp_perception.losses.class_weighted import ClassWeightedCrossEntropy
from ddp_perception.losses.energy_score import EnergyScore
from ddp_perception.losses.multi_label import (
    MultiLabelCrossEntropy,
    MultiLabelFocalLoss,
)
from ddp_perception.losses.sig_loss import SigLoss

__all__ = ['ClassWeightedCrossEntropy', 'EnergyScore', 'MultiLabelCrossEntropy',
           'MultiLabelFocalLoss', 'SigLoss']
