"""Operations that several rooms share; torch only."""
from ddp_perception.ops.axis import Axis
from ddp_perception.ops.conv_block import conv_norm_relu
from ddp_perception.ops.feed_forward import feed_forward
from ddp_perception.ops.gather_sum import gather_sum, gather_sum_backend
from ddp_perception.ops.grids import BEVGrid, bilinear_resample, nearest_resample
from ddp_perception.ops.linear import PointwiseConv2d, linear, pointwise_conv
from ddp_perception.ops.map_sampling import map_sampling, sample_map
from ddp_perception.ops.modes import is_compiling, is_exporting
from ddp_perception.ops.softmax import softmax_of_few

__all__ = ['Axis', 'BEVGrid', 'PointwiseConv2d', 'bilinear_resample', 'conv_norm_relu',
           'feed_forward', 'gather_sum', 'gather_sum_backend', 'is_compiling',
           'is_exporting', 'linear', 'map_sampling', 'nearest_resample',
           'pointwise_conv', 'sample_map', 'softmax_of_few']
