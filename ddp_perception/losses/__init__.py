"""Losses that no library has."""
from ddp_perception.losses.sig_loss import SigLoss

__all__ = ['SigLoss']
