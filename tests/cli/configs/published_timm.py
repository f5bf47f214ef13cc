# A model of timm, which tests may not fetch.
_base_ = './published.py'
model = dict(backbone=dict(_delete_=True, type='ddp.TimmBackbone', pretrained=True,
                           model_name='test_resnet.r160_in1k'))
