"""BEVFusion-style model: detector, view transforms, encoders, BEV decoders."""
from ddp_perception.bevfusion.bev_decoders import LSSFPN, GeneralizedResNet
from ddp_perception.bevfusion.detector import BEVFusion
from ddp_perception.bevfusion.fuser import ConvFuser
from ddp_perception.bevfusion.sparse_encoder import BEVFusionSparseEncoder
from ddp_perception.bevfusion.view_transforms import (
    DepthLSSTransform,
    LSSTransform,
    ViewTransform,
)

__all__ = [
    'BEVFusion', 'BEVFusionSparseEncoder', 'ConvFuser', 'DepthLSSTransform',
    'GeneralizedResNet', 'LSSFPN', 'LSSTransform', 'ViewTransform',
]
