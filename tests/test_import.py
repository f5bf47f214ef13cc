"""What importing the package costs, and which way its imports point."""
import ast
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

CORE = {'decoder': ('decoder', 'diffusion', 'ops'),
        'diffusion': ('diffusion', 'ops'),
        'ops': ('ops', )}
"""The rooms of the core, and the rooms that each may import."""
OPTIONAL = {f'triton_{name}.py': 'triton'
            for name in ('gather_sum', 'map_sampling', 'parts')}
"""Modules that are imported where they are chosen, and the package each needs."""
HEAVY = ('mmengine', 'mmcv', 'mmdet', 'mmdet3d', 'mmseg', 'timm', 'nuscenes',
         'cv2', 'matplotlib', 'numba')


def _run(script):
    done = subprocess.run([sys.executable, '-c', script], capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _loaded_by(statement):
    return set(_run(f'import sys\n{statement}\nprint(*sys.modules)').split())


def test_importing_the_package_loads_no_framework():
    assert not _loaded_by('import ddp_perception') & {'torch', 'numpy', *HEAVY}


@pytest.mark.parametrize('room', CORE)
def test_importing_the_core_loads_torch_alone(room):
    loaded = _loaded_by(f'import ddp_perception.{room}')
    assert f'ddp_perception.{room}' in loaded and 'torch' in loaded
    assert not loaded & {*HEAVY, *(f'ddp_perception.{room}.{name[:-3]}'
                                   for name in OPTIONAL)}


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}:{node.lineno}: relative import'
            yield node.lineno, node.module


@pytest.mark.parametrize('room', CORE)
def test_core_rooms_import_torch_and_the_standard_library(room, repository_dir):
    files = sorted((repository_dir / 'ddp_perception' / room).rglob('*.py'))
    assert files
    wrong = []
    for path in files:
        for line, name in _imports(path):
            top, *rest = name.split('.')
            fits = (top in ('torch', OPTIONAL.get(path.name))
                    or top in sys.stdlib_module_names
                    or top == 'ddp_perception' and rest[:1] and rest[0] in CORE[room])
            if not fits:
                wrong.append(f'{path.name}:{line} imports {name}')
    assert not wrong


TOP = {'demos': {'data_tools', 'ddp_perception'},
       'benchmarks': {'data_tools', 'ddp_perception'},
       'examples': {'data_tools', 'ddp_perception'},
       'data_tools': {'ddp_perception'},
       'ddp_perception': set()}
"""Folders of code, and the others that each may import."""
FOUNDATION = {'registry', 'files', 'file_names', 'wording', 'pixels', 'compat',
              'prediction_heads', 'checkpoints', 'freed_memory', 'workers'}
ROOMS = {
    **{room: {*others} - {room} for room, others in CORE.items()},
    '_register': {'registry'}, 'registry': set(), 'files': set(), 'file_names': set(),
    'wording': set(), 'pixels': set(), 'prediction_heads': set(),
    'freed_memory': set(), 'workers': set(),
    'cost': {'diffusion', 'ops'}, 'progress': set(), 'shipped_configs': set(),
    'checkpoints': {'files', 'wording', 'prediction_heads'}, 'compat': {'checkpoints'},
    'losses': {'registry'}, 'necks': {'registry'},
    'backbones': {'registry', 'checkpoints', 'ops'}, 'segmentors': {'registry'},
    'datasets': {*FOUNDATION, 'ops'}, 'visualization': {*FOUNDATION, 'datasets'},
    'evaluation': {*FOUNDATION, 'datasets'},
    'heads': {*FOUNDATION, *CORE, 'datasets'},
    'detectors': {*FOUNDATION, 'ops', 'heads'},
    'bevfusion': {*FOUNDATION, 'ops', 'heads', 'detectors'},
    'fields': {*FOUNDATION, 'datasets', 'evaluation', 'heads', 'visualization'},
    'engine': {*FOUNDATION, 'diffusion', 'datasets', 'evaluation', 'heads', 'fields'},
    'export': {*FOUNDATION, *CORE, 'heads', 'detectors', 'bevfusion', 'segmentors'},
    'reports': {'datasets', 'evaluation'},
    'probing': {*FOUNDATION, *CORE, 'heads'},
    'study': {*FOUNDATION, *CORE, 'cost', 'engine', 'evaluation', 'heads', 'probing',
              'visualization'},
}
"""Rooms of the package, and the others that each may import; `cli` may all, and
`apis`, which stands on it, may too."""


def _arrows(repository_dir):
    """Yield place, importing file and imported module, within functions too.

    A name that a registry or the table of commands imports when it is needed
    is text, so it does not count.
    """
    for top in TOP:
        for path in sorted((repository_dir / top).rglob('*.py')):
            module = path.relative_to(repository_dir).with_suffix('').parts
            package = module[:-1]
            for node in ast.walk(ast.parse(path.read_text(), str(path))):
                if isinstance(node, ast.Import):
                    targets = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    up = len(package) - node.level + 1 if node.level else 0
                    start = [*package[:up], *filter(None, [node.module])]
                    targets = ['.'.join([*start, alias.name]) for alias in node.names]
                else:
                    continue
                for target in targets:
                    yield f'{path}:{node.lineno}', module, target.split('.')


def _room(module, repository_dir):
    """Return the top-level folder and, of the package, the room, or None."""
    room = None
    if module[0] == 'ddp_perception' and len(module) > 1:
        place = repository_dir / 'ddp_perception' / module[1]
        if place.is_dir() or place.with_suffix('.py').is_file():
            room = module[1]
    return module[0], room


def test_folders_and_rooms_import_only_what_stands_below_them(repository_dir):
    wrong, seen = [], set()
    for place, module, target in _arrows(repository_dir):
        (top, room), (other_top, other) = (
            _room(part, repository_dir) for part in (module, target))
        if other_top not in TOP:
            continue
        if top != other_top:
            seen.add((top, other_top))
            fits = other_top in TOP[top]
        elif room in (other, 'apis') or other in (None, '__init__') or (
                room == 'cli' and other != 'apis'):
            continue
        else:
            seen.add((room, other))
            fits = other in (ROOMS[room] if room != '__init__' else {'_register'})
        if not fits:
            wrong.append(f'{place} imports {".".join(target)}')
    assert not wrong, '\n'.join(wrong)
    assert {('data_tools', 'ddp_perception'), ('fields', 'visualization'),
            ('decoder', 'diffusion')} <= seen


@pytest.mark.parametrize('arrows', [TOP, ROOMS], ids=['folders', 'rooms'])
def test_arrows_form_no_circle(arrows):
    list(TopologicalSorter(arrows).static_order())  # raises CycleError


@pytest.mark.parametrize('order', [
    'import ddp_perception, mmengine', 'import mmengine, ddp_perception'])
def test_types_build_whichever_is_imported_first(order):
    script = (f'{order}\n'
              'from mmengine.registry import MODELS, DefaultScope\n'
              'head = MODELS.get("ddp.MapSegHead")\n'
              'print(head.__module__)')
    assert _run(script).strip() == 'ddp_perception.heads.map_seg_head'


def test_version_is_the_installed_one():
    from importlib.metadata import version

    import ddp_perception
    assert version('ddp_perception') == ddp_perception.__version__
