# Reproduces MIT BEVFusion's released camera model: hidden layers of the head as
# wide as its features, voxel indices truncated.
_base_ = './conv_cam_8xb4-20e_nus-map.py'

model = dict(view_transform=dict(truncate_indices=True), seg_head=dict(
    hidden_channels=256))
