_base_ = './normed.py'
custom_hooks = [dict(type='EMAHook', update_buffers=True, momentum=0.3)]
