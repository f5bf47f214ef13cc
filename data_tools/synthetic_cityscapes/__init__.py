"""Synthetic data in the on-disk format of Cityscapes.

`write_synthetic_cityscapes` stores drives through `data_tools.world` as
street pictures with fine annotations.
"""

from data_tools.synthetic_cityscapes.writer import write_synthetic_cityscapes

__all__ = ['write_synthetic_cityscapes']
