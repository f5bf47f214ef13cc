import base64
import io
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from ddp_perception.evaluation.calibration_metric import CalibrationMetric
from ddp_perception.evaluation.depth_uncertainty import DepthUncertaintyMetric
from ddp_perception.evaluation.sample_fields import write_curves
from ddp_perception.probing import sentences
from ddp_perception.reports import NoRunError, read_run, render_page
from tests.probing.test_effects import result
from tests.reports.conftest import train_line
from tests.reports.parsed import Page

HOSTILE = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>'
MOST_PAGE_BYTES = 9_000_000


def page_of(folder):
    return Page(render_page(read_run(folder.root)))


def drawing(attrs):
    """The SVG of a chart, parsed."""
    kind, data = attrs['src'].split(',')
    assert kind == 'data:image/svg+xml;base64'
    return ElementTree.fromstring(base64.b64decode(data))


def noise(path, height=60, width=80, mode='RGB', seed=0):
    values = np.random.default_rng(seed).integers(
        0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(values).convert(mode).save(path)


def evaluated(steps, **metrics):
    return {'configuration': 'projects/a.py', 'cfg_options': ['a.b=3'],
            'checkpoint': 'epoch_2.pth', 'metrics': metrics, 'decoder_passes': {
                'pred_flow': {'seeds': 2, 'steps': steps, 'averaged': 2}}}


def test_figures_are_those_of_the_files(folder):
    folder.start(1, [train_line(3), {'epe': 2.123456789, 'step': 3},
                     train_line(6), {'epe': 1.5, 'step': 6},
                     train_line(9), {'epe': 1.75, 'step': 9}])
    folder.json('any name.json', evaluated(
        3, **{'flow/fast/epe': 0.7123456789, 'flow/slow/epe': 1 / 3, 'epe': 0.5,
              'none': None}))
    folder.json('deeper/other.json', evaluated(10, epe=0.25))
    (folder.root / 'best_epe_iter_6.pth').write_bytes(b'0' * 2_500_000)
    page = page_of(folder)
    assert page.tables['Test'][0] == ['', 'any name.json', 'deeper/other.json']
    assert page.figures('Test') == {'epe': [0.5, 0.25], 'none': ['–', '–']}
    assert page.figures('Test: flow any name.json') == {
        'fast': [0.7123456789], 'slow': [1 / 3]}
    assert page.figures('Validation') == {'epe': [1.75, 1.5, 1.5, 6, 2.123456789, 3]}
    assert page.tables['Validation'][0][2] == 'kept as best by epe (iteration 6)'
    assert [row[:5] for row in page.tables['Decoder passes'][1:]] == [
        ['any name.json', 'pred_flow', 2, 3, 2],
        ['deeper/other.json', 'pred_flow', 2, 10, 2]]
    assert '2 seeds x 10 steps, last step only (2 of 20 passes)' in page.words
    assert 'a.b=3' in page.words
    assert page.figures('Checkpoints')['best_epe_iter_6.pth'][0] == '2.50'
    assert 'nan' not in page.words.lower()


def test_a_resumed_run_is_one_curve(folder):
    folder.start(1, [train_line(1), train_line(2), train_line(3)], '2026/01/02 '
                 '10:02:01 - mmengine - INFO - Saving checkpoint at 2 iterations\n')
    folder.start(30, [train_line(3), train_line(4)])
    page = page_of(folder)
    words = {attrs['alt'].split(';')[0] for attrs in page.all('img')}
    assert 'loss from 1 at iteration 1 to 0.2500 at iteration 4' in words
    assert page.figures('Starts') == {
        '20260102_100001': ['2026-01-02 10:00:01', '2 min 0 s', '1 to 3',
                            'A <graphics> card'],
        '20260102_100030': ['2026-01-02 10:00:30', '0 s', '3 to 4',
                            'A <graphics> card']}
    assert '2 starts, the first on 02 January 2026 at 10:00, 2 min 0 s' in page.words


def test_the_environment_is_what_the_log_says(folder):
    folder.start(1)
    folder.start(2)
    page = page_of(folder)
    assert page.figures('Log of 20260102_100001') == {
        'sys.platform': ['linux'], 'Python': ['3.11.7 (main)'],
        'CUDA available': ['True'], 'GPU 0': ['A <graphics> card'],
        'PyTorch': ['2.13.0'], 'MMEngine': ['0.10.7'], 'seed': ['1']}
    assert page.figures('Log of 20260102_100002, what differs') == {'seed': ['2']}
    assert "model = dict(type='Model')" in page.words


def test_names_from_files_stay_text(folder):
    folder.start(1, [train_line(1, **{f'loss_{HOSTILE}': 1.}),
                     {HOSTILE: 0.5, '_$x_{': 1, 'step': 1}],
                 f'2026/01/02 10:00:05 - mmengine - INFO - {HOSTILE}\n'
                 f'+---+---+\n| {HOSTILE} | a |\n+---+---+\n| b | 1 |\n+---+---+\n')
    config = folder.root / '20260102_100001/vis_data/config.py'
    config.write_text(f'# </pre></details>{HOSTILE}')
    folder.json('<b>name&.json', {**evaluated(3, **{HOSTILE: 1.}),
                                  'configuration': HOSTILE})
    folder.json('probe.json', {
        'sentences': [HOSTILE], 'metric': {'name': HOSTILE}, 'head': HOSTILE,
        'variations': [{'label': HOSTILE, 'metrics': {HOSTILE: HOSTILE}}]})
    folder.json('curves.json', {'figures': {HOSTILE: 1}, 'reliability': {
        HOSTILE: {'probability': [0.1, None], 'frequency': [10 ** 400, 0.2]}}})
    folder.json('demo.json', {'decoder_passes': HOSTILE, 'seconds': 3})
    noise(folder.root / '"onload=alert(3) x.png')
    (folder.root / 'broken <i>.json').write_text('{')
    page = page_of(folder)
    assert {tag for tag, _ in page.tags}.isdisjoint({'script', 'b', 'i', 'iframe'})
    assert not [name for _, attrs in page.tags for name in attrs
                if name.startswith('on')]
    assert page.words.count(HOSTILE) > 10
    for attrs in page.all('img'):
        assert attrs['src'].startswith('data:image/')


def test_nothing_is_asked_of_a_network(folder):
    folder.start(1, [train_line(1), {'iou': 0.5, 'step': 1}])
    noise(folder.root / 'shown/a.png')
    text = render_page(read_run(folder.root))
    page = Page(text)
    for _, attrs in page.tags:
        for name in ('src', 'href', 'srcset', 'action', 'data', 'poster'):
            assert attrs.get(name, '#').startswith(('#', 'data:image/'))
    style, = re.findall('<style>(.*?)</style>', text, re.DOTALL)
    assert 'url(' not in style and '@import' not in style
    policy, = (attrs['content'] for attrs in page.all('meta')
               if attrs.get('http-equiv') == 'Content-Security-Policy')
    assert policy.startswith("default-src 'none'") and 'script' not in policy


def test_the_page_can_be_read_without_seeing_it(folder):
    folder.start(1, [train_line(1), {'iou': 0.5, 'step': 1}])
    folder.json('a.json', evaluated(3, epe=1))
    noise(folder.root / 'shown/a.png')
    page = page_of(folder)
    assert page.all('html') == [{'lang': 'en'}]
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(after - before <= 1
               for before, after in zip(page.headings, page.headings[1:]))
    assert all(len(attrs['alt']) > 5 for attrs in page.all('img'))
    assert all(attrs['scope'] in ('row', 'col') for attrs in page.all('th'))
    ids = [attrs['id'] for _, attrs in page.tags if 'id' in attrs]
    assert len(ids) == len(set(ids))
    targets = {attrs['href'][1:] for attrs in page.all('a')} | {
        attrs['aria-labelledby'] for attrs in page.all('table')}
    assert targets <= set(ids) and 'picture-1' in targets


def test_infinite_figures_are_said_and_leave_a_gap(folder):
    folder.start(1, [train_line(1, loss=float('inf')), train_line(2, loss=2.),
                     {'iou': float('nan'), 'epe': float('-inf'), 'step': 1}])
    page = page_of(folder)
    words = [attrs['alt'] for attrs in page.all('img')]
    assert 'loss from ∞ at iteration 1 to 2 at iteration 2; least 2 at 2' in words[0]
    assert page.figures('Validation')['epe'][0] == float('-inf')
    assert all(drawing(attrs) for attrs in page.all('img'))


def test_charts_are_svg_whose_text_is_text(folder):
    folder.start(1, [train_line(step) for step in range(1, 2001)])
    page = page_of(folder)
    loss = next(attrs for attrs in page.all('img') if attrs['alt'].startswith('loss'))
    said = [element.text for element in drawing(loss).iter(
        '{http://www.w3.org/2000/svg}text')]
    assert 'iteration' in said and '2000' in said
    assert len(loss['src']) < 60_000


def test_every_picture_is_embedded_and_scaled_down(folder):
    folder.start(1)
    noise(folder.root / 'shown/large.png', 1000, 2400)
    noise(folder.root / 'small.jpg', 30, 40)
    noise(folder.root / 'label map.png', mode='L')
    frames = [Image.new('RGB', (20, 10), colour) for colour in ('red', 'blue')]
    frames[0].save(folder.root / 'strip.gif', save_all=True, append_images=frames[1:])
    page = page_of(folder)
    found = {attrs['alt']: attrs for attrs in page.all('img')}
    assert sorted(found) == ['Picture shown/large.png', 'Picture small.jpg',
                             'Picture strip.gif']
    for attrs in found.values():
        image = Image.open(io.BytesIO(base64.b64decode(attrs['src'].split(',')[1])))
        assert image.size == (int(attrs['width']), int(attrs['height']))
        assert len(attrs['src']) < 410_000
    width, height = (int(found['Picture shown/large.png'][side])
                     for side in ('width', 'height'))
    assert width <= 1600 and width / height == pytest.approx(2.4, rel=0.01)
    assert image.n_frames == 2


def test_transparent_pictures_lie_on_white(folder):
    folder.start(1)
    Image.new('RGBA', (8, 8), (255, 0, 0, 0)).save(folder.root / 'a.png')
    attrs, = page_of(folder).all('img')
    image = Image.open(io.BytesIO(base64.b64decode(attrs['src'].split(',')[1])))
    assert image.getpixel((4, 4)) == (255, 255, 255)


def test_many_pictures_are_shown_evenly_and_the_page_stays_small(folder):
    folder.start(1)
    for number in range(22):
        noise(folder.root / f'many/{number:02}.png', 700, 900, seed=number)
    noise(folder.root / 'few/one.png', seed=99)
    text = render_page(read_run(folder.root))
    pictures = [attrs['alt'] for attrs in Page(text).all('img')]
    assert len(pictures) == 20 and 'Picture few/one.png' in pictures
    assert '3 more are in the folder' in Page(text).words
    assert len(text.encode()) < MOST_PAGE_BYTES


def test_damaged_files_are_named_and_the_rest_is_shown(folder):
    folder.start(1, [train_line(1), '{"loss": 0.', train_line(2)])
    (folder.root / 'cut.json').write_text('{"metrics": {')
    (folder.root / 'binary.json').write_bytes(b'\xff\xfe\x00')
    (folder.root / 'deep.json').write_text('[' * 100_000)
    (folder.root / 'cut.png').write_bytes(b'\x89PNG\r\n\x1a\n')
    folder.json('unknown.json', {'anything': 1})
    folder.json('list.json', [1, 2])
    folder.json('good.json', evaluated(3, epe=0.5))
    page = page_of(folder)
    for said in ('scalars.json: 1 of 3 line is damaged', 'cut.json: no JSON',
                 'binary.json: no JSON', 'deep.json: no JSON', 'cut.png: no readable'):
        assert said in page.words
    assert page.figures('Test') == {'epe': [0.5]}
    assert 'unknown.json' not in page.words and 'list.json' not in page.words


LOGGED = '2026/01/02 10:00:05 - mmengine - INFO - '


def evaluation_log(iou, mode, passes='three'):
    """An evaluation as it is logged: progress, table, passes, figures."""
    return (f'{LOGGED}Iter({mode}) [9/9]    eta: 0:00:00  time: 0.1\n'
            f'{LOGGED}per class results:\n{LOGGED}\n+---+---+\n| class | IoU |\n'
            f'+---+---+\n| road | {iou} |\n+---+---+\n'
            f'{LOGGED}decoder passes of pred_seg: {passes}\n'
            f'{LOGGED}Iter({mode}) [9/9]    mIoU: {iou}\n')


def test_tables_of_the_log_name_their_evaluation(folder):
    folder.start(1, log=(
        f'{LOGGED}of the data set:\n+---+---+\n| a | b |\n+---+---+\n| c | 4 |\n'
        '+---+---+\n' + evaluation_log(10, 'val') + evaluation_log('nan', 'val')
        + evaluation_log(30, 'test') + evaluation_log(40, 'test', 'one')))
    tables = page_of(folder).tables
    title = 'per class results log of 20260102_100001; '
    assert {name.removeprefix(title): rows[1:] for name, rows in tables.items()
            if name.startswith(title)} == {
        'decoder passes of pred_seg: three': [['road', '–']],
        'test 1; decoder passes of pred_seg: three': [['road', '30']],
        'test 2; decoder passes of pred_seg: one': [['road', '40']]}
    assert tables['of the data set log of 20260102_100001'] == [['a', 'b'], ['c', '4']]


def test_curves_of_the_calibration_metrics_are_drawn(folder):
    generator = torch.Generator().manual_seed(0)
    probability = torch.rand(2, 8, 9, generator=generator)
    truth = (torch.rand(2, 8, 9, generator=generator) < probability).float()
    folder.start(1)
    maps = CalibrationMetric(
        'multi_label', ['entropy', 'confidence'], classes=['road', 'path'],
        curves_file=folder.root / 'classes.json')
    maps.process(None, [{'pred_map_seg': {'data': probability},
                         'gt_map_seg': {'data': truth}}])
    maps.compute_metrics(maps.results)
    depth = DepthUncertaintyMetric(crop=None, curves_file=folder.root / 'depth.json')
    depth.process(None, [{
        'pred_depth_map': {'data': 1 + probability[:1]},
        'gt_depth_map': {'data': 1 + probability[1:]},
        'pred_depth_map_uncertainty': {'data': probability[1:]}}])
    depth.compute_metrics(depth.results)
    page = page_of(folder)
    written = json.loads((folder.root / 'depth.json').read_text())['figures']
    assert page.figures('Figures') | {name: [value] for name, value in written.items()
                                      } == page.figures('Figures')
    assert [attrs['alt'].split(';')[0] for attrs in page.all('img')] == [
        'reliability: road', 'reliability: path', 'risk coverage: entropy',
        'risk coverage: confidence', 'sparsification: abs_rel', 'sparsification: rmse']
    assert all(drawing(attrs) for attrs in page.all('img'))


def test_the_file_of_a_probe_is_shown(folder):
    probed = result((25., 26.), truth=30., shares=(.1, .2, .3))
    folder.start(1)
    write_curves(folder.root / 'p.json', probed.content())
    page = page_of(folder)
    assert page.tables['probe: verdict'][1:] == [[text] for text in sentences(probed)]
    assert page.figures('probe') == {'samples': [3]}
    head, *lines = page.tables['probe: variations']
    assert head[:4] == ['variation', 'mIoU', 'compared with', 'better by (share)']
    assert [line[0] for line in lines] == [item.label for item in probed.measured]
    assert page.figures('probe: variations')['steps 2'] == [
        26., 'steps_1', 0.04, '–', '–', 0.25]


def test_figures_of_a_demo_are_tables(folder):
    folder.start(1)
    folder.json('d.json', {'decoder_passes': '1 seed x 3 steps', 'miou': 0.278,
                           'ours': {'road': 0.6}, 'constant': {'road': 0.4}})
    page = page_of(folder)
    assert page.figures('demo: ours, constant') == {'road': [0.6, 0.4]}
    assert page.figures('demo')['miou'] == [0.278]
    assert ('Demo (d.json): decoder_passes 1 seed x 3 steps, miou 0.2780.'
            in page.words)


def test_mmengines_own_figures_are_shown_where_no_other_file_has_them(folder):
    folder.start(1, log=evaluation_log(30, 'test'))
    folder.json('20260102_100001/20260102_100001.json',
                {'epe': 0.5, 'count': None, 'time': 0.1, 'data_time': 0.1})
    page = page_of(folder)
    assert page.figures('Test') == {'epe': [0.5], 'count': ['–']}
    assert page.figures('What was tested') == {
        '20260102_100001/20260102_100001.json': ['decoder passes of pred_seg: three']}
    folder.json('out.json', evaluated(3, epe=0.5, count=7))
    page = page_of(folder)
    assert page.figures('Test') == {'epe': [0.5], 'count': [7]}
    assert '20260102_100001.json' not in page.words


def test_figures_of_which_of_several_tests_is_not_known_are_left_out(folder):
    folder.start(1, log=evaluation_log(30, 'test') + evaluation_log(10, 'test', 'one'))
    folder.json('20260102_100001/20260102_100001.json', {'mIoU': 10.})
    assert 'Test' not in page_of(folder).tables


def test_trainings_of_folders_below_are_kept_apart(folder):
    folder.start(1, [train_line(1), train_line(2)])
    below = type(folder)(folder.root / 'first model')
    below.start(5, [train_line(1), train_line(7)])
    page = page_of(folder)
    assert [training.name for training in read_run(folder.root).trainings] == [
        '', 'first model']
    assert 'Training is logged up to iteration 2. ' in page.words
    assert 'Training in first model is logged up to iteration 7.' in page.words


def test_the_page_of_a_run_is_always_the_same(folder):
    folder.start(1, [train_line(1), {'iou': 0.5, 'step': 1}])
    assert render_page(read_run(folder.root)) == render_page(read_run(folder.root))


def test_links_lead_nowhere(folder, tmp_path):
    folder.start(1)
    noise(tmp_path / 'secret.png')
    (folder.root / 'link.png').symlink_to(tmp_path / 'secret.png')
    (folder.root / 'loop').symlink_to(folder.root)
    assert not page_of(folder).all('img')


@pytest.mark.parametrize('content', [None, 'file', 'pictures'])
def test_a_folder_without_a_run_is_refused(tmp_path, content):
    path = tmp_path / 'place'
    if content == 'file':
        path.write_text('')
    elif content:
        noise(path / 'a.png')
    with pytest.raises(NoRunError, match='place'):
        read_run(path)


def test_the_summary_says_what_was_measured_with_which_passes(folder):
    folder.start(1, [train_line(1), {'map/road/iou': 0.5, 'map/path/iou': 0.3,
                                     'map/mean/iou': 0.4, 'step': 1}])
    folder.json('out.json', evaluated(3, epe=0.5))
    words = page_of(folder).words
    assert 'Last validation, iteration 1: map/mean/iou 0.4000.' in words
    assert ('Test (out.json, 2 seeds x 3 steps, last step only (2 of 6 passes)): '
            'epe 0.5000.') in words


@pytest.mark.parametrize('value', [1e308, -1e308, 5e-324])
def test_numbers_that_no_axis_holds_do_not_stop_the_page(folder, value):
    folder.start(1, [train_line(1, loss=value), train_line(2),
                     {'iou': value, 'step': 1}])
    folder.json('curves.json', {'figures': {}, 'risk_coverage': {
        'entropy': {'coverage': [0.5, value], 'risk': [value, 'text']}}})
    page = page_of(folder)
    assert page.figures('Validation')['iou'][0] == value
    assert len([drawing(attrs) for attrs in page.all('img')]) == 5


def test_empty_and_odd_contents_make_no_table(folder):
    folder.start(1)
    for number, content in enumerate((
            {'sentences': [], 'variations': []}, {'sentences': 3, 'variations': [{}]},
            {'sentences': [], 'variations': [3], 'metric': {'name': []}},
            {'sentences': [3, {}], 'variations': [[], 3], 'metric': 'mIoU'},
            {'metrics': {}, 'checkpoint': None, 'decoder_passes': {'a': 3}},
            {'figures': {}, 'reliability': {'a': {'probability': [1]}, 'b': 3}})):
        folder.json(f'{number}.json', content)
    assert list(page_of(folder).tables) == ['Starts', 'Log of 20260102_100001']


def test_texts_that_are_no_unicode_are_shown_as_far_as_they_are(folder):
    folder.start(1)
    folder.json('d.json', {'decoder_passes': 'one', 'seconds': 1,
                           'half \ud800': 'a \udfff b'})
    assert page_of(folder).figures('demo')['half ?'] == ['a ? b']


def test_logs_of_gigabytes_are_named_and_not_read(folder):
    place = folder.start(1, [train_line(1)])
    for path in (place / f'{place.name}.log', place / 'vis_data/scalars.json',
                 place / f'{place.name}.json'):
        with path.open('ab') as file:
            file.truncate(30_000_000_000)  # sparse
    run = read_run(folder.root)
    assert '30,000 MB' in run.damaged[place.name]
    assert not run.trainings[0].curves.training
