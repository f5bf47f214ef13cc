import numpy as np
import pytest
import torch
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.structures import InstanceData, PixelData

from ddp_perception.datasets.transforms import ImageAug3D
from ddp_perception.visualization import draw_frame, project_points
from ddp_perception.visualization.loaded_samples import (
    describe_augmentation,
    frame_from_inputs,
    image_of_tensor,
)
from ddp_perception.visualization.maps import VEHICLE

BOUNDS = dict(classes=('road', ), palette=((1, 2, 3), ), xbound=(-20, 20, 1),
              ybound=(-15, 15, 1))


def _moved(degrees=0., scale=1., flip=(1, 1), shift=(0, 0)):
    """Flip, turn, scale, then shift."""
    angle = np.radians(degrees)
    matrix = np.eye(4)
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:2, :2] = scale * np.array(turn) @ np.diag(flip)
    matrix[2, 2], matrix[:2, 3] = scale, shift
    return matrix


def test_points_lie_on_what_they_hit_whatever_the_augmentation():
    # A white pixel of a black image, and the point that it shows.
    image = np.zeros((60, 100, 3), np.uint8)
    image[20:23, 40:43] = 255
    camera = np.array([[50, 50, 0, 0], [0, 30, -50, 0], [0, 1, 0, 0], [0, 0, 0, 1.]])
    point = np.array([(41.5 - 50) / 50 * 8, 8, -(21.5 - 30) / 50 * 8, 1])
    np.random.seed(3)
    results = ImageAug3D((50, 80), (0.9, 1.1), rot_lim=(-9, 9), rand_flip=True,
                         is_train=True)(dict(img=[image]))
    moved = _moved(70, 1.1, (1, -1), (2, 3))
    sample = Det3DDataSample(metainfo=dict(
        lidar2img=camera[None], camera_names=['nose'], lidar_aug_matrix=moved,
        img_aug_matrix=results['img_aug_matrix']))
    sample.gt_map_seg = PixelData(data=torch.zeros(1, 40, 30, dtype=torch.uint8))
    inputs = dict(img=torch.from_numpy(np.stack(results['img'])).permute(0, 3, 1, 2),
                  points=torch.from_numpy((moved @ point)[None]))
    frame = frame_from_inputs(inputs, sample, 'gt_map_seg', BOUNDS)
    pixels, depth, _ = project_points(frame.points, frame.img_from_lidar['nose'],
                                      (50, 80))
    assert depth == pytest.approx([8])
    shown = frame.images['nose'][..., 0].astype(float)
    rows, columns = np.mgrid[:50, :80] + 0.5
    centre = [(shown * place).sum() / shown.sum() for place in (columns, rows)]
    np.testing.assert_allclose(pixels[0], centre, atol=1)


def test_vehicle_and_boxes_move_with_the_map():
    moved = _moved(90, 2., shift=(5, 0))
    sample = Det3DDataSample(metainfo=dict(token='a', lidar_aug_matrix=moved))
    sample.gt_map_seg = PixelData(data=torch.ones(1, 40, 30, dtype=torch.uint8))
    sample.gt_instances_3d = InstanceData(
        bboxes_3d=LiDARInstance3DBoxes(torch.tensor([[3., 4, 0, 4, 2, 1, 0]])),
        labels_3d=torch.tensor([0]))
    frame = frame_from_inputs({}, sample, 'gt_map_seg', BOUNDS, ('car', ))
    assert frame.title == (
        'frame a; points turned by 90 degrees, scaled by 2.000, moved by up to 5.0 m')
    axes = next(axes for axes in draw_frame(frame).axes if axes.get_images())
    outline = axes.patches[0].get_xy()
    # The tip (0, front) lies at (-2 front + 5, 0).
    tip = outline[np.abs(outline - [5, 0]).max(1).argmax()]
    np.testing.assert_allclose(tip, [5 - 2 * VEHICLE[3], 0], atol=1e-6)
    np.testing.assert_allclose(frame.true_boxes.corners[0].mean(0), [3, 4], atol=1e-6)
    assert 'augmented' in axes.get_xlabel()


def test_boxes_of_evaluation_are_shown_where_nothing_moved():
    sample = Det3DDataSample(metainfo=dict(lidar_aug_matrix=np.eye(4)))
    sample.gt_map_seg = PixelData(data=torch.ones(1, 40, 30, dtype=torch.uint8))
    sample.eval_ann_info = dict(gt_bboxes_3d=LiDARInstance3DBoxes(
        torch.tensor([[3., 4, 0, 4, 2, 1, 0]])), gt_labels_3d=np.array([0]))
    frame = frame_from_inputs({}, sample, 'gt_map_seg', BOUNDS)
    assert len(frame.true_boxes) == 1 and frame.augmentation is None
    assert frame.title == ''
    sample.set_metainfo(dict(lidar_aug_matrix=_moved(5)))
    assert frame_from_inputs({}, sample, 'gt_map_seg', BOUNDS).true_boxes is None


@pytest.mark.parametrize(('matrix', 'words'), [
    (_moved(), ''), (_moved(flip=(-1, 1)), 'points mirrored left to right'),
    (_moved(flip=(1, -1)), 'points mirrored front to back'),
    (_moved(-12.4, 1.05), 'points turned by -12 degrees, scaled by 1.050'),
    (_moved(10, flip=(1, -1)), 'points mirrored front to back, turned by 10 degrees'),
    (_moved(180), 'points turned by 180 degrees'),
    (_moved(shift=(0, -.5)), 'points moved by up to 0.5 m')])
def test_augmentation_is_said_in_words(matrix, words):
    assert describe_augmentation(matrix) == words


def test_images_of_a_pipeline_become_pictures():
    blue = torch.zeros(3, 2, 4, dtype=torch.uint8)
    blue[0] = 200
    assert tuple(image_of_tensor(blue)[1, 3]) == (0, 0, 200)
    assert tuple(image_of_tensor(blue, bgr=False)[1, 3]) == (200, 0, 0)
    assert tuple(image_of_tensor(blue.float())[1, 3]) == (0, 0, 200)
    normalised = (blue.float() - 100) / 50  # -2 and 2
    assert tuple(image_of_tensor(normalised)[1, 3]) == (0, 0, 255)
    assert tuple(image_of_tensor(blue[:1])[1, 3]) == (200, 200, 200)
    assert image_of_tensor(torch.zeros(6, 2, 4)).shape == (2, 4, 3)
