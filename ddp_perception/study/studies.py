"""The studies that are declared, by name."""
from __future__ import annotations

from ddp_perception.study.claims import (
    ROWS,
    VARIANTS,
    better,
    published,
    samples,
    unrolled,
)
from ddp_perception.study.declaration import Row, Study, Variant
from ddp_perception.study.evaluations import BRIEF

_ENCODINGS = {'one_hot': 'one-hot', 'analog_bits': 'analog bits'}
_ENCODED = tuple(
    Variant(f'{prefix}{name}', f'{text}, {label}',
            dict(recipe(scale=scale), encoding=name), evaluations=BRIEF)
    for prefix, text, recipe, scale in (('', 'published', published, 0.1),
                                        ('unrolled_', 'unrolled', unrolled, 1.))
    for name, label in _ENCODINGS.items())
_ENCODING_ROW = Row(
    'encoding', 'The class embedding is better than one-hot and analog bits', [
        better(f'{text}, embedding over {label}', base, f'{prefix}{name}')
        for prefix, text, base in (('', 'published', 'published'),
                                   ('unrolled_', 'unrolled', 'unrolled'))
        for name, label in _ENCODINGS.items()],
    paper='the published setting is the embedding (configurations of the authors)',
    figures={'steps_1/iou': '1 step', 'steps_3/iou': '3 steps',
             'steps_10/iou': '10 steps'})
_OF_MAPS = samples(loss=dict(type='ddp.EnergyScore'))
_OF_CLASSES = samples(loss_decode=dict(type='ddp.EnergyScore', outcome='classes'))
_CAMVID, _PRIOR, _NUSCENES = (
    f'projects/{name}/configs' for name in ('camvid_seg', 'map_prior',
                                            'nuscenes_map_seg'))

STUDIES = {study.name: study for study in (
    Study('camvid', '11 classes of real street images',
          f'{_CAMVID}/fcn_efflite0-s8_1xb8-1h_camvid-480x360.py',
          f'{_CAMVID}/ddp_efflite0-s8_1xb8-1h_camvid-480x360.py',
          iterations=600, batch_size=8, views=4, truth_stride=2,
          variants=(*VARIANTS, _OF_CLASSES, *_ENCODED), rows=(*ROWS, _ENCODING_ROW),
          pictured=('samples', 'plain')),
    Study('drivable', 'drivable area from a sketch of the roads, real poses',
          f'{_PRIOR}/conv_osm-drivable_cpu.py',
          f'{_PRIOR}/ddp_3step_osm-drivable_cpu.py',
          iterations=600, batch_size=2, train_samples=1072, evaluation_samples=78,
          variants=(*VARIANTS, _OF_MAPS), rows=ROWS, pictured=('samples', 'plain')),
    Study('synthetic-map', 'six map classes from cameras and LiDAR, synthetic scenes',
          f'{_NUSCENES}/conv_demo_fusion_cpu.py', f'{_NUSCENES}/demo_fusion_cpu.py',
          iterations=600, batch_size=2, views=4,
          variants=(*VARIANTS, _OF_MAPS), rows=ROWS,
          pictured=('samples', 'plain')),
)}
"""A study each; their configurations are relative to the root of the repository."""
