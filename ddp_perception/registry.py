"""Registries of the package: children of mmengine's roots, scope ``ddp``.

A type is written ``ddp.<Type>`` in any OpenMMLab config, whatever its
``default_scope``. Each registry imports its ``locations`` on the first lookup
of a name, so nothing is loaded before it is used.
"""
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine import registry as root
from mmengine.registry import DefaultScope, Registry


def _child(name: str, parent: Registry, *locations: str) -> Registry:
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


@contextmanager
def scope_of_parts(scope: str, *configs: dict | None) -> Iterator[None]:
    """Build the parts of a model in the scope that their configuration means.

    A part's type is looked up in the default scope, which is the process's
    own: another model may have left its own there, or nobody set one. The
    default scope is as before afterwards.

    Args:
        scope: registry scope that such configurations mean.
        *configs: Parts that are to be built. Where one has a type that is
            unknown in `scope`, the default scope stays: it is that of a
            project with parts of its own.
    """
    with MODELS.switch_scope_and_registry(scope) as registry:
        kinds = [config.get('type') for config in configs
                 if isinstance(config, dict)]
        known = all(registry.get(kind) is not None for kind in kinds
                    if isinstance(kind, str))
    with DefaultScope.overwrite_default_scope(scope if known else None):
        yield
