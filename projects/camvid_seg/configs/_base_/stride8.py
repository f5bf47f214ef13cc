# The neck merges to a map of stride 8: a quarter of the cells to decode.
from_stride8 = dict(
    backbone=dict(out_indices=[2, 3, 4]),
    neck=[dict(type='FPN', in_channels=[40, 112, 320], out_channels=64, num_outs=3,
               norm_cfg=dict(type='GN', num_groups=8), act_cfg=None),
          dict(type='ddp.MultiStageMerging', in_channels=[64] * 3, out_channels=64,
               norm_cfg=dict(type='GN', num_groups=8))])
