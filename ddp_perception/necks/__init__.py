"""Necks that no OpenMMLab package has."""
from ddp_perception.necks.generalized_lss_fpn import GeneralizedLSSFPN
from ddp_perception.necks.multi_stage_merging import MultiStageMerging

__all__ = ['GeneralizedLSSFPN', 'MultiStageMerging']
