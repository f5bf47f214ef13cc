"""Backbones: wrappers of other libraries', and a small one for maps."""
from ddp_perception.backbones.bev_unet import BEVUNet
from ddp_perception.backbones.timm_backbone import TimmBackbone

__all__ = ['BEVUNet', 'TimmBackbone']
