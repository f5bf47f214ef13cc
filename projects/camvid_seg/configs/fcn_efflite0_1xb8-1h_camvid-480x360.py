# The same with a plain head: mmseg's FCN head, in mmseg's own segmentor.
_base_ = './ddp_efflite0_1xb8-1h_camvid-480x360.py'

model = dict(type='EncoderDecoder', decode_head=dict(
    _delete_=True, **_base_.fcn, num_convs=4, loss_decode=_base_.loss))
