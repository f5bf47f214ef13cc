"""Thin wrappers of backbones from other libraries."""
from ddp_perception.backbones.timm_backbone import TimmBackbone

__all__ = ['TimmBackbone']
