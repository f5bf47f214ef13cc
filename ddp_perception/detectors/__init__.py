"""Detectors of others with a map head added."""
from ddp_perception.detectors.feature_grid import FeatureLevel, feature_levels
from ddp_perception.detectors.with_map_head import WithMapHead

__all__ = ['FeatureLevel', 'WithMapHead', 'feature_levels']
