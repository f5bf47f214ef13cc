import importlib
import inspect
import re
import subprocess
import sys

import pytest

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
    with pytest.raises(SystemExit) as stop:
        main([command, '--help'])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f'ddp-perception {command} DATASET --help' in text
    assert all(f'\n    {name}' in text for name in ('nuscenes', 'kitti', 'cityscapes'))


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


@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_has_the_same_two_functions(command):
    module = importlib.import_module(COMMANDS[command][0])
    assert list(inspect.signature(module.add_arguments).parameters) == ['parser']
    assert list(inspect.signature(module.run).parameters) == ['args']
    assert not hasattr(module, 'main')


@pytest.mark.parametrize('command', COMMANDS)
def test_help_needs_no_framework(command):
    script = ('import sys\nfrom ddp_perception.cli.main import main\n'
              f'try: main(["{command}", "--help"])\nexcept SystemExit: pass\n'
              'print(*(set(sys.modules) & {"torch", "mmengine", "numpy"}))')
    done = subprocess.run([sys.executable, '-c', script], text=True,
                          capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == ''


def test_unknown_data_set_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stop:
        main(['prepare', 'mars'])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "'mars'" in message and 'nuscenes' in message and 'cityscapes' in message


def test_options_of_a_data_set_show_their_defaults(capsys):
    with pytest.raises(SystemExit):
        main(['synthesize', 'kitti', '--help'])
    text = capsys.readouterr().out
    assert '--train-drives' in text and '(default: 1242x375)' in text


def test_missing_package_is_named_with_the_install_command(monkeypatch, capsys):
    def needs_more(args):
        raise ModuleNotFoundError("No module named 'mmengine'", name='mmengine')

    monkeypatch.setattr('ddp_perception.cli.train.run', needs_more)
    assert main(['train', 'config.py']) == 2
    message = capsys.readouterr().err
    assert "'mmengine'" in message and 'pip install' in message
