"""What the projects' pages link to and what their commands name is there."""
import re
import shlex
from pathlib import Path

import pytest

from ddp_perception.cli.main import COMMANDS, command_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / 'projects').glob('*/README.md'))


def command_lines(text):
    """Commands of all shell blocks, with the variables set before them."""
    for block in re.findall(r'```bash\n(.*?)```', text, re.S):
        variables = {}
        for line in block.replace('\\\n', ' ').splitlines():
            for name, value in variables.items():
                line = line.replace(f'${name}', value)
            setting = re.fullmatch(r'([A-Z]+)=(\S+)', line)
            if setting:
                variables[setting[1]] = setting[2]
            words = shlex.split(line, comments=True)
            if words[:1] == ['ddp-perception']:
                yield words[1:]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.parent.name)
def test_links_lead_to_files(page):
    for target in re.findall(r'\]\(([^)#]+?)(?:#[\w-]+)?\)', page.read_text()):
        if '://' not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.parent.name)
def test_commands_parse_and_name_configurations_that_exist(page):
    import importlib
    defined = re.search(r'^CONFIGS=(\S+)$', page.read_text(), re.M)
    for name, *arguments in command_lines(page.read_text()):
        assert name in COMMANDS
        arguments = [word.replace('$CONFIGS', defined[1]) if defined else word
                     for word in arguments]
        configs = [word for word in arguments if word.endswith('.py')]
        assert all((ROOT / word).is_file() for word in configs), configs
        module = importlib.import_module(COMMANDS[name][0])
        if '$CONFIG' not in arguments:
            command_parser(name, module).parse_args(arguments)


def test_what_a_map_head_takes_is_counted_in_the_readme():
    """Its lines of configuration, and the configurations of mmdet3d that it suits."""
    import mmdet3d
    page = (ROOT / 'projects/map_head_for_your_detector/README.md').read_text()
    readme = (ROOT / 'README.md').read_text()
    before, after = (block.split('\n') for block in
                     re.findall(r'```python\n(.*?)```', page, re.S)[:2])
    added = len(list(filter(None, after))) - len(list(filter(None, before)))
    assert added == 13
    assert re.findall(r'(\w+)\s+lines\s+of\s+(?:\[)?its', readme) == ['thirteen'] * 2
    rows = re.findall(r'^\| `(\w+)` \| (\d+) \| (yes|no)', page, re.M)
    there = Path(mmdet3d.__file__).parent / '.mim/configs'
    files = {folder.name: len(list(folder.glob('*nus*.py')))
             for folder in there.iterdir() if folder.name != 'nuimages'}
    assert {name: int(count) for name, count, _ in rows} == {
        name: count for name, count in files.items() if count}
    suited = sum(int(count) for _, count, answer in rows if answer == 'yes')
    assert f'[{suited} of its {sum(files.values())} nuScenes configurations]' in readme


PROCESSES = r'(?:torchrun --nproc-per-node=(\d+) -m ddp_perception\.cli|ddp-perception)'


def trainings(text):
    """Processes and arguments of every training that a page shows."""
    config = None
    for line in text.replace('\\\n', ' ').splitlines():
        setting = re.match(r'\s*CONFIG=(\S+)', line)
        if setting:
            config = setting[1]
        found = re.match(rf'\s*{PROCESSES} train (.*)', line)
        if found:
            yield int(found[1] or 1), found[2].replace('$CONFIG', config or '')


@pytest.mark.parametrize('page', [ROOT / 'README.md', *PAGES],
                         ids=lambda page: page.parent.name)
def test_trainings_have_the_batch_of_their_learning_rate_or_scale_it(page):
    from mmengine.config import Config
    text = page.read_text()
    names = dict(re.findall(r'^\s*(NAME|CONFIGS)=(\S+)', text, re.M))
    count = 0
    for processes, arguments in trainings(text):
        for name, value in names.items():
            arguments = arguments.replace(f'${name}', value)
        cfg = Config.fromfile(ROOT / re.search(r'\S+\.py', arguments)[0])
        batch = processes * cfg.train_dataloader.batch_size
        base = cfg.get('auto_scale_lr', {}).get('base_batch_size', batch)
        assert batch == base or '--auto-scale-lr' in arguments, arguments
        count += 1
    assert count
