"""What mmseg's segmentors lack for diffusion heads."""
from ddp_perception.segmentors.dense_estimator import DenseEstimator
from ddp_perception.segmentors.encoder_decoder import (
    DepthEstimator,
    EncoderDecoder,
)
from ddp_perception.segmentors.seg_tta import SegTTAModel

__all__ = ['DenseEstimator', 'DepthEstimator', 'EncoderDecoder', 'SegTTAModel']
