"""Dense heads: codec, denoiser and objective behind OpenMMLab's interface."""
from ddp_perception.heads.base_map_head import BaseMapHead
from ddp_perception.heads.conv_map_head import ConvMapHead
from ddp_perception.heads.dense_head import DenseHead
from ddp_perception.heads.depth_head import DepthHead
from ddp_perception.heads.diffusion_head import DiffusionHead
from ddp_perception.heads.map_seg_head import MapSegHead
from ddp_perception.heads.sampler import Sampler
from ddp_perception.heads.seg_head import SegHead

__all__ = ['BaseMapHead', 'ConvMapHead', 'DenseHead', 'DepthHead', 'DiffusionHead',
           'MapSegHead', 'Sampler', 'SegHead']
