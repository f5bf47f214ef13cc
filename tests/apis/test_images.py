"""Classes and depth from Python equal those of the command."""
import cv2
import numpy as np
import pytest
import torch
from mmseg.apis import init_model as init_segmentor
from PIL import Image

from ddp_perception.apis import (
    DepthPrediction,
    LabelPrediction,
    UserError,
    init_model,
    predict_image,
    predict_images,
    predict_map,
)
from tests.apis.conftest import MAP, PROJECTS
from tests.cli.test_predict_images import DEPTH, SEG, read, weights, write_image

KITTI = PROJECTS / 'kitti_depth/configs/demo_kitti_cpu.py'
__all__ = ['weights']  # the fixture


@pytest.fixture
def street(tmp_path):
    """A folder of images of two sizes, some in folders."""
    for seed, (name, size) in enumerate({
            'a.png': (40, 80), 'b.png': (40, 80), 'drive/c.png': (48, 80),
            'drive/d.jpg': (40, 80)}.items()):
        write_image(tmp_path / 'street' / name, seed, size)
    return tmp_path / 'street'


@pytest.mark.parametrize('config', [SEG, DEPTH], ids=['labels', 'depth'])
def test_an_image_as_array_or_file_equals_predict(
        config, weights, predict, street, tmp_path):
    out = predict(config, weights[config], street / 'a.png')
    model = init_model(config, weights[config], 'cpu')
    pixels = cv2.imread(str(street / 'a.png'))
    given = pixels.copy()
    for image, order in ((given, 'bgr'), (given[..., ::-1], 'rgb'),
                         (street / 'a.png', 'bgr'), (str(street / 'a.png'), 'rgb')):
        prediction = predict_image(model, image, name='a', channel_order=order)
        file = prediction.save(tmp_path / 'mine/a')
        np.testing.assert_array_equal(read(file), read(out / file.name))
        # JPEG of the same picture.
        picture, = (path for path in out.iterdir() if path.suffix == '.jpg')
        np.testing.assert_allclose(
            prediction.draw().astype(float).mean((0, 1)),
            np.asarray(Image.open(picture)).astype(float).mean((0, 1)), atol=2)
    np.testing.assert_array_equal(given, pixels)


def test_labels_are_the_most_probable_classes(weights, street):
    model = init_model(SEG, weights[SEG], 'cpu')
    prediction = predict_image(model, street / 'a.png')
    assert isinstance(prediction, LabelPrediction) and prediction.name == 'a'
    assert prediction.labels.shape == (40, 80) and len(np.unique(prediction.labels)) > 1
    assert prediction.probabilities.shape == (len(prediction.classes), 40, 80)
    np.testing.assert_allclose(prediction.probabilities.sum(0), 1, rtol=1e-5)
    np.testing.assert_array_equal(prediction.probabilities.argmax(0),
                                  prediction.labels)
    # Averaged over steps, a head writes probabilities; they are no logits then.
    averaging = init_model(SEG, weights[SEG], 'cpu', sampling=dict(average='all'))
    other = predict_image(averaging, street / 'a.png')
    np.testing.assert_allclose(other.probabilities.sum(0), 1, rtol=1e-5)
    assert np.abs(other.probabilities - prediction.probabilities).max() > 1e-4


def test_sampling_and_seed_are_those_of_the_command(weights, predict, street, tmp_path):
    out = predict(SEG, weights[SEG], street / 'a.png', '--num-steps', 2, '--num-seeds',
                  2, '--seed', 5, '--uncertainty', 'mutual_information',
                  '--cfg-options', 'model.type=ddp.EncoderDecoder')
    model = init_model(
        SEG, weights[SEG], 'cpu', seed=5, cfg_options=['model.type=ddp.EncoderDecoder'],
        sampling=dict(num_steps=2, num_seeds=2, uncertainty='mutual_information'))
    prediction = predict_image(model, street / 'a.png')
    with np.load(out / 'a_uncertainty.npz') as saved:
        np.testing.assert_array_equal(
            prediction.uncertainty.astype(np.float16), saved['uncertainty'])
        assert prediction.uncertainty_label == str(saved['label'])
    prediction.save(tmp_path / 'a')
    np.testing.assert_array_equal(read(tmp_path / 'a_labels.png'),
                                  read(out / 'a_labels.png'))


def test_a_folder_of_sizes_is_predicted_in_order_whatever_the_batch(weights, street):
    model = init_model(SEG, weights[SEG], 'cpu')
    one_by_one = list(predict_images(model, street))
    assert [one.name for one in one_by_one] == ['a', 'b', 'drive/c', 'drive/d']
    assert [one.labels.shape for one in one_by_one] == [
        (40, 80), (40, 80), (48, 80), (40, 80)]
    for one, other in zip(one_by_one, predict_images(model, street, batch_size=3),
                          strict=True):
        assert one.name == other.name
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    assert [one.name for one in predict_images(model, street, limit=2)] == ['a', 'b']


def test_a_video_is_read_as_it_is_predicted(weights, street):
    model, taken = init_model(SEG, weights[SEG], 'cpu'), []

    def video():
        for number in range(9):
            taken.append(number)
            yield cv2.imread(str(street / 'a.png'))

    predictions = predict_images(model, video(), limit=2)
    assert not taken and next(predictions).name == '000000' and taken == [0]
    assert [one.name for one in predictions] == ['000001'] and taken == [0, 1]


def test_depth_is_metres_and_unknown_outside_of_the_crop(save_weights, tmp_path):
    model = init_model(KITTI, save_weights(KITTI), 'cpu')
    write_image(tmp_path / 'wide.png', 1, (200, 700))
    prediction = predict_image(model, tmp_path / 'wide.png')
    assert isinstance(prediction, DepthPrediction)
    top, left, height, width = prediction.sample.metainfo['kb_crop']
    inside = np.zeros((200, 700), bool)
    inside[top:top + height, left:left + width] = True
    assert prediction.metres.dtype == np.float32 and 0 < inside.mean() < 1
    np.testing.assert_array_equal(np.isfinite(prediction.metres), inside)
    file = prediction.save(tmp_path / 'wide')
    np.testing.assert_allclose(read(file)[inside] / 256, prediction.metres[inside],
                               atol=1 / 256)
    from_array = predict_image(model, cv2.imread(str(tmp_path / 'wide.png')))
    np.testing.assert_array_equal(from_array.metres, prediction.metres)
    assert np.array_equal(np.isnan(prediction.uncertainty), ~inside)


def test_a_model_of_mmseg_s_own_making_is_taken(weights, street, tmp_path):
    state = torch.load(weights[SEG], weights_only=True)
    torch.save({**state, 'meta': {}}, tmp_path / 'with meta.pth')  # theirs asks for it
    theirs = init_segmentor(str(SEG), str(tmp_path / 'with meta.pth'), device='cpu')
    ours = init_model(SEG, weights[SEG], 'cpu')
    np.testing.assert_array_equal(predict_image(theirs, street / 'a.png').labels,
                                  predict_image(ours, street / 'a.png').labels)


@pytest.mark.parametrize('image, message', [
    ('nowhere.png', 'nowhere.png'),
    (np.zeros((4, 4), np.uint8), r'\(H, W, 3\) uint8, got \(4, 4\) uint8'),
    (np.zeros((4, 4, 3)), r'\(H, W, 3\) uint8, got \(4, 4, 3\) float64'),
    (np.zeros((0, 4, 3), np.uint8), r'got \(0, 4, 3\)'),
    (None, 'got None; was its file read'),
    (Image.new('I;16', (9, 9)), 'one of the modes L, P, RGB, RGBA, got I;16'),
])
def test_what_is_no_image_is_named(image, message):
    model = init_model(SEG, device='cpu')
    with pytest.raises(UserError, match=message):
        predict_image(model, image)


@pytest.mark.parametrize('sampling, message', [
    (dict(num_steps=0), 'num_steps must be a whole number of at least 1, got 0'),
    (dict(num_steps='3'), "num_steps must be a whole number of at least 1, got '3'"),
    (dict(num_steps=2.5), 'num_steps must be a whole number of at least 1, got 2.5'),
    (dict(until_stable='x'), "until_stable='x': "),
    (dict(uncertainty='none'), "uncertainty must be 'auto', None or one of"),
    (3, r'sampling must be a dictionary, such as dict\(num_steps=3\), got 3'),
])
def test_a_sampler_that_cannot_be_is_named_as_in_python(sampling, message):
    with pytest.raises(UserError, match=f'^{message}'):
        init_model(SEG, sampling=sampling)


def test_a_seed_is_a_whole_number():
    with pytest.raises(UserError, match="^seed must be a whole number .* got 'a'"):
        init_model(SEG, seed='a')


def test_settings_change_by_a_dictionary_as_in_openmmlab(tmp_path):
    by_text = init_model(SEG, cfg_options=['model.decode_head.sampler.num_steps=2'])
    by_name = init_model(SEG, cfg_options={'model.decode_head.sampler.num_steps': 2})
    assert by_name.decode_head.sampler == by_text.decode_head.sampler
    assert by_name.decode_head.sampler.num_steps == 2
    with pytest.raises(UserError, match='modell'):
        init_model(SEG, cfg_options={'modell.decode_head.sampler.num_steps': 2})


def test_images_of_pillow_know_their_order(weights, street, tmp_path):
    model = init_model(SEG, weights[SEG], 'cpu')
    file = street / 'a.png'
    expected = predict_image(model, file)
    for mode in ('RGB', 'RGBA'):
        for order in ('bgr', 'rgb'):
            got = predict_image(model, Image.open(file).convert(mode),
                                channel_order=order)
            np.testing.assert_array_equal(got.probabilities, expected.probabilities)
    grey = Image.open(file).convert('L')
    grey.save(tmp_path / 'grey.png')
    palette = Image.open(file).convert('P')
    palette.save(tmp_path / 'palette.png')
    for image, name in ((grey, 'grey.png'), (palette, 'palette.png')):
        np.testing.assert_array_equal(
            predict_image(model, image).probabilities,
            predict_image(model, tmp_path / name).probabilities)
    one, = predict_images(model, [Image.open(file)])
    np.testing.assert_array_equal(one.probabilities, expected.probabilities)


@pytest.mark.parametrize('image', [np.zeros((40, 80, 3), np.uint8),
                                   Image.new('RGB', (80, 40))], ids=['array', 'Pillow'])
def test_one_image_is_not_taken_for_several(image):
    with pytest.raises(UserError, match='got one image; predict_image takes one'):
        predict_images(init_model(SEG, device='cpu'), image)


@pytest.mark.parametrize('batch_size', [1, 2, 4])
def test_what_came_before_a_failure_is_predicted(weights, street, batch_size):
    model = init_model(SEG, weights[SEG], 'cpu')

    def video():
        for _ in range(3):
            yield cv2.imread(str(street / 'a.png'))
        raise ConnectionError('the camera is gone')

    names = []
    with pytest.raises(ConnectionError, match='the camera is gone'):
        for prediction in predict_images(model, video(), batch_size=batch_size):
            names.append(prediction.name)
    assert names == ['000000', '000001', '000002']


def test_a_home_folder_may_be_a_tilde(weights, street, monkeypatch):
    monkeypatch.setenv('HOME', str(street.parent))
    (street.parent / 'mine.py').write_text(f'_base_ = [{str(SEG)!r}]')
    model = init_model('~/mine.py', weights[SEG], 'cpu')
    prediction = predict_image(model, '~/street/a.png')
    assert prediction.save('~/out/a') == street.parent / 'out/a_labels.png'
    prediction.draw('~/out/a.png')
    assert (street.parent / 'out/a.png').is_file()
    with pytest.raises(UserError, match='out is a folder; save takes the path'):
        prediction.save(street.parent / 'out')


def test_a_prediction_shows_itself_in_a_line(weights, street):
    model = init_model(SEG, weights[SEG], 'cpu')
    prediction = predict_image(model, street / 'a.png')
    count = len(prediction.classes)
    assert repr(prediction) == (
        "LabelPrediction(name='a', uncertainty=None, uncertainty_label='', "
        f'labels=(40, 80) int64, probabilities=({count}, 40, 80) float32, '
        f'classes={prediction.classes})')


def test_an_array_that_is_too_small_for_the_crop_has_a_name():
    model = init_model(KITTI, device='cpu')
    with pytest.raises(UserError, match='configuration: the image is 9 x 9, smaller'):
        predict_image(model, np.zeros((9, 9, 3), np.uint8))


def test_models_and_options_that_do_not_fit_are_named(weights, street, tmp_path):
    model = init_model(SEG, device='cpu')
    with pytest.raises(UserError, match="'bgr' or 'rgb', got 'xyz'"):
        predict_image(model, np.zeros((4, 4, 3), np.uint8), channel_order='xyz')
    with pytest.raises(UserError, match='single images; use predict_image'):
        predict_map(model, points=np.zeros((1, 5)))
    with pytest.raises(UserError, match='single images; use predict_map'):
        predict_image(init_model(MAP, device='cpu'), street / 'a.png')
    with pytest.raises(UserError, match='limit must be at least 1, got 0'):
        predict_images(model, street, limit=0)
    with pytest.raises(UserError, match='street is a folder; predict_images takes'):
        predict_image(model, street)
    with pytest.raises(UserError, match='does not fit'):
        init_model(MAP, weights[SEG], 'cpu')
    with pytest.raises(UserError, match='nowhere.pth does not exist'):
        init_model(SEG, tmp_path / 'nowhere.pth')
    with pytest.raises(UserError, match='nothing.py does not exist'):
        init_model('nothing.py')
    with pytest.raises(UserError, match='num_steps, num_seeds.*, got steps'):
        init_model(SEG, sampling=dict(steps=4))
    model = init_model(SEG, device='cpu')
    del model.cfg
    with pytest.raises(UserError, match='attribute cfg; build it with'):
        predict_image(model, street / 'a.png')
