"""What the documents promise is there."""
import re

import pytest
import torch

from ddp_perception.cli.main import COMMANDS, command_parser
from tests.apis.conftest import MAP, save_weights
from tests.apis.test_maps import arrays

__all__ = ['save_weights']  # a fixture

DOCUMENTS = ('README.md', 'CONTRIBUTING.md', 'examples/optical_flow/README.md',
             'examples/bev_occupancy/README.md')


@pytest.fixture(scope='module')
def readme(repository_dir):
    return (repository_dir / 'README.md').read_text()


def _python_blocks(text):
    return re.findall(r'```python\n(.*?)```', text, flags=re.DOTALL)


def test_snippets_train_and_predict(readme):
    from mmdet3d.structures import Det3DDataSample
    from mmengine.structures import PixelData
    scope = {}  # as a user copies them, block by block
    for block in _python_blocks(readme):
        if 'ddp_perception.apis' in block:  # needs a frame, see below
            continue
        exec(compile(block, 'README.md', 'exec'), scope)
    assert scope['custom_imports']['imports'] == ['ddp_perception']
    # The same head, on small grids so that it runs in a second.
    head = dict(scope['seg_head'],
                decoder=dict(channels=32, num_layers=1, num_heads=4),
                input_grid=[[-6., 6., 0.6], [-9., 9., 0.6]],
                output_grid=[[-5., 5., 0.5], [-8., 8., 0.5]])
    model = scope['MyBEVModel'](head)
    samples = []
    for index in range(2):
        sample = Det3DDataSample(metainfo={'token': str(index)})
        sample.gt_map_seg = PixelData(data=torch.randint(
            0, 2, (6, 20, 32), dtype=torch.uint8))
        samples.append(sample)
    features = torch.randn(2, 256, 20, 30)
    losses = model.loss(features, samples)
    sum(losses.values()).backward()
    maps = model.predict(features, samples)
    assert [tuple(m.shape) for m in maps] == [(6, 20, 32)] * 2
    assert 0 <= maps[0].min() and maps[0].max() <= 1


def test_a_frame_is_predicted_from_python(
        readme, synthetic_root, synthetic_infos, save_weights, tmp_path, monkeypatch):
    from mmengine.fileio import load
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'work_dirs/demo').mkdir(parents=True)
    save_weights(MAP).rename('work_dirs/demo/epoch_5.pth')  # as that of make demo
    info = load(synthetic_infos['val'])['data_list'][0]
    images, points = arrays(synthetic_root, info, 'samples/{}')
    scope = dict(images=images, points=points, calibration=info)
    block = next(block for block in _python_blocks(readme) if '.apis' in block)
    exec(compile(block, 'README.md', 'exec'), scope)
    assert scope['prediction'].probabilities.shape == (6, 200, 200)
    assert (tmp_path / 'frame.png').is_file()


def test_core_trains_and_samples_on_tensors_in_under_25_lines(readme, capsys):
    block = next(block for block in _python_blocks(readme) if 'ClassCodec' in block)
    assert len(block.splitlines()) < 25
    names = {}
    exec(compile(block, 'README.md', 'exec'), names)
    assert names['logits'].shape == (2, 19, 16, 24)
    assert all(parameter.grad is not None
               for parameter in names['diffusion'].parameters())
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in said] == ['1.00', '0.67', '0.33']
    assert names['step'].prediction.shape == (8, 19, 16, 24)


def test_head_snippet_builds_at_full_size(readme):
    from mmengine.registry import MODELS
    scope = {}
    block = next(block for block in _python_blocks(readme) if 'MapSegHead' in block)
    exec(block, scope)
    assert MODELS.build(scope['seg_head']).output_grid.shape == (200, 200)


@torch.no_grad()
def test_segmentation_snippet_builds_and_predicts(readme):
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS
    init_default_scope('mmseg')
    scope = {}
    block = next(block for block in _python_blocks(readme) if 'ddp.SegHead' in block)
    exec(block, scope)
    model = MODELS.build(dict(scope['model'], test_cfg=dict(mode='whole'))).eval()
    assert model.encode_decode(torch.randn(1, 3, 64, 96), [dict(
        img_shape=(64, 96), ori_shape=(64, 96))]).shape == (1, 19, 64, 96)


@pytest.mark.parametrize('document', DOCUMENTS)
def test_make_targets_exist(document, repository_dir):
    text = (repository_dir / document).read_text()
    targets = set(re.findall(r'(?:`|^    )make ([a-z-]+)', text, flags=re.MULTILINE))
    makefile = (repository_dir / 'Makefile').read_text()
    assert targets
    assert targets <= set(re.findall(r'^([a-z-]+):', makefile, flags=re.MULTILINE))


@pytest.mark.parametrize('document', DOCUMENTS)
def test_linked_and_named_files_exist(document, repository_dir):
    text = (repository_dir / document).read_text()
    links = re.findall(r'\]\((?!https?://)([^)#]+)\)', text)
    paths = re.findall(r'\b((?:projects|tests|benchmarks|scripts|ddp_perception|'
                       r'data_tools|examples)/[\w./-]*\w)', text)
    missing = [path for path in {*links, *paths}
               if not (repository_dir / path).exists()
               and not path.startswith('ddp_perception/cli.')]
    assert not missing


@pytest.mark.parametrize('document', DOCUMENTS)
def test_commands_parse(document, repository_dir):
    """Every ddp-perception line is one that the command line accepts."""
    import importlib
    text = (repository_dir / document).read_text().replace('\\\n', ' ')
    lines = re.findall(r'^    .*?(?:ddp-perception|-m ddp_perception\.cli) +(.*)$',
                       text, flags=re.MULTILINE)
    assert lines or document != 'README.md'
    for line in lines:
        name, *arguments = line.split()
        assert name in COMMANDS
        module = importlib.import_module(COMMANDS[name][0])
        command_parser(name, module).parse_args(arguments)


def test_commands_of_the_table_have_what_they_need(readme):
    import importlib
    lines = re.findall(r'^\| `([a-z-]+) ([A-Z][^`]*)` \|', readme, flags=re.MULTILINE)
    assert len(lines) >= 5
    for name, arguments in lines:
        module = importlib.import_module(COMMANDS[name][0])
        arguments = arguments.replace('NAME', 'camvid')  # one of a few
        command_parser(name, module).parse_args(arguments.split())


@pytest.mark.parametrize('document', ['README.md', 'SECURITY.md'])
def test_every_variable_of_the_environment_is_named(document, repository_dir):
    code = ''.join(path.read_text()
                   for path in (repository_dir / 'ddp_perception').rglob('*.py'))
    variables = set(re.findall(r"'(DDP_[A-Z_]+)'", code))
    assert len(variables) >= 3
    text = (repository_dir / document).read_text()
    assert [name for name in sorted(variables) if name not in text] == []
