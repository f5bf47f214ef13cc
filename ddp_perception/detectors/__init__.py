"""Detectors of others with a map head added, and one of prior maps."""
from ddp_perception.detectors.feature_grid import FeatureLevel, feature_levels
from ddp_perception.detectors.map_prior import MapPriorSegmentor
from ddp_perception.detectors.with_map_head import WithMapHead

__all__ = ['FeatureLevel', 'MapPriorSegmentor', 'WithMapHead', 'feature_levels']
