"""Synthetic data of a rig that is no published data set's.

`write_synthetic_custom` stores drives through `data_tools.world` as
`ddp.BEVDataset` reads them: four cameras of two sizes, one LiDAR, a map of two
classes in GeoJSON.
"""

from data_tools.synthetic_custom.writer import write_synthetic_custom

__all__ = ['write_synthetic_custom']
