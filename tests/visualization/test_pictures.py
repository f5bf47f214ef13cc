import json

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from mmdet3d.structures import Det3DDataSample
from mmengine.structures import PixelData
from PIL import Image

from ddp_perception.datasets.map_classes import MAP_CLASSES, MAP_PALETTE
from ddp_perception.visualization import (
    MapFrame,
    Uncertainty,
    draw_camera,
    draw_frame,
    draw_map,
    frame_from_sample,
    paint_map,
    project_points,
    save_frame,
)
from ddp_perception.visualization.figure import LAYOUT, camera_rows
from ddp_perception.visualization.maps import VEHICLE, paint_order
from ddp_perception.visualization.samples import camera_name, describe, read_lidar

COLOUR = dict(zip(MAP_CLASSES, MAP_PALETTE))
PREDICTED = 'predicted map (probability 0.5 and above)'


def _masks(**cells):
    masks = np.zeros((6, 20, 30), bool)
    for name, (x, y) in cells.items():
        masks[MAP_CLASSES.index(name), x, y] = True
    return masks


def _shown_at(axes, x, y):
    """Colour of the drawn map at a place in metres."""
    image = axes.get_images()[0]
    left, right, low, high = image.get_extent()
    picture = np.asarray(image.get_array())
    assert image.origin == 'lower'
    row = int((y - low) / (high - low) * picture.shape[0])
    column = int((x - left) / (right - left) * picture.shape[1])
    return tuple(picture[row, column])


def test_map_shows_forward_up_and_right_to_the_right():
    axes = Figure().add_subplot()
    # cell (i, j): x = -10 + i + .5 to the right, y = -15 + j + .5 forward
    masks = _masks(walkway=(17, 27), divider=(2, 4))
    draw_map(axes, masks, xbound=(-10, 10, 1), ybound=(-15, 15, 1))
    assert _shown_at(axes, 7.5, 12.5) == COLOUR['walkway']
    assert _shown_at(axes, -7.5, -10.5) == COLOUR['divider']
    assert _shown_at(axes, 12.5 - 10, 7.5) == (255, 255, 255)
    assert axes.get_xlim() == (-10, 10) and axes.get_ylim() == (-15, 15)
    assert not axes.xaxis_inverted() and not axes.yaxis_inverted()


def test_vehicle_is_drawn_at_the_origin_with_its_tip_forward():
    axes = Figure().add_subplot()
    draw_map(axes, _masks())
    outline = axes.patches[0].get_xy()
    tip = outline[outline[:, 1].argmax()]
    assert tuple(tip) == (0, VEHICLE[3])
    assert np.ptp(outline[:, 0]) == pytest.approx(1.74)
    assert np.ptp(outline[:, 1]) == pytest.approx(4.08)


def test_thin_classes_stay_visible_on_areas():
    everywhere = np.ones((6, 4, 5), bool)
    assert (paint_map(everywhere) == COLOUR['divider']).all()
    masks = _masks(drivable_area=(3, 4), stop_line=(3, 4), ped_crossing=(3, 4))
    assert tuple(paint_map(masks)[4, 3]) == COLOUR['stop_line']
    order = [MAP_CLASSES[i] for i in paint_order(MAP_CLASSES)]
    assert order[0] == 'drivable_area' and order[-1] == 'divider'


def test_classes_keep_their_colour_in_another_order():
    masks = np.zeros((2, 3, 4), bool)
    masks[0, 1, 2] = True
    picture = paint_map(masks, ('divider', 'walkway'))
    assert tuple(picture[2, 1]) == COLOUR['divider']


def test_painting_rejects_other_shapes_and_unknown_classes():
    with pytest.raises(ValueError, match=r'\(6, X, Y\).*\(5, 3, 4\)'):
        paint_map(np.zeros((5, 3, 4)))
    with pytest.raises(ValueError, match="'canal'.*palette"):
        paint_map(np.zeros((1, 3, 4)), ('canal', ))
    assert paint_map(np.ones((1, 3, 4)), ('canal', ), [(1, 2, 3)]).max() == 3


def test_projection_of_hand_worked_points():
    # A pinhole looking along y (forward): u = 50 + 10 x/y, v = 40 - 10 z/y.
    matrix = np.array([[10, 50, 0, 0], [0, 40, -10, 0], [0, 1, 0, 0],
                       [0, 0, 0, 1.]])
    points = np.array([[4, 2, 0, 9], [0, 4, 2, 9], [0, -5, 0, 9], [0, .5, 0, 9],
                       [50, 2, 0, 9]])
    pixels, depth, index = project_points(points, matrix, (80, 100))
    np.testing.assert_allclose(pixels, [[70, 40], [50, 35]])
    np.testing.assert_allclose(depth, [2, 4])
    np.testing.assert_array_equal(index, [0, 1])
    with pytest.raises(ValueError, match=r'\(3, 4\)'):
        project_points(points, matrix[:3], (80, 100))
    with pytest.raises(ValueError, match=r'\(5, 2\)'):
        project_points(points[:, :2], matrix, (80, 100))


def test_near_points_are_drawn_over_far_ones():
    axes = Figure().add_subplot()
    matrix = np.diag([1., 1, 1, 1])
    points = np.array([[2, 2, 2.], [30, 30, 30], [7, 7, 7]])
    draw_camera(axes, np.zeros((20, 40, 3), np.uint8), 'front', points, matrix)
    assert list(axes.collections[0].get_array()) == [30, 7, 2]
    assert axes.get_ylim() == (19.5, -0.5)


def test_frame_leaves_out_what_is_absent(tmp_path):
    masks = _masks(walkway=(1, 2))
    titles = [axes.get_title() for axes in draw_frame(
        MapFrame(prediction=masks * 0.9)).axes]
    assert PREDICTED in titles
    assert 'true map' not in titles
    images = {'CAM_FRONT': np.zeros((9, 16, 3), np.uint8),
              'CAM_BACK_LEFT': np.zeros((9, 16, 3), np.uint8)}
    frame = MapFrame(prediction=masks * 0.9, truth=masks, images=images)
    titles = [axes.get_title() for axes in draw_frame(frame).axes]
    assert [t for t in titles if t] == [
        'front', 'back left', PREDICTED, 'true map']
    path = save_frame(frame, tmp_path / 'new folder' / 'picture.png', dpi=20)
    assert Image.open(path).size[0] == 300
    with pytest.raises(ValueError, match='neither'):
        draw_frame(MapFrame())


def test_prior_map_is_drawn_first_in_its_own_colours():
    prior = np.zeros((2, 20, 30), np.uint8)
    prior[1, 17, 27] = 1
    sample = Det3DDataSample(map_prior=PixelData(data=torch.from_numpy(prior)))
    sample.pred_map_seg = PixelData(data=torch.from_numpy(
        _masks(walkway=(2, 4)).astype(np.float32)))
    bounds = dict(xbound=(-10, 10, 1), ybound=(-15, 15, 1))
    figure = draw_frame(frame_from_sample(
        sample, **bounds, prior_classes=['road', 'foot_way'],
        prior_palette=[(0, 0, 0), (10, 20, 30)]))
    drawn = {axes.get_title(): axes for axes in figure.axes if axes.get_images()}
    assert list(drawn) == ['prior map', PREDICTED]
    assert _shown_at(drawn['prior map'], 7.5, 12.5) == (10, 20, 30)
    assert _shown_at(drawn['prior map'], -7.5, -10.5) == (255, 255, 255)
    assert _shown_at(drawn[PREDICTED], -7.5, -10.5) == COLOUR['walkway']
    named = [text.get_text() for axes in figure.axes if axes.get_legend()
             for text in axes.get_legend().get_texts()]
    assert named[:2] == ['road', 'foot way'] and 'walkway' in named[2:]
    assert frame_from_sample(sample, **bounds).prior is None  # channels without names


def _legend(figure):
    legend, = (axes.get_legend() for axes in figure.axes if axes.get_legend())
    return legend.get_title().get_text(), [
        text.get_text() for text in legend.get_texts()]


def test_picture_says_which_threshold_it_uses():
    prediction = np.full((6, 4, 5), 0.4)
    figure = draw_frame(MapFrame(prediction=prediction), 0.4)
    axes = _panel(figure, 'predicted map (probability 0.4 and above)')
    assert _shown_at(axes, 0, 0) == COLOUR['divider']
    assert 'walkway' in _legend(figure)[1]
    levels = [0.5, 0.5, 0.35, 0.5, 0.5, 0.5]
    figure = draw_frame(MapFrame(prediction=prediction), levels)
    axes = _panel(figure, 'predicted map (a threshold for each class)')
    assert _shown_at(axes, 0, 0) == COLOUR['walkway']
    assert {'walkway, from 0.35', 'divider, from 0.5'} <= set(_legend(figure)[1])


def test_title_fits_above_a_narrow_picture():
    words = 'frame 0123456789abcdef0123456789abcdef; ' + 'points turned, ' * 8 + 'end'
    for title in ('short', words):
        figure = draw_frame(MapFrame(truth=_masks(walkway=(1, 2)), title=title))
        text = figure._suptitle
        assert ' '.join(text.get_text().split()) == title
        drawn = text.get_window_extent(figure.canvas.get_renderer())
        assert drawn.x0 >= 0 and drawn.x1 <= figure.bbox.x1
        axes = _panel(figure, 'true map')
        above = axes.title.get_window_extent(figure.canvas.get_renderer())
        assert above.y1 < drawn.y0 < drawn.y1 <= figure.bbox.y1


def test_legend_says_which_of_two_classes_hides_the_other():
    title, names = _legend(draw_frame(MapFrame(truth=_masks(walkway=(1, 2)))))
    assert 'overlap, one further down this list hides those above' in ' '.join(
        title.split())
    order = [name.replace(' ', '_') for name in names if name.replace(' ', '_') in
             MAP_CLASSES]
    assert len(order) == 6
    for below, above in zip(order, order[1:]):  # as the list says
        picture = paint_map(_masks(**{below: (3, 4), above: (3, 4)}))
        assert tuple(picture[4, 3]) == COLOUR[above]
    alone = MapFrame(truth=np.ones((1, 4, 5)), classes=('walkway', ))
    assert _legend(draw_frame(alone))[0] == 'Map classes'


def _panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title() == title)


def test_error_and_uncertainty_are_shown_with_the_map():
    truth = _masks(walkway=(1, 2), divider=(1, 2), stop_line=(3, 4))
    values = np.zeros((6, 20, 30))
    values[:, 5, 25] = 0.6, 0, 0, 0, 0, 0  # of one class in six; x right, y forward
    uncertain = Uncertainty.of_kind(values, 'entropy')
    frame = MapFrame(prediction=_masks(stop_line=(3, 4), walkway=(0, 0)), truth=truth,
                     uncertainty=uncertain, xbound=(-10, 10, 1), ybound=(-15, 15, 1))
    figure = draw_frame(frame)
    error = _panel(figure, 'error: classes that are wrong').get_images()[0]
    shown = error.get_array()  # rows are y
    assert shown.shape == (30, 20) and shown.sum() == 3
    assert shown[2, 1] == 2 and shown[0, 0] == 1 and shown[4, 3] == 0
    axes = _panel(figure, 'uncertainty: entropy [nats]')
    shown = axes.get_images()[0].get_array()
    assert shown[25, 5] == pytest.approx(0.1) and shown.sum() == pytest.approx(0.1)
    assert axes.get_images()[0].origin == 'lower'
    assert axes.get_xlim() == (-10, 10) and axes.get_ylim() == (-15, 15)
    below = _panel(figure, PREDICTED).get_position().y0
    assert axes.get_position().y1 < below


def test_uncertainty_stands_beside_a_map_without_truth():
    values = np.ones((20, 30))
    figure = draw_frame(MapFrame(prediction=_masks(walkway=(1, 2)),
                                 uncertainty=Uncertainty(values, 'doubt')))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [PREDICTED, 'uncertainty: doubt']
    first, second = (_panel(figure, title).get_position() for title in titles)
    assert first.y0 == pytest.approx(second.y0) and first.x1 < second.x0
    assert all(axes.get_position().x1 <= 1 for axes in figure.axes)


@pytest.mark.parametrize(('kind', 'unit', 'label'), [
    ('spread', 'metres', 'standard deviation [m]'),
    ('spread', 'probability', 'standard deviation of the probability'),
    ('spread', '', 'standard deviation'), ('entropy', 'metres', 'entropy [nats]'),
    ('ones own', '', 'ones own')])
def test_uncertainty_is_labelled_with_its_unit(kind, unit, label):
    assert Uncertainty.of_kind(np.zeros((2, 2)), kind, unit).label == label


def test_camera_names_are_found_in_nuscenes_paths():
    assert camera_name('a/n015-x__CAM_BACK__153.jpg') == 'CAM_BACK'
    assert camera_name('samples/CAM_FRONT_LEFT/1.jpg') == 'CAM_FRONT_LEFT'
    assert camera_name('a/b.jpg') is None


def test_sample_gives_files_matrices_and_maps(tmp_path):
    paths, matrices = [], []
    for index, name in enumerate(('CAM_BACK', 'CAM_FRONT')):
        paths.append(str(tmp_path / f'log__{name}__1.png'))
        Image.fromarray(np.full((6, 8, 3), (index, 0, 200), np.uint8)).save(paths[-1])
        matrices.append(np.eye(4) * (index + 1))
    lidar = tmp_path / 'points.bin'
    np.arange(15, dtype=np.float32).tofile(lidar)
    sample = Det3DDataSample(metainfo=dict(
        img_path=paths, lidar2img=np.stack(matrices), lidar_path=str(lidar),
        token='abc', decoder_passes=dict(seeds=2, steps=3, averaged=6)))
    sample.pred_map_seg = PixelData(data=torch.full((6, 4, 5), 0.25))
    frame = frame_from_sample(sample)
    assert tuple(frame.images['CAM_FRONT'][0, 0]) == (1, 0, 200)  # RGB
    np.testing.assert_array_equal(frame.img_from_lidar['CAM_FRONT'],
                                  np.eye(4) * 2)
    np.testing.assert_array_equal(frame.points[2], np.arange(10, 15))
    assert frame.truth is None and frame.prediction.max() == 0.25
    assert frame.title == (
        'frame abc; mean of the predictions after each of 3 denoising steps from each '
        'of 2 different noise maps')


@pytest.mark.parametrize(('meta', 'title'), [
    (dict(seeds=1, steps=3, averaged=1), 'prediction after 3 denoising steps'),
    (dict(seeds=1, steps=1, averaged=1), 'prediction after 1 denoising step'),
    (dict(seeds=4, steps=3, averaged=4),
     'mean of 4 predictions from different noise, 3 denoising steps each'),
    (dict(seeds=1, steps=3, averaged=3),
     'mean of the predictions after each of 3 denoising steps')])
def test_title_says_in_words_how_the_prediction_came_about(meta, title):
    assert describe(dict(decoder_passes=meta)) == title
    whole = describe(dict(scene_name='scene-7', map_location='town', token='t0\n',
                          decoder_passes=meta))
    assert whole == f'scene-7, town, frame t0?; {title}'
    assert describe(dict(scene_name='town', map_location='town')) == 'town'


def test_real_lidar_lines_up_as_mmdet3d_projects_it(real_dir):
    from mmdet3d.structures import points_cam2img
    folder = real_dir / 'nuscenes_sample'
    record = json.loads((folder / 'info.json').read_text())['data_list'][0]
    points = read_lidar(folder / record['lidar_points']['lidar_path'])
    assert points.shape == (34688, 5)
    for name, view in record['images'].items():
        camera = np.eye(4)
        camera[:3, :3] = np.asarray(view['cam2img'])[:3, :3]
        lidar2cam = np.asarray(view['lidar2cam'])
        pixels, depth, index = project_points(points, camera @ lidar2cam,
                                              (900, 1600))
        assert camera_name(view['img_path']) == name
        assert len(depth) > 2000
        in_camera = points[index, :3] @ lidar2cam[:3, :3].T + lidar2cam[:3, 3]
        np.testing.assert_allclose(
            points_cam2img(in_camera.astype(np.float32), camera.astype(np.float32)),
            pixels, atol=0.05)


@pytest.mark.parametrize('names, rows', [
    (('CAM_BACK', 'CAM_FRONT'), LAYOUT), ((), LAYOUT), (('only',), (['only'], [])),
    (('a', 'b', 'c', 'd', 'e'), (['a', 'b', 'c'], ['d', 'e'])),
    (('CAM_FRONT', 'left'), (['CAM_FRONT'], ['left']))])
def test_cameras_of_other_names_keep_their_order(names, rows):
    assert camera_rows(list(names)) == rows


def test_cameras_of_any_number_and_size_are_shown_by_name():
    images = {f'camera{i}': np.full((30 + 20 * i, 60, 3), 40 * i, np.uint8)
              for i in range(5)}
    figure = draw_frame(MapFrame(truth=np.zeros((6, 20, 30)), images=images))
    shown = [axes for axes in figure.axes if axes.get_title().startswith('camera')]
    assert [axes.get_title() for axes in shown] == list(images)
    middles = [axes.get_position() for axes in shown]
    middles = [place.y0 + place.height / 2 for place in middles]
    np.testing.assert_allclose(middles[:3], middles[0])
    np.testing.assert_allclose(middles[3:], middles[3])
    assert middles[3] < middles[0]
    for axes, image in zip(shown, images.values(), strict=True):
        np.testing.assert_array_equal(axes.get_images()[0].get_array(), image)


def test_points_and_cameras_of_another_rig_are_drawn_where_they_are(tmp_path):
    points = np.array([[1., 2, 3, 9], [4, 5, 6, 9]], np.float32)
    points.tofile(tmp_path / 'points.bin')
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.png')
    lidar2sensor = np.array([[0., 1, 0, 10], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    sample = Det3DDataSample(metainfo=dict(
        camera_names=('nose',), img_path=[str(tmp_path / 'a.png')],
        lidar2img=np.eye(4)[None], lidar_path=str(tmp_path / 'points.bin'),
        num_pts_feats=4, lidar2sensor=lidar2sensor))
    frame = frame_from_sample(sample)
    assert frame.images['nose'].shape == (6, 8, 3)
    # sensor x = lidar y + 10, sensor y = -lidar x
    np.testing.assert_allclose(frame.points, [[-2, -9, 3, 9], [-5, -6, 6, 9]],
                               atol=1e-6)
