# The map head alone, on a detector that is trained already and stays as it is.
_base_ = './centerpoint-pillar_map.py'

model = dict(freeze='detector')
load_from = 'work_dirs/my_centerpoint/epoch_20.pth'
