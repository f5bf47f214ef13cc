"""Dense heads: codec, denoiser and objective behind OpenMMLab's interfaces."""
from ddp_perception.heads.bev_head import BEVHead
from ddp_perception.heads.conv_map_head import ConvMapHead
from ddp_perception.heads.dense_head import DenseHead
from ddp_perception.heads.depth_head import DepthHead
from ddp_perception.heads.diffusion_head import DiffusionHead
from ddp_perception.heads.map_head import MapHead
from ddp_perception.heads.map_seg_head import MapSegHead
from ddp_perception.heads.seg_head import SegHead
from ddp_perception.heads.temperature import Temperature, calibrated

__all__ = ['BEVHead', 'ConvMapHead', 'DenseHead', 'DepthHead', 'DiffusionHead',
           'MapHead', 'MapSegHead', 'SegHead', 'Temperature', 'calibrated']
