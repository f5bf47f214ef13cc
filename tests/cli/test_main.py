import re
import subprocess
import sys
import types

import pytest

from ddp_perception.cli import forward
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.main import COMMANDS, main


@pytest.mark.parametrize('command', ['train', 'test', 'predict'])
def test_help_explains_with_an_example(command, capsys, repository_dir):
    with pytest.raises(SystemExit) as stop:
        main([command, '--help'])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f'ddp-perception {command} ' in text.split('Examples:')[1]
    for path in re.findall(r'projects/[\w/.-]+\.py', text):
        assert (repository_dir / path).is_file(), path


@pytest.mark.parametrize('command', ['prepare', 'synthesize'])
def test_help_of_data_commands_names_the_data_sets(command, capsys):
    assert main([command, '--help']) == 0
    text = capsys.readouterr().out
    assert 'nuscenes' in text and f'ddp-perception {command}' in text


@pytest.mark.parametrize('command', ['prepare', 'synthesize'])
def test_data_commands_name_themselves_in_their_own_help(command, capsys):
    with pytest.raises(SystemExit):
        main([command, 'nuscenes', '--help'])
    assert f'usage: ddp-perception {command} nuscenes' in capsys.readouterr().out


def test_help_without_arguments_lists_all_commands(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)
    assert all(name in text for name in ('nuScenes', 'Cityscapes', 'KITTI'))


@pytest.mark.parametrize('command', ['test', 'predict'])
def test_help_speaks_of_all_tasks(command, capsys):
    with pytest.raises(SystemExit):
        main([command, '--help'])
    text = capsys.readouterr().out
    assert all(task in text for task in ('map', 'segmentation', 'depth'))


def test_help_needs_no_framework():
    script = ('import sys\nfrom ddp_perception.cli.main import main\n'
              'try: main(["train", "--help"])\nexcept SystemExit: pass\n'
              'print(*(set(sys.modules) & {"torch", "mmengine", "numpy"}))')
    done = subprocess.run([sys.executable, '-c', script], text=True,
                          capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == ''


def test_data_commands_hand_everything_on(monkeypatch):
    seen = []
    module = types.ModuleType('fake_tool')
    module.main = lambda argv: seen.append(argv) or 7
    monkeypatch.setitem(sys.modules, 'fake_tool', module)
    datasets = {'moon': 'fake_tool'}
    assert forward.run('prepare', datasets, ['moon', 'a', '--help'], '') == 7
    assert seen == [['a', '--help']]
    with pytest.raises(UserError, match="one of: moon; got 'mars'"):
        forward.run('prepare', datasets, ['mars'], '')


def test_missing_package_is_named_with_the_install_command(monkeypatch, capsys):
    def needs_more(args):
        raise ModuleNotFoundError("No module named 'mmengine'", name='mmengine')

    monkeypatch.setattr('ddp_perception.cli.train.run', needs_more)
    assert main(['train', 'config.py']) == 2
    message = capsys.readouterr().err
    assert "'mmengine'" in message and 'pip install' in message
