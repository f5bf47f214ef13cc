"""The wheel: what is in it, and that it works without the checkout."""
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

SOURCES = ('ddp_perception', 'data_tools', 'demos', 'projects')
FILES = ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE',
         'CHANGELOG.md', 'constraints.txt', 'model-index.yml')
PIP = [sys.executable, '-m', 'pip', '--disable-pip-version-check']
DEMO = 'projects/kitti_depth/configs/demo_kitti_cpu.py'


def _run(command, folder, **environ):
    done = subprocess.run([str(word) for word in command], cwd=folder, text=True,
                          capture_output=True, timeout=900,
                          env={**os.environ, 'PYTHONPATH': '', **environ})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _build_wheel(tree, out):
    _run([*PIP, 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', out, tree],
         tree)
    wheel, = Path(out).glob('*.whl')
    return wheel


@pytest.fixture(scope='module')
def tree(repository_dir, tmp_path_factory):
    """A copy of the sources: a build writes into its tree, and an earlier one did."""
    folder = tmp_path_factory.mktemp('tree')
    for name in SOURCES:
        shutil.copytree(repository_dir / name, folder / name,
                        ignore=shutil.ignore_patterns('__pycache__'))
    for name in FILES:
        shutil.copy(repository_dir / name, folder / name)
    gone = folder / 'build/lib/ddp_perception/.mim/projects/gone/configs/gone.py'
    gone.parent.mkdir(parents=True)
    gone.touch()
    return folder


@pytest.fixture(scope='module')
def wheel(tree, tmp_path_factory):
    return _build_wheel(tree, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """The environment's variables in which the installed wheel is found first."""
    target = tmp_path_factory.mktemp('target')
    _run([*PIP, 'install', '-q', '--no-deps', '--no-index', '--target', target, wheel],
         target)
    return {'PYTHONPATH': str(target), 'MPLBACKEND': 'Agg'}


def _names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_file_of_the_packages_and_every_configuration(
        wheel, repository_dir):
    packages = {str(path.relative_to(repository_dir))
                for top in ('ddp_perception', 'data_tools', 'demos')
                for path in (repository_dir / top).rglob('*')
                if path.is_file() and '__pycache__' not in path.parts}
    projects = {f'ddp_perception/.mim/{path.relative_to(repository_dir)}'
                for pattern in ('projects/**/*.py', 'projects/*/metafile.yml',
                                'projects/*/README.md', 'model-index.yml')
                for path in repository_dir.glob(pattern)}
    assert len(projects) > 80
    names = {name for name in _names(wheel) if '.dist-info/' not in name}
    assert names == packages | projects


def test_source_archive_builds_the_same_wheel(tree, wheel, tmp_path):
    _run([sys.executable, '-c', 'import sys; from setuptools.build_meta import '
          'build_sdist; build_sdist(sys.argv[1])', tmp_path], tree)
    archive, = tmp_path.glob('*.tar.gz')
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter='data')
    unpacked, = (path for path in tmp_path.iterdir() if path.is_dir())
    again = _build_wheel(unpacked, tmp_path / 'again')
    assert _names(again) == _names(wheel)


@pytest.mark.parametrize('given', [DEMO, 'demo_kitti_cpu'])
def test_installed_wheel_finds_configurations_by_path_and_name(
        installed, tmp_path, given):
    said = _run([sys.executable, '-c', f"""
from ddp_perception.cli.configuration import load_config
cfg = load_config({given!r})
print(cfg.filename, cfg.model.type)"""], tmp_path, **installed)
    place = Path(installed['PYTHONPATH'], 'ddp_perception/.mim', DEMO)
    assert said.split() == [str(place), 'ddp.DepthEstimator']
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('command', ['', 'demo', 'predict', 'prepare'])
def test_command_of_the_installed_wheel_explains_itself(installed, tmp_path, command):
    script = Path(installed['PYTHONPATH'], 'bin', 'ddp-perception')
    said = _run([sys.executable, script, *filter(None, [command]), '--help'], tmp_path,
                **installed)
    assert f'usage: ddp-perception {command}'.strip() in said


def test_editable_installation_copies_nothing(tree, tmp_path):
    """It reads the configurations of the checkout, which change."""
    _run([*PIP, 'install', '-q', '--no-deps', '--no-build-isolation', '--no-index',
          '--target', tmp_path, '-e', tree], tmp_path)
    assert not list(tmp_path.rglob('.mim'))
    assert not (tree / 'ddp_perception' / '.mim').exists()
    said = _run([sys.executable, '-S', '-c', f"""
import site
site.addsitedir({str(tmp_path)!r})
from ddp_perception.shipped_configs import find_config
print(find_config('demo_kitti_cpu'))"""], tmp_path)
    assert said.strip() == str(tree / DEMO)


SHORT = """
import copy
from ddp_perception.cli.main import main
from demos import kitti

def short(cfg):
    cfg = copy.deepcopy(cfg)
    cfg.train_cfg.max_iters = 4
    return cfg

kitti.DATA.update(train_drives=1, test_drives=1)
kitti.KITTIDemo.models = lambda demo: {'': ('training', short)}
raise SystemExit(main(['demo-kitti']))
"""


@pytest.mark.slow
def test_demo_of_the_installed_wheel_runs_in_an_empty_folder(installed, tmp_path):
    """The whole course, with less data and a shorter training."""
    said = _run([sys.executable, '-c', SHORT], tmp_path, **installed)
    assert 'work_dirs/demo-kitti/report.json' in said
    report = json.loads((tmp_path / 'work_dirs/demo-kitti/report.json').read_text())
    assert report['config'] == DEMO and report['val_samples'] == 5
    assert (tmp_path / report['picture']).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['data', 'work_dirs']
