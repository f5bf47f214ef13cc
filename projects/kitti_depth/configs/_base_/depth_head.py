# The diffusion head of depth. A prediction is the mean of those of the image and of
# the mirrored image, which is what `slide_flip` does with one window.
min_depth, max_depth = 1e-3, 80.  # metres
head = dict(
    decode_head=dict(
        type='ddp.DepthHead', in_channels=256, in_index=0, min_depth=min_depth,
        max_depth=max_depth, sampler=dict(num_steps=3),
        loss_decode=dict(type='ddp.SigLoss', valid_mask=True, loss_weight=1.)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide_flip', crop_size=(352, 1216), stride=(352, 1216)))
