# Reproduces the released model: layers without time, feedback stretched between
# the grids, voxel indices truncated, and the mean of all 5 x 3 decoder passes.
_base_ = './ddp_cam_3step_8xb4-20e_nus-map.py'

model = dict(
    view_transform=dict(truncate_indices=True),
    seg_head=dict(decoder=dict(time_conditioning=False), resize_feedback='stretch',
                  sampler=dict(num_steps=3, num_seeds=5, average='all')))
