# A Swin of the published kind, and an address at which nobody listens.
_base_ = './tiny.py'
custom_imports = dict(imports=['ddp_perception', 'tests.cli.backboned'],
                      allow_failed_imports=False)
model = dict(type='BackbonedModel', backbone=dict(
    type='mmdet.SwinTransformer', embed_dims=12, depths=[1, 1, 1, 1],
    num_heads=[1, 2, 3, 4], out_indices=[1, 2, 3], convert_weights=True,
    init_cfg=dict(type='Pretrained', checkpoint='http://127.0.0.1:9/swin_tiny.pth')))
train_cfg = dict(max_epochs=1)
