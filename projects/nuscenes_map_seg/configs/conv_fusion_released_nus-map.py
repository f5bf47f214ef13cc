# Reproduces MIT BEVFusion's released fusion model: voxel indices truncated.
_base_ = './conv_fusion_8xb4-20e_nus-map.py'

model = dict(view_transform=dict(truncate_indices=True))
