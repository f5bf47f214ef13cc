"""What mmseg's segmentors lack for heads that predict probabilities."""
from ddp_perception.segmentors.seg_tta import SegTTAModel

__all__ = ['SegTTAModel']
