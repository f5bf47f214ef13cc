from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmseg.structures import SegDataSample

CONFIGS = Path(__file__).parent / 'configs'
SEG, DEPTH, FLIP = (CONFIGS / f'images_{name}.py' for name in
                    ('seg', 'depth', 'flip'))


def build(config, **sampler):
    init_default_scope('mmseg')
    settings = Config.fromfile(config).model
    settings.decode_head.sampler = sampler
    torch.manual_seed(0)
    model = MODELS.build(settings).eval()
    torch.nn.init.normal_(model.decode_head.diffusion.denoiser.predictor.weight)
    if config == DEPTH:  # depth in the middle of the range, of any value
        torch.nn.init.constant_(
            model.decode_head.diffusion.denoiser.predictor.bias, 20.)
    return model


def predict(model, pixels, ori_shape):
    """What the model says of (H, W, 3) BGR pixels, without a pipeline."""
    sample = SegDataSample(metainfo=dict(
        ori_shape=ori_shape, img_shape=pixels.shape[:2],
        pad_shape=pixels.shape[:2]))
    data = {'inputs': [torch.from_numpy(pixels.transpose(2, 0, 1).copy())],
            'data_samples': [sample]}
    with torch.no_grad():
        return model.test_step(data)[0]


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp('weights')
    paths = {}
    for config in (SEG, DEPTH):
        paths[config] = folder / f'{config.stem}.pth'
        torch.save({'state_dict': build(config).state_dict()}, paths[config])
    return {**paths, FLIP: paths[SEG]}


def write_image(path, seed, size=(40, 80)):
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 10, 3), np.uint8)
    pixels = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_NEAREST)
    assert cv2.imwrite(str(path), pixels)
    return pixels


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*')
                  if path.is_file())


def test_labels_are_those_of_the_resized_image_at_its_own_size(
        run, weights, tmp_path):
    pixels = write_image(tmp_path / 'street.png', 1)
    run('predict', SEG, weights[SEG], tmp_path / 'street.png', '--out',
        tmp_path / 'out', '--device', 'cpu')
    assert files(tmp_path / 'out') == ['street_labels.png', 'street_overlay.jpg']
    labels = read(tmp_path / 'out' / 'street_labels.png')
    assert labels.dtype == np.uint8 and labels.shape == (40, 80)
    small = cv2.resize(pixels, (64, 32), interpolation=cv2.INTER_LINEAR)
    expected = predict(build(SEG), small, (40, 80)).pred_sem_seg.data[0].numpy()
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(labels, expected)


def test_overlay_has_the_colours_of_the_data_set(run, weights, tmp_path,
                                                 monkeypatch):
    from ddp_perception import visualization
    seen = {}
    monkeypatch.setattr(visualization, 'save_segmentation',
                        lambda *args, **kwargs: seen.update(args=args))
    pixels = write_image(tmp_path / 'a.png', 1)
    run('predict', SEG, weights[SEG], tmp_path / 'a.png', '--out', tmp_path / 'o')
    path, image, labels, classes, palette = seen['args'][:5]
    assert path == tmp_path / 'o' / 'a_overlay.jpg'
    np.testing.assert_array_equal(image, pixels[..., ::-1])
    np.testing.assert_array_equal(labels, read(tmp_path / 'o' / 'a_labels.png'))
    assert tuple(classes) == ('road', 'person', 'car')
    # Cityscapes' own
    assert list(palette) == [[128, 64, 128], [220, 20, 60], [0, 0, 142]]


def test_depth_lies_where_the_crop_was_and_is_zero_elsewhere(
        run, weights, tmp_path):
    pixels = write_image(tmp_path / 'frame.png', 2, size=(41, 83))
    run('predict', DEPTH, weights[DEPTH], tmp_path / 'frame.png', '--out',
        tmp_path / 'out')
    assert files(tmp_path / 'out') == [
        'frame_depth.png', 'frame_picture.jpg', 'frame_uncertainty.npz']
    stored = read(tmp_path / 'out' / 'frame_depth.png')
    assert stored.dtype == np.uint16 and stored.shape == (41, 83)
    # KITTI's crop: the bottom rows, and int((83 - 64) / 2) columns are cut off.
    expected = predict(build(DEPTH), pixels[9:, 9:73], (32, 64))
    expected = expected.pred_depth_map.data[0].numpy()
    assert np.ptp(expected) > 1 and 0.5 <= expected.min()
    np.testing.assert_allclose(stored[9:, 9:73] / 256, expected, atol=1 / 256)
    stored[9:, 9:73] = 0
    assert not stored.any()
    with np.load(tmp_path / 'out' / 'frame_uncertainty.npz') as data:
        spread = data['uncertainty']
        assert str(data['label']) == 'standard deviation [m]'
    written = predict(build(DEPTH), pixels[9:, 9:73], (32, 64))
    np.testing.assert_allclose(spread[9:, 9:73], written.pred_depth_map_uncertainty
                               .data[0], rtol=2e-3, atol=1e-4)
    spread[9:, 9:73] = np.nan
    assert np.isnan(spread).all()


def test_a_crop_that_leaves_most_of_an_image_out_is_said(
        run, weights, tmp_path, capsys):
    for name, size in (('alike', (41, 83)), ('large', (100, 200)), ('vast', (64, 400))):
        write_image(tmp_path / f'in/{name}.png', 2, size=size)
    run('predict', DEPTH, weights[DEPTH], tmp_path / 'in', '--out', tmp_path / 'out',
        '--no-pictures')
    out = capsys.readouterr().out
    assert (f'warning: 2 images, {tmp_path / "in/large.png"} for one, are much larger '
            'than the crop of this configuration: depth maps cover 10.2% of it') in out
    run('predict', DEPTH, weights[DEPTH], tmp_path / 'in/alike.png', '--out',
        tmp_path / 'out2', '--no-pictures')
    assert 'warning' not in capsys.readouterr().out


def test_a_folder_gives_what_its_images_give_alone(run, weights, tmp_path):
    images = tmp_path / 'images'
    for seed, name in enumerate(['b.png', 'b.JPG', 'deep/er/b.jpeg', 'x.gif.png']):
        write_image(images / name, seed)
    (images / 'notes.txt').touch()
    out = images / 'predicted'
    for _ in range(2):  # the second time, pictures lie there already
        run('predict', SEG, weights[SEG], images, '--out', out)
    assert files(out) == [
        f'{stem}_{end}' for stem in ('b_JPG', 'b_png', 'deep/er/b', 'x.gif')
        for end in ('labels.png', 'overlay.jpg')]
    for image, stem in (('b.JPG', 'b_JPG'), ('deep/er/b.jpeg', 'deep/er/b')):
        run('predict', SEG, weights[SEG], images / image, '--out',
            tmp_path / 'alone', '--no-pictures')
        alone = tmp_path / 'alone' / f'{Path(image).stem}_labels.png'
        np.testing.assert_array_equal(read(out / f'{stem}_labels.png'), read(alone))
    assert files(tmp_path / 'alone') == ['b_labels.png']  # no pictures


def test_limit_takes_the_first_in_order(run, weights, tmp_path):
    for name in ('c.png', 'a.png', 'b.png'):
        write_image(tmp_path / 'in' / name, 0)
    run('predict', DEPTH, weights[DEPTH], tmp_path / 'in', '--out',
        tmp_path / 'out', '--limit', 2, '--no-pictures')
    assert files(tmp_path / 'out') == [
        f'{name}_{end}' for name in 'ab' for end in ('depth.png', 'uncertainty.npz')]


def test_sampling_options_reach_the_head(run, weights, tmp_path):
    pixels = write_image(tmp_path / 'a.png', 3)[8:, 8:72]
    run('predict', DEPTH, weights[DEPTH], tmp_path / 'a.png', '--out', tmp_path,
        '--no-pictures', '--num-steps', 1, '--num-seeds', 2, '--seed', 5)
    stored = read(tmp_path / 'a_depth.png')[8:, 8:72] / 256

    def error(**sampler):
        model = build(DEPTH, **sampler)
        depth = predict(model, pixels, (32, 64)).pred_depth_map.data[0].numpy()
        return np.abs(stored - depth).max()

    asked = dict(num_steps=1, num_seeds=2, seed=5)
    assert error(**asked) <= 1 / 256
    for name, other in (('num_steps', 2), ('num_seeds', 1), ('seed', 6)):
        assert error(**{**asked, name: other}) > 1 / 256


@pytest.mark.parametrize('config', [SEG, DEPTH])
def test_refinement_shows_every_step_and_ends_with_the_prediction(
        run, weights, tmp_path, monkeypatch, config):
    from ddp_perception import visualization
    from ddp_perception.visualization import strip
    pixels = write_image(tmp_path / 'a.png', 1)
    strips = []
    monkeypatch.setattr(strip, 'save_strip',
                        lambda path, *shown: strips.append((path, *shown)))
    run('predict', config, weights[config], tmp_path / 'a.png', '--out',
        tmp_path / 'o', '--num-steps', 4, '--refinement')
    (path, pictures, captions, _), = strips
    assert path == tmp_path / 'o' / 'a_steps.png' and len(pictures) == 4
    assert [caption.split(',')[0] for caption in captions] == [
        f'step {step}' for step in (1, 2, 3, 4)]
    assert 'changed' not in captions[0] and '% changed' in captions[3]
    assert (tmp_path / 'o' / 'a_steps.gif').is_file()
    if config == SEG:
        labels = read(tmp_path / 'o' / 'a_labels.png').astype(int)
        expected = visualization.overlay_labels(
            pixels[..., ::-1], labels, [[128, 64, 128], [220, 20, 60], [0, 0, 142]])
        np.testing.assert_array_equal(pictures[-1], expected)
    else:
        depth = read(tmp_path / 'o' / 'a_depth.png') / 256
        expected = visualization.dense.paint_depth(depth, 60.)
        assert np.abs(pictures[-1].astype(int) - expected).max() <= 2  # 1/256 m


def test_test_time_augmentation_is_left_out(run, weights, tmp_path):
    write_image(tmp_path / 'a.png', 1)
    for config in (SEG, FLIP):
        run('predict', config, weights[config], tmp_path / 'a.png', '--out',
            tmp_path / config.stem, '--no-pictures')
    np.testing.assert_array_equal(*(read(tmp_path / config.stem / 'a_labels.png')
                                    for config in (SEG, FLIP)))


@pytest.fixture
def places(weights, tmp_path):
    folder = tmp_path / 'mixed'
    write_image(folder / 'a good.png', 0)
    (folder / 'torn.jpg').write_bytes((folder / 'a good.png').read_bytes()[:400])
    (tmp_path / 'info.json').write_text('{}')
    (tmp_path / 'notes.txt').touch()
    (tmp_path / 'empty').mkdir()
    write_image(tmp_path / 'small.png', 0, size=(31, 80))
    return {'MIXED': folder, 'INFO': tmp_path / 'info.json',
            'TEXT': tmp_path / 'notes.txt', 'EMPTY': tmp_path / 'empty',
            'SMALL': tmp_path / 'small.png', 'GOOD': folder / 'a good.png',
            'GONE': tmp_path / 'gone.png'}


@pytest.mark.parametrize('config, place, options, fragments', [
    (SEG, 'GONE', [], ['gone.png is neither an image nor a folder']),
    (SEG, 'EMPTY', [], ['empty has no image (.png, .jpg, .jpeg)']),
    (SEG, 'INFO', [], ['info.json is an info file', 'takes an image']),
    (DEPTH, 'TEXT', [], ['notes.txt must be an image (.png']),
    (SEG, 'MIXED', [], ['torn.jpg cannot be read']),
    (DEPTH, 'SMALL', [], ['small.png', '31 x 80, smaller than the crop of 32 x 64']),
    (SEG, 'GOOD', ['--threshold', '0.3'], ['--threshold means nothing']),
    (SEG, 'GOOD', ['--data-prefix', 'flat'], ['--data-prefix means nothing']),
    (SEG, 'GOOD', ['--no-truth'], ['--no-truth means nothing']),
    (SEG, 'GOOD', ['--limit', '0'], ['at least 1, got 0']),
    (SEG, 'GOOD', ['--cfg-options', 'model.decode_head.num_classes=4'],
     ['does not fit']),
])
def test_predict_says_what_is_wrong_with_images(
        error_of, weights, places, tmp_path, config, place, options, fragments):
    message = error_of('predict', config, weights[config], places[place], '--out',
                       tmp_path / 'out', *options)
    assert all(fragment in message for fragment in fragments)
    written = files(tmp_path / 'out') if (tmp_path / 'out').exists() else []
    assert written == (['a good_labels.png', 'a good_overlay.jpg']
                       if place == 'MIXED' else [])


def test_predictions_never_go_among_the_images(error_of, weights, places):
    assert '--out' in error_of('predict', SEG, weights[SEG], places['MIXED'],
                               '--out', places['MIXED'])


def test_a_file_in_the_place_of_the_folder_is_said_at_once(error_of, weights, places):
    message = error_of('predict', SEG, weights[SEG], places['GOOD'], '--out',
                       weights[SEG])
    assert '--out' in message and 'is no folder' in message


def test_image_given_to_a_map_config_is_refused(error_of, points_config, places):
    message = error_of('predict', points_config, places['TEXT'], places['GOOD'])
    assert 'a good.png must be an info file' in message
    assert 'reads info files' in message
