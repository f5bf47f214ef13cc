"""What the set-up script says where something is missing."""
import os
import shutil
import subprocess
import sys

import pytest

TOOLS = ('bash', 'sh', 'sed', 'cut', 'cat', 'dirname', 'sha256sum', 'awk', 'mkdir',
         'touch', 'rm', 'grep', 'tail', 'head', 'wc', 'sleep', 'tr', 'mktemp', 'mv',
         'nproc', 'env')
WHEEL = 'mmcv-2.1.0-cp311-cp311-any.whl'


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
    stamp = _run(['bash', '-c', f'source "{script}"; choose_kind; fingerprint'], tools)
    (venv / '.ddp-setup').write_text(stamp.stdout)
    done = _run(['bash', str(script)], tools)
    assert done.returncode == 0 and 'up to date' in done.stdout
    done = _run(['bash', str(script)], tools, FORCE_CUDA='1')
    assert done.returncode == 1 and 'no Python' in done.stderr
    _add(tools, 'nvidia-smi', 'exit 0')
    done = _run(['bash', str(script)], tools)
    assert done.returncode == 1 and 'no Python' in done.stderr
    (tools / 'nvidia-smi').unlink()
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


@pytest.fixture
def venv(tmp_path):
    """An environment whose Python writes down what it is asked, with a kept wheel.

    It answers for torch's version, its tag and its flags; `python -m pip wheel` makes
    an empty wheel.
    """
    folder = tmp_path / 'venv'
    (folder / 'bin').mkdir(parents=True)
    _add(folder / 'bin', 'python', f"""
echo "$* | CFLAGS=$CFLAGS CUDA=${{CUDA_VISIBLE_DEVICES-unset}}" >>{tmp_path}/calls
case "$*" in
  *'pip wheel'*) [ -z "$BROKEN" ] || case "$CFLAGS" in *-include*) exit 1;; esac
    while [ "$1" != -w ]; do shift; done; echo new >"$2/{WHEEL}";;
  *torch.__version__*) echo 2.13.0+cu130;;
  *version_info*) echo cp311;;
  *include_paths*) echo -I/torch/include;;
  *CFLAGS*) echo -O3 -g -Wall;;
esac""")
    wheels = tmp_path / 'wheels'
    for build in ('torch-2.13.0+cu130', 'torch-2.13.0+cu130-cuda'):
        (wheels / build).mkdir(parents=True)
        (wheels / build / WHEEL).touch()
    return folder


def _call(script, tools, venv, command, **environ):
    """Run functions of the script; return the process and what Python was asked."""
    calls = venv.parent / 'calls'
    calls.unlink(missing_ok=True)
    done = _run(['bash', '-c', f'source "{script}"; {command}'], tools,
                VENV=str(venv), MMCV_WHEELS=str(venv.parent / 'wheels'), **environ)
    return done, calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.parametrize('cuda, build', [
    ('0', 'torch-2.13.0+cu130'), ('1', 'torch-2.13.0+cu130-cuda')])
def test_the_wheel_asked_for_replaces_another_build_of_the_same_version(
        script, tools, venv, cuda, build):
    done, calls = _call(script, tools, venv,
                        'choose_kind; set_wheel_folder; install_libraries',
                        FORCE_CUDA=cuda)
    assert done.returncode == 0, done.stderr
    wheel = venv.parent / 'wheels' / build / WHEEL
    install, = (call for call in calls if str(wheel) in call)
    assert '--force-reinstall' in install and '--no-deps' in install


@pytest.mark.parametrize('gpu', [True, False])
def test_spconv_is_removed_beside_a_gpu_and_installed_without(
        script, tools, venv, gpu):
    if gpu:
        _add(tools, 'nvidia-smi', '[ "$1" = -L ]')
    done, calls = _call(script, tools, venv, 'choose_kind; install_tools')
    assert done.returncode == 0, done.stderr
    assert any('pip uninstall -y spconv' in call for call in calls) == gpu
    install, = (call for call in calls if 'pip install' in call)
    assert ('spconv' in install) != gpu


@pytest.mark.parametrize('kind, environ, chosen', [
    (None, {}, 'gpu=0 cuda=0'),
    (None, {'FORCE_CUDA': '1'}, 'gpu=1 cuda=1'),
    ('gpu=1 cuda=1', {}, 'gpu=1 cuda=1'),
    ('gpu=1 cuda=0', {}, 'gpu=1 cuda=0'),
    ('gpu=1 cuda=1', {'FORCE_CUDA': '0'}, 'gpu=0 cuda=0'),
])
def test_what_an_environment_was_made_for_is_remembered(
        script, tools, venv, kind, environ, chosen):
    """A login node, or a command without FORCE_CUDA, does not turn it back."""
    if kind:
        (venv / '.ddp-kind').write_text(kind + '\n')
    done, _ = _call(script, tools, venv,
                    'choose_kind; echo "gpu=$has_gpu cuda=$FORCE_CUDA"', **environ)
    assert done.stdout.strip() == chosen


def test_cuda_build_that_is_none_stops_the_setup(script, tools, venv):
    _add(venv / 'bin', 'python',
         f'exec {sys.executable} -c "import sys, types; '
         "sys.modules['mmcv'] = types.ModuleType('mmcv'); "
         "sys.modules['mmcv.ops'] = ops = types.ModuleType('mmcv.ops'); "
         "ops.get_compiling_cuda_version = lambda: '$BUILD'; "
         'exec(sys.argv[1])" "$2"')
    check = 'FORCE_CUDA=1; check_operators'
    done, _ = _call(script, tools, venv, check, BUILD='not available')
    assert done.returncode == 1 and 'has no CUDA operators' in done.stderr
    done, _ = _call(script, tools, venv, check, BUILD='13.0')
    assert done.returncode == 0 and 'CUDA 13.0' in done.stdout


@pytest.mark.parametrize('compiler, broken, ways', [
    ('exit 0', '', ['precompiled']),            # as it should be
    ('exit 1', '', ['plain']),                  # the compiler takes no header
    ('exit 0', '1', ['precompiled', 'plain']),  # mmcv does not compile with it
])
def test_mmcv_is_compiled_without_debug_information_and_with_one_parsed_header(
        script, tools, venv, tmp_path, compiler, broken, ways):
    _add(tools, 'cxx', f'echo "$*" >>{tmp_path}/compiled; {compiler}')
    wheel = tmp_path / 'wheels' / 'torch-2.13.0+cu130' / WHEEL
    wheel.unlink()
    done, calls = _call(
        script, tools, venv, 'choose_kind; set_wheel_folder; compile_mmcv',
        CXX='cxx', CFLAGS='-mine', TMPDIR=str(tmp_path), BROKEN=broken)
    assert done.returncode == 0, done.stderr
    assert wheel.read_text() == 'new\n'
    builds = [call for call in calls if 'pip wheel' in call]
    assert ['precompiled' if '-include' in call else 'plain'
            for call in builds] == ways
    for call in builds:  # Python's own flags stay, and so do the user's
        assert 'CFLAGS=-O3 -g -Wall -g0 -mine' in call
        assert call.endswith('CUDA=')  # or a GPU makes it a CUDA build
    header, = (tmp_path / 'compiled').read_text().splitlines()
    assert header.startswith('-O3 -g -Wall -g0 -mine -fPIC -I/torch/include -std=c++17')
    # Nothing is left behind.
    assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]
    assert not list(tmp_path.glob('tmp.*'))


@pytest.mark.skipif(shutil.which('c++') is None, reason='needs a C++ compiler')
def test_the_compiler_takes_the_parsed_header(script, tmp_path):
    """With another flag it would read the text instead, which here is an error."""
    includes = tmp_path / 'include' / 'torch'
    includes.mkdir(parents=True)
    (includes / 'types.h').write_text('inline int seven() { return 7; }\n')
    (tmp_path / 'venv' / 'bin').mkdir(parents=True)
    _add(tmp_path / 'venv' / 'bin', 'python', 'case "$*" in '
         f'*include_paths*) echo -I{tmp_path}/include;; *) echo -O3 -g -Wall;; esac')
    (tmp_path / 'use.cpp').write_text('int main() { return seven() - 7; }\n')
    header = tmp_path / 'torch.hpp'
    done = _run(['bash', '-c', f"""
        source "{script}"; CFLAGS=$(compiler_flags | tr '\\n' ' ')
        precompile_header {header}
        rm {includes}/types.h; echo '#error "read as text"' >{header}
        c++ $CFLAGS -include {header} -fPIC -c {tmp_path}/use.cpp -o {tmp_path}/use.o \\
            -std=c++17 -DTORCH_API_INCLUDE_EXTENSION_H -DTORCH_EXTENSION_NAME=_ext"""],
                os.environ['PATH'], VENV=str(tmp_path / 'venv'))
    if 'clang' in subprocess.run(['c++', '--version'], capture_output=True,
                                 text=True).stdout:
        pytest.skip('the compiler is not GCC')
    assert done.returncode == 0, done.stderr
