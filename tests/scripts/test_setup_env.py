"""What the set-up script says where something is missing."""
import os
import shutil
import subprocess
import sys

import pytest

TOOLS = ('bash', 'sh', 'sed', 'cut', 'cat', 'dirname', 'sha256sum', 'awk', 'mkdir',
         'touch', 'rm', 'grep', 'tail', 'head', 'wc', 'sleep', 'tr')


@pytest.fixture
def script(repository_dir):
    return str(repository_dir / 'scripts' / 'setup_env.sh')


@pytest.fixture
def tools(tmp_path):
    """A PATH with the plainest tools: no Python, no compiler, no df."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def _add(folder, name, text):
    path = folder / name
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)


def _run(command, path, **environ):
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={
            'PATH': str(path), 'HOME': str(path), **environ})


def _python(folder, libraries=True):
    """A python3.11 that is this one, with or without OpenCV's libraries."""
    fake = '' if libraries else (
        'case "$1" in -) echo "  libGL.so.1: cannot open" >&2; exit 1;; esac\n')
    _add(folder, 'python3.11', f'{fake}exec {sys.executable} "$@"')


def test_missing_python_is_named_with_the_packages_to_install(script, tools, tmp_path):
    done = _run(['bash', script], tools, VENV=str(tmp_path / 'venv'))
    assert done.returncode == 1
    assert 'no Python 3.11 or 3.12 found' in done.stderr
    assert 'apt-get install python3.11' in done.stderr
    assert not (tmp_path / 'venv').exists()


def test_chosen_python_must_fit(script, tools, tmp_path):
    _add(tools, 'python3.9', 'exit 1')
    done = _run(['bash', script], tools, VENV=str(tmp_path / 'venv'),
                PYTHON='python3.9')
    assert done.returncode == 1
    assert 'PYTHON=python3.9 is not Python 3.11 or 3.12' in done.stderr


@pytest.mark.skipif(not (3, 11) <= sys.version_info[:2] <= (3, 12),
                    reason='stands for the Python that the set-up looks for')
@pytest.mark.parametrize('gib, libraries, message', [
    (4, True, ['too little disk space', 'About 10 GB', '4 GB are free']),
    (50, False, ['libGL', 'apt-get install libgl1 libglib2.0-0']),
])
def test_what_is_missing_is_said_before_anything_is_made(
        script, tools, tmp_path, gib, libraries, message):
    _python(tools, libraries)
    _add(tools, 'df', 'echo header; echo "disk 1 1 '
         f'{gib * 1048576} 1% /"')
    done = _run(['bash', script], tools, VENV=str(tmp_path / 'venv'))
    assert done.returncode == 1
    for part in message:
        assert part in done.stderr
    assert not (tmp_path / 'venv').exists()


def test_a_folder_that_is_no_environment_stays_as_it_is(script, tools, tmp_path):
    folder = tmp_path / 'venv'
    folder.mkdir()
    (folder / 'precious').touch()
    done = _run(['bash', script], tools, VENV=str(folder))
    assert done.returncode == 1
    assert 'not a virtual environment' in done.stderr
    assert [path.name for path in folder.iterdir()] == ['precious']


@pytest.mark.parametrize('environ, message', [
    ({'CXX': 'no-compiler'}, ['no C++ compiler (no-compiler)', 'install g++']),
    ({'CXX': 'sh', 'FORCE_CUDA': '1'}, ['nvcc is not on the PATH']),
])
def test_missing_compiler_is_named(script, tools, environ, message):
    venv = os.path.dirname(os.path.dirname(sys.executable))
    done = _run(['bash', '-c', f'source "{script}"; check_compiler'], tools,
                VENV=venv, **environ)
    assert done.returncode == 1
    for part in message:
        assert part in done.stderr


def test_missing_python_headers_are_named(script, tools, tmp_path):
    (tmp_path / 'venv' / 'bin').mkdir(parents=True)
    _add(tmp_path / 'venv' / 'bin', 'python', 'echo /no/include')
    done = _run(['bash', '-c', f'source "{script}"; check_compiler'], tools,
                VENV=str(tmp_path / 'venv'), CXX='sh')
    assert done.returncode == 1
    assert '/no/include/Python.h' in done.stderr and 'python3-dev' in done.stderr


def test_failing_step_shows_the_end_of_its_output(script, tools, tmp_path):
    done = _run(['bash', '-c', f'source "{script}"; LOG={tmp_path}/log; touch "$LOG"; '
                 'broken() { echo useful hint; return 3; }; run "a step" broken'],
                tools)
    assert done.returncode == 1
    assert "'a step' failed with status 3" in done.stderr
    assert 'useful hint' in done.stderr


def test_finished_environment_is_recognised_and_a_changed_pin_is_not(
        repository_dir, tools, tmp_path):
    clone = tmp_path / 'clone'
    (clone / 'scripts').mkdir(parents=True)
    for name in ('scripts/setup_env.sh', 'constraints.txt', 'setup.py'):
        shutil.copy(repository_dir / name, clone / name)
    script = clone / 'scripts' / 'setup_env.sh'
    venv = clone / '.venv'
    (venv / 'bin').mkdir(parents=True)
    (venv / 'pyvenv.cfg').touch()
    _add(venv / 'bin', 'python', 'exit 0')
    stamp = _run(['bash', '-c', f'source "{script}"; fingerprint'], tools)
    (venv / '.ddp-setup').write_text(stamp.stdout)
    done = _run(['bash', str(script)], tools)
    assert done.returncode == 0 and 'up to date' in done.stdout
    with open(clone / 'constraints.txt', 'a') as file:
        file.write('another==1.0\n')
    done = _run(['bash', str(script)], tools)
    assert done.returncode == 1 and 'no Python' in done.stderr


def test_mmcv_wheels_are_kept_per_torch_build(script, tools, tmp_path):
    (tmp_path / 'venv' / 'bin').mkdir(parents=True)
    _add(tmp_path / 'venv' / 'bin', 'python', 'case "$2" in *torch*) echo '
         '2.13.0+cu130;; *) echo cp311;; esac')
    wheels = tmp_path / 'wheels' / 'torch-2.13.0+cu130'
    wheels.mkdir(parents=True)
    wheel = wheels / 'mmcv-2.1.0-cp311-cp311-linux_x86_64.whl'
    wheel.touch()
    command = f'source "{script}"; set_wheel_folder; find_wheel'
    environ = {'VENV': str(tmp_path / 'venv'), 'MMCV_WHEELS': str(tmp_path / 'wheels')}
    assert _run(['bash', '-c', command], tools, **environ).stdout.strip() == str(wheel)
    done = _run(['bash', '-c', command], tools, **environ, FORCE_CUDA='1')
    assert done.returncode != 0 and not done.stdout.strip()
