# Self-aligned denoising: two more epochs of the trained model, on its own noised
# predictions, at a tenth of the learning rate. Not a published model.
_base_ = './ddp_cam_3step_8xb4-20e_nus-map.py'

epochs = 2
lr = 5e-6
load_from = 'work_dirs/ddp_cam_3step_8xb4-20e_nus-map/epoch_20.pth'
model = dict(seg_head=dict(diffusion=dict(self_aligned=True)))
train_cfg = dict(max_epochs=epochs)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=500, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=epochs, T_max=epochs,
         eta_min_ratio=1e-2, by_epoch=True, convert_to_iter_based=True)]
