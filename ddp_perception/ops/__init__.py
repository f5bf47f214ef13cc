"""Operations that several rooms share; torch only."""
from ddp_perception.ops.axis import Axis
from ddp_perception.ops.conv_block import conv_norm_relu
from ddp_perception.ops.gather_sum import gather_sum, gather_sum_backend
from ddp_perception.ops.grids import BEVGrid, bilinear_resample, nearest_resample

__all__ = ['Axis', 'BEVGrid', 'bilinear_resample', 'conv_norm_relu', 'gather_sum',
           'gather_sum_backend', 'nearest_resample']
