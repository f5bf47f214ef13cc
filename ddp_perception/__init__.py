"""Diffusion dense heads for mmdet3d and mmseg.

Importing this package is cheap: it loads neither torch nor any OpenMMLab
package. Once mmengine is imported, before or after, every type of this
package can be built from a config as ``ddp.<Type>``.
"""
from ddp_perception._register import register_with_mmengine

__version__ = '0.2.0'

register_with_mmengine()
