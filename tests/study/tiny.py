"""A study of two small heads on made features."""
import numpy as np
import torch

from ddp_perception.study import (
    Comparison,
    FeatureStore,
    Job,
    Measure,
    Row,
    Study,
    Variant,
)
from ddp_perception.study.tasks import MapTask, SegmentationTask

CLASSES, PALETTE = ('sky', 'road', 'tree'), ((1, 2, 3), (200, 10, 20), (9, 250, 70))
SEGMENTATION = SegmentationTask(CLASSES, PALETTE)
MAPS = MapTask(CLASSES, PALETTE)
OPTIMISER = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-3))
DIFFUSION = dict(type='ddp.SegHead', num_classes=3, in_channels=5, in_index=0,
                 decoder=dict(channels=16, num_layers=1, num_heads=2),
                 diffusion=dict(scale=1.), sampler=dict(num_steps=3))
PLAIN = dict(type='mmseg.FCNHead', num_classes=3, in_channels=5, in_index=0,
             channels=8, num_convs=1, concat_input=False, dropout_ratio=0.,
             norm_cfg=dict(type='BN'))
MAP_GRIDS = dict(classes=list(CLASSES), input_grid=[[-6., 6., 2.], [-8., 8., 2.]],
                 output_grid=[[-6., 6., 1.], [-8., 8., 1.]], in_channels=5)
MAP_DIFFUSION = dict(type='ddp.MapSegHead', **MAP_GRIDS, decoder=DIFFUSION['decoder'],
                     diffusion=dict(scale=1.))
MAP_PLAIN = dict(type='ddp.ConvMapHead', hidden_channels=8, **MAP_GRIDS)
SETS = {'classes': (SEGMENTATION, DIFFUSION, PLAIN),
        'maps': (MAPS, MAP_DIFFUSION, MAP_PLAIN)}
"""A task, its diffusion head and its plain one."""

STUDY = Study(
    'tiny', 'two heads', 'plain.py', 'diffusion.py', iterations=3, batch_size=2,
    variants=(
        Variant('plain', 'plain head', base='plain'),
        Variant('wide', 'wide scale', dict(diffusion=dict(scale=2.)),
                evaluations=('steps_1', 'steps_3'))),
    rows=(
        Row('better', 'Diffusion is better', [
            Comparison('three steps over the plain head',
                       Measure('wide', 'steps_3/iou'),
                       Measure('plain', 'steps_1/iou'))],
            paper='82.6 mIoU', figures={'steps_1/iou': '1 step'}),
        Row('sure', 'It knows when it is wrong', [
            Comparison('ECE below 0.02', 0.02,
                       Measure('wide', 'steps_3/ece_scaled'))])),
    pictured=('wide', 'plain'))


class Samples:
    """Features whose channels tell the class, and the class; some is unknown."""

    def __init__(self, count, maps=False, size=(6, 8), offset=0):
        self.count, self.maps, self.size, self.offset = count, maps, size, offset

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        draw = np.random.default_rng(index + self.offset)
        labels = draw.integers(0, 3, self.size)
        feats = np.concatenate([labels[None] == np.arange(3)[:, None, None],
                                draw.normal(size=(2, *self.size))])
        truth = labels.repeat(2, 0).repeat(2, 1)
        truth[:2, :3] = 255 if not self.maps else 0
        truth = truth[None] == np.arange(3)[:, None, None] if self.maps else truth[None]
        return torch.from_numpy(feats).float(), torch.from_numpy(truth)


def write_features(folder, maps=False, made_by='tiny', views=2):
    store = FeatureStore(folder / 'features')
    store.write({'train': Samples(20, maps), 'evaluation': Samples(3, maps, offset=99)},
                {'train': None, 'evaluation': None}, {'train': views, 'evaluation': 1},
                lambda sample: sample, 0, {'made_by': {'what': made_by}})
    return store


def job(folder, variant='wide', seed=0, head=DIFFUSION, task=SEGMENTATION, **changes):
    settings = dict(
        evaluations=('steps_1', 'steps_3') if 'decoder' in head else ('steps_1', ),
        iterations=3, batch_size=2, optim_wrapper=OPTIMISER, scope='mmseg')
    return Job(variant, seed, head, task=task, folder=folder,
               **{**settings, **changes})


def line(variant, seed, **metrics):
    return dict(variant=variant, seed=seed, settings={}, metrics=metrics)
