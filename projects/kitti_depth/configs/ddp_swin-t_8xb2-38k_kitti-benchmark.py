# The depth benchmark: trains to 88 m on the Eigen split's drives, and writes the
# benchmark's 500 test images as 16-bit PNG of metres x 256.
_base_ = './ddp_swin-t_8xb2-38k_kitti-352x704.py'

max_depth = 88.
model = dict(decode_head=dict(max_depth=max_depth))
val_evaluator = dict(max_depth=max_depth)
test_dataloader = dict(dataset=dict(ann_file='benchmark_test.txt'))
test_evaluator = dict(max_depth=max_depth, format_only=True,
                      output_dir='work_dirs/kitti_benchmark')
