"""What importing the package costs, and which way its imports point."""
import ast
import subprocess
import sys

import pytest

CORE = {'decoder': ('decoder', 'diffusion', 'ops'),
        'diffusion': ('diffusion', 'ops'),
        'ops': ('ops', )}
"""The rooms of the core, and the rooms that each may import."""
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
    assert not loaded & set(HEAVY)


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
            fits = (top == 'torch' or top in sys.stdlib_module_names
                    or top == 'ddp_perception' and rest[:1] and rest[0] in CORE[room])
            if not fits:
                wrong.append(f'{path.name}:{line} imports {name}')
    assert not wrong


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
