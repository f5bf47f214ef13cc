"""Checkpoints of other code, renamed to this package's parameters."""
from ddp_perception.checkpoints.diffusion_keys import rename_diffusion_keys

__all__ = ['rename_diffusion_keys']
