"""What the container files name is there; no image is built."""
import json
import re
import shlex
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = ('Dockerfile', 'Dockerfile.cuda')
KEYWORDS = {'FROM', 'RUN', 'WORKDIR', 'COPY', 'ENV', 'ARG', 'ENTRYPOINT', 'CMD'}


def _instructions(name):
    """Yield keyword and arguments of each instruction, lines joined."""
    text = re.sub(r'^#.*\n', '', (ROOT / name).read_text(), flags=re.M)
    for line in text.replace('\\\n', ' ').splitlines():
        if line.strip():
            keyword, arguments = line.split(maxsplit=1)
            yield keyword, arguments.strip()


def _values(name, keyword):
    return [arguments for word, arguments in _instructions(name) if word == keyword]


def _make_targets():
    return set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.M))


def _mounts():
    return [dict(part.split('=') for part in mount.split(','))
            for mount in _devcontainer()['mounts']]


def _devcontainer():
    return json.loads((ROOT / '.devcontainer/devcontainer.json').read_text())


@pytest.mark.parametrize('name', DOCKERFILES)
def test_instructions_are_known_and_copied_sources_exist(name):
    assert {keyword for keyword, _ in _instructions(name)} <= KEYWORDS
    assert _values(name, 'FROM')
    for arguments in _values(name, 'COPY'):
        *sources, _ = shlex.split(arguments)
        assert sources and all((ROOT / source).exists() for source in sources)
    for keyword in ('ENTRYPOINT', 'CMD'):
        arguments, = _values(name, keyword)
        assert all(isinstance(word, str) for word in json.loads(arguments))
    assert json.loads(_values(name, 'ENTRYPOINT')[0]) == ['ddp-perception']


@pytest.mark.parametrize('name', DOCKERFILES)
def test_environment_is_that_of_make_env_and_first_on_the_path(name):
    commands = [command for arguments in _values(name, 'RUN')
                for command in arguments.split(' && ')
                if re.fullmatch(r'(?:\w+=\S+ )*make .*', command)]
    assert [command.split()[-2:] for command in commands] == [['make', 'env']]
    assert ('FORCE_CUDA=1' in commands[0]) == name.endswith('cuda')
    folder = _values(name, 'WORKDIR')[0]
    assert f'PATH={folder}/.venv/bin:$PATH' in _values(name, 'ENV')[0].split()


@pytest.mark.parametrize('name', DOCKERFILES)
def test_system_packages_are_those_that_the_set_up_asks_for(name):
    script = (ROOT / 'scripts/setup_env.sh').read_text()
    wanted = {'make'}
    for line in re.findall(r'sudo apt-get install ([^"()]+)', script):
        wanted |= {word for word in line.split() if not word.startswith('python')}
    assert wanted >= {'g++', 'libgl1', 'libglib2.0-0'}
    installed = {word.removesuffix('t64') for arguments in _values(name, 'RUN')
                 for words in re.findall(r'apt-get install(.*?)&&', arguments)
                 for word in words.split()}
    assert wanted <= installed


def test_python_of_the_images_is_one_that_the_pins_are_for():
    script = (ROOT / 'scripts/setup_env.sh').read_text()
    fits = set(re.findall(r'python(3\.\d+)', re.search(r'for name in (.*);',
                                                       script)[1]))
    assert len(fits) == 2
    assert re.match(r'python:(3\.\d+)-', _values('Dockerfile', 'FROM')[0])[1] in fits
    cuda = ' '.join(_values('Dockerfile.cuda', 'RUN'))
    version, = set(re.findall(r'python(3\.\d+)', cuda))
    assert version in fits
    assert {f'python{version}-venv', f'python{version}-dev'} <= set(cuda.split())


def test_cuda_of_the_image_is_that_of_the_pinned_torch():
    page = (ROOT / 'docs/installation.md').read_text()
    wanted = re.search(r'\((\d+\.\d+) for the pinned\s+torch', page)[1]
    image, = _values('Dockerfile.cuda', 'FROM')
    assert re.match(rf'nvidia/cuda:{re.escape(wanted)}\.\d+-devel-ubuntu', image)


def test_nothing_that_git_ignores_is_sent_to_the_build():
    def lines(name):
        return {line.strip('/').removeprefix('**/')
                for line in (ROOT / name).read_text().splitlines()
                if line and not line.startswith('#')}
    assert lines('.gitignore') <= lines('.dockerignore')
    assert '.git' in lines('.dockerignore')


def test_devcontainer_opens_a_stage_that_exists_and_sets_up_by_make():
    settings = _devcontainer()
    build = settings['build']
    folder = ROOT / '.devcontainer'
    assert (folder / build['dockerfile']).resolve() == ROOT / 'Dockerfile'
    assert (folder / build['context']).resolve() == ROOT
    stages = [stage.split(' AS ')[1] for stage in _values('Dockerfile', 'FROM')
              if ' AS ' in stage]
    assert build['target'] in stages
    make, target = settings['postCreateCommand'].split()
    assert make == 'make' and target in _make_targets()


def test_devcontainer_keeps_environment_and_wheels_in_volumes():
    """The set-up refuses an existing folder that is no environment, as a mount is."""
    settings = _devcontainer()
    variables = settings['containerEnv']
    environment = PurePosixPath(variables['VENV'])
    targets = [PurePosixPath(mount['target']) for mount in _mounts()]
    assert all(mount['type'] == 'volume' for mount in _mounts())
    assert environment.parent in targets and environment not in targets
    assert PurePosixPath(variables['MMCV_WHEELS']) in targets
    assert settings['remoteEnv']['PATH'].startswith(f'{environment}/bin:')
    vscode = settings['customizations']['vscode']['settings']
    assert vscode['python.defaultInterpreterPath'] == f'{environment}/bin/python'
    script = (ROOT / 'scripts/setup_env.sh').read_text()
    assert all(f'${{{name}:-' in script for name in ('VENV', 'MMCV_WHEELS'))


@pytest.mark.parametrize('name', DOCKERFILES)
def test_files_and_page_say_what_was_not_run(name):
    head = (ROOT / name).read_text().split('\nFROM')[0].lower()
    assert 'not built' in head or 'never built' in head
    page = (ROOT / 'docs/installation.md').read_text()
    assert re.search(rf'^\| [^|]*`{re.escape(name)}`[^|]*\| [^|]*not (?:built|run)',
                     page, re.M)
