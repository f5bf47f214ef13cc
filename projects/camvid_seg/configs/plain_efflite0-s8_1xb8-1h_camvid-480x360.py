# The same on features of stride 8, for less time per image.
_base_ = ['./plain_efflite0_1xb8-1h_camvid-480x360.py', './_base_/stride8.py']

model = _base_.from_stride8
