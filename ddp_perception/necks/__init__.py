"""Necks that no OpenMMLab package has."""
from ddp_perception.necks.generalized_lss_fpn import GeneralizedLSSFPN

__all__ = ['GeneralizedLSSFPN']
