# Reproduces the released model: layers without time, truth resized with its zeros.
_base_ = './ddp_swin-l_8xb2-38k_kitti-352x704.py'

model = dict(decode_head=dict(
    decoder=dict(time_conditioning=False), sparse_truth='bilinear'))
