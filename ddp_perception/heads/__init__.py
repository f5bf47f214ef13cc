"""Dense heads: codec, denoiser and objective behind OpenMMLab's interface."""
from ddp_perception.heads.base_map_head import BaseMapHead
from ddp_perception.heads.conv_map_head import ConvMapHead
from ddp_perception.heads.map_seg_head import MapSegHead
from ddp_perception.heads.sampler import Sampler

__all__ = ['BaseMapHead', 'ConvMapHead', 'MapSegHead', 'Sampler']
