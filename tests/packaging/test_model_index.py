"""The index of configurations, in the format of OpenMMLab's MIM."""
import re
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from ddp_perception.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted(path.parent.name for path in ROOT.glob('projects/*/configs'))
ENTRY = """\
- Name: {name}
  In Collection: {collection}
  Config: {config}
  Metadata:
    Training Data: ...
    {unit}: {length}
    Batch Size: {batch}"""


def _metafile(project):
    return yaml.safe_load((ROOT / 'projects' / project / 'metafile.yml').read_text())


def _configurations(project):
    return sorted(str(path.relative_to(ROOT))
                  for path in (ROOT / 'projects' / project / 'configs').glob('*.py'))


def _training(config):
    """What a metafile says of a configuration's training."""
    cfg = Config.fromfile(ROOT / config)
    unit = 'max_iters' if 'max_iters' in cfg.train_cfg else 'max_epochs'
    batch = cfg.train_dataloader.batch_size
    if not Path(config).stem.startswith('demo'):  # those know of one process alone
        batch = (cfg.get('auto_scale_lr') or {}).get('base_batch_size', batch)
    return ('Iterations' if unit == 'max_iters' else 'Epochs', cfg.train_cfg[unit],
            batch)


def _how_to_add(project, config):
    unit, length, batch = _training(config)
    collection = _metafile(project)['Collections'][0]['Name']
    return ENTRY.format(name=Path(config).stem, collection=collection, config=config,
                        unit=unit, length=length, batch=batch)


def test_every_project_is_imported():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert list(index) == ['Import']
    assert index['Import'] == [f'projects/{project}/metafile.yml'
                               for project in PROJECTS], (
        'model-index.yml imports one metafile.yml per folder of projects that has '
        'configs, by name')


@pytest.mark.parametrize('project', PROJECTS)
def test_every_configuration_is_listed_once(project):
    listed = [model['Config'] for model in _metafile(project)['Models']]
    there = _configurations(project)
    gone = sorted(set(listed) - set(there))
    assert not gone, f'projects/{project}/metafile.yml names what is not there: {gone}'
    missing = sorted(set(there) - set(listed))
    assert not missing, (
        f'add to Models of projects/{project}/metafile.yml, with the data set in '
        'place of the dots:\n' + '\n'.join(_how_to_add(project, config)
                                           for config in missing))
    assert sorted(listed) == there, 'one is listed twice'


def test_names_are_those_of_the_files_and_differ():
    """A name alone, without its folder, finds a configuration."""
    names = []
    for project in PROJECTS:
        for model in _metafile(project)['Models']:
            assert model['Name'] == Path(model['Config']).stem
            names.append(model['Name'])
    assert len(names) > 50
    assert len(set(names)) == len(names)


@pytest.mark.parametrize('project', PROJECTS)
def test_entries_have_what_mim_reads(project):
    metafile = _metafile(project)
    assert list(metafile) == ['Collections', 'Models']
    collections = {one['Name'] for one in metafile['Collections']}
    assert len(collections) == len(metafile['Collections'])
    for collection in metafile['Collections']:
        assert (ROOT / collection['README']).is_file()
        assert collection['Metadata']['Architecture']
    used = set()
    for model in metafile['Models']:
        assert set(model) <= {'Name', 'In Collection', 'Config', 'Metadata', 'Results'}
        assert model['In Collection'] in collections
        assert isinstance(model['Metadata']['Training Data'], str)
        used.add(model['In Collection'])
        for result in model.get('Results', []):
            assert sorted(result) == ['Dataset', 'Metrics', 'Task']
            assert isinstance(result['Task'] + result['Dataset'], str)
            assert result['Metrics']
            assert all(isinstance(value, float)
                       for value in result['Metrics'].values())
    assert used == collections


def test_names_of_collections_differ():
    names = [one['Name'] for project in PROJECTS
             for one in _metafile(project)['Collections']]
    assert len(set(names)) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize('project', PROJECTS)
def test_lengths_and_batches_are_those_of_the_configurations(project):
    for model in _metafile(project)['Models']:
        unit, length, batch = _training(model['Config'])
        metadata = model['Metadata']
        assert (metadata.get(unit), metadata['Batch Size']) == (length, batch), (
            f'{model["Name"]}: {unit} {length}, Batch Size {batch}')


@pytest.mark.parametrize('project', PROJECTS)
def test_figures_are_those_of_the_pages_and_say_whose_they_are(project):
    """No figure stands in the index alone, and none without its origin."""
    text = ''.join((ROOT / page).read_text()
                   for page in (f'projects/{project}/README.md', 'README.md'))
    on_pages = {float(number) for number in re.findall(r'\d+\.\d+', text)}
    for model in _metafile(project)['Models']:
        results, origin = model.get('Results'), model['Metadata'].get('Figures')
        assert bool(results) == bool(origin), model['Name']
        if not results:
            continue
        authors = re.match(r'of the \w+ authors.*, not measured here', origin)
        command = re.match(r"measured here by 'ddp-perception ([\w-]+)'", origin)
        assert bool(authors) != bool(command), model['Name']
        assert not command or command[1] in COMMANDS
        for result in results:
            assert result['Dataset'].startswith(
                ('synthetic', 'one ', 'CamVid')) == bool(command)
            for name, value in result['Metrics'].items():
                assert value in on_pages, (
                    f'{name} {value} of {model["Name"]} is neither on the page of '
                    f'{project} nor in README.md')
