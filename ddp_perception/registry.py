"""Registries of the package: children of mmengine's roots, scope ``ddp``.

A type is written ``ddp.<Type>`` in any OpenMMLab config, whatever its
``default_scope``. Each registry imports its ``locations`` on the first lookup
of a name, so nothing is loaded before it is used.
"""
from mmengine import registry as root
from mmengine.registry import Registry


def _child(name, parent, *locations):
    return Registry(name, scope='ddp', parent=parent, locations=[
        f'ddp_perception.{location}' for location in locations])


MODELS = _child('model', root.MODELS, 'backbones', 'necks', 'losses', 'heads',
                'bevfusion', 'detectors', 'segmentors')
DATASETS = _child('dataset', root.DATASETS, 'datasets')
TRANSFORMS = _child('transform', root.TRANSFORMS, 'datasets.transforms')
METRICS = _child('metric', root.METRICS, 'evaluation')
HOOKS = _child('hook', root.HOOKS, 'engine')
OPTIM_WRAPPERS = _child('optim_wrapper', root.OPTIM_WRAPPERS, 'engine')
FIELDS = Registry('field', scope='ddp', locations=['ddp_perception.fields'])
VISUALIZERS = _child('visualizer', root.VISUALIZERS, 'visualization')
