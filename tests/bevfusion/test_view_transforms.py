import copy
import io

import pytest
import torch

from ddp_perception.bevfusion import DepthLSSTransform, LSSTransform
from ddp_perception.bevfusion.geometry_cache import GeometryCache
from ddp_perception.bevfusion.lifting import depth_images, planar_augmentation
from ddp_perception.ops.bev_pool import points_along_rays
from tests import golden

FILES = {'bev_lss_transform': LSSTransform,
         'bev_depth_lss_transform': DepthLSSTransform}
ARGUMENTS = ('lidar2image', 'camera_intrinsics', 'camera2lidar',
             'img_aug_matrix', 'lidar_aug_matrix')


def golden_transform(numbers, cls, **options):
    cfg = {k: v for k, v in numbers.meta['cfg'].items() if k not in ('B', 'N')}
    transform = cls(**cfg, **options).eval()
    transform.load_state_dict(numbers.under('w/'))
    return transform


def arguments(numbers, index=slice(None)):
    points = [numbers[f'in/points{b}'] for b in range(2)
              if f'in/points{b}' in numbers] or None
    if points:
        points = points[index]
    return (numbers['in/image_features'][index], points,
            *(numbers[f'in/{name}'][index] for name in ARGUMENTS))


def lift(transform, *matrices):
    """Return (N, 3, D, h w): each pixel at each depth."""
    rays, starts = transform.sight_lines(*matrices)
    return points_along_rays(starts, rays, transform.depths)


def pooled(transform, args):
    transform = copy.deepcopy(transform)
    transform.downsample = torch.nn.Identity()
    return transform(*args)


def assert_matches_golden(numbers, cls):
    transform = golden_transform(numbers, cls, truncate_indices=True)
    args = arguments(numbers)
    with torch.no_grad():
        torch.testing.assert_close(transform(*args), numbers['out/output'],
                                   rtol=0, atol=1e-5)
        torch.testing.assert_close(pooled(transform, args),
                                   numbers['out/pooled_bev'], rtol=0, atol=1e-5)
    return transform


@pytest.fixture
def kept():
    """First sample of the published numbers, part of the repository."""
    return golden.load('bev_lss_transform')


@pytest.fixture(params=FILES)
def published(request, reference_dir):
    return golden.load(request.param, reference_dir), FILES[request.param]


def test_lss_transform_matches_the_published_numbers_kept_here(kept):
    transform = assert_matches_golden(kept, LSSTransform)
    _, cam2img, cam2lidar, img_aug, lidar_aug = (
        m[0].double() for m in arguments(kept)[2:])
    lifted = lift(transform, cam2img, cam2lidar, img_aug, lidar_aug)
    lifted = lifted.unflatten(-1, transform.feature_size)[:, :, ::4, ::3, ::3]
    torch.testing.assert_close(lifted.permute(0, 2, 3, 4, 1),
                               kept['out/geometry'][0], rtol=0, atol=1e-4)


def test_cell_indices_match_the_published_ones(kept):
    transform = golden_transform(kept, LSSTransform, truncate_indices=True)
    matrices = [m[0].double() for m in arguments(kept)[3:]]
    index = kept['out/voxel_index'][0].long()  # N D h w 3
    nx, ny, nz = transform.grid.shape
    inside = ((index >= 0) & (index < torch.tensor([nx, ny, nz]))).all(-1)
    expected = (index[..., 2] * nx + index[..., 0]) * ny + index[..., 1]
    expected = expected.masked_fill(~inside, -1).flatten(2)
    assert torch.equal(transform.geometry(*matrices).cells.long(), expected)


def test_rounding_down_drops_what_truncation_draws_in(kept):
    right = golden_transform(kept, LSSTransform)
    original = golden_transform(kept, LSSTransform, truncate_indices=True)
    matrices = [m[0].double() for m in arguments(kept)[3:]]
    ours, theirs = (t.geometry(*matrices).cells for t in (right, original))
    drawn_in = (ours < 0) & (theirs >= 0)
    assert drawn_in.any() and torch.equal(ours[~drawn_in], theirs[~drawn_in])
    nx, ny, _ = right.grid.shape
    i, j = theirs[drawn_in] // ny, theirs[drawn_in] % ny
    assert ((i == 0) | (j == 0)).all()


def test_view_transform_matches_the_published_numbers(published):
    assert_matches_golden(*published)


def test_geometry_matches_the_published_one(reference_dir):
    numbers = golden.load('bev_lss_transform', reference_dir)
    transform = golden_transform(numbers, LSSTransform)
    _, *matrices = (m.double() for m in arguments(numbers)[2:])
    for b in range(2):
        lifted = lift(transform, *(m[b] for m in matrices))
        lifted = lifted.unflatten(-1, transform.feature_size)
        torch.testing.assert_close(lifted.permute(0, 2, 3, 4, 1),
                                   numbers['out/geometry'][b],
                                   rtol=0, atol=1e-4)


def test_depth_image_matches_the_published_one(reference_dir):
    numbers = golden.load('bev_depth_lss_transform', reference_dir)
    _, points, lidar2img, _, _, img_aug, lidar_aug = arguments(numbers)
    before = points[0].clone()
    images = torch.cat([depth_images(
        points[b], lidar2img[b].double(), img_aug[b].double(),
        lidar_aug[b].double(), (64, 96)) for b in range(2)])
    torch.testing.assert_close(images, numbers['out/depth_image'],
                               rtol=0, atol=1e-4)
    assert torch.equal(points[0], before)  # the original shifts them in place


def test_batch_equals_its_samples_alone(published):
    transform = golden_transform(*published)
    with torch.no_grad():
        together = transform(*arguments(published[0]))
        alone = [transform(*arguments(published[0], slice(b, b + 1)))
                 for b in range(2)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_points_keep_the_nearest_per_pixel_and_none_from_behind():
    cam2img = torch.eye(4, dtype=torch.float64)[None]
    cam2img[:, :2, 2] = 2.0
    # Camera axes equal the LiDAR's: z is depth, pixel = 2 + x / z.
    points = torch.tensor([[0.5, 1.5, 4.0], [1.0, 3.0, 8.0], [0.5, 1.5, -4.0],
                           [0.0, 0.0, -1.0], [9.0, 0.0, 1.0]])
    plain = torch.eye(4, dtype=torch.float64)
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0]):
        image = depth_images(points[order], cam2img, plain[None], plain, (3, 4))
        expected = torch.zeros(1, 1, 3, 4)
        expected[0, 0, 2, 2] = 4.0
        assert torch.equal(image, expected)


def simple_transform(**options):
    return LSSTransform(in_channels=4, out_channels=3, image_size=(8, 16),
                        feature_size=(2, 4), xbound=[-4, 4, 1],
                        ybound=[-6, 6, 1], zbound=[-2, 2, 4],
                        dbound=[1, 7, 1], **options)


def simple_arguments(batch=2, cameras=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    img = torch.randn(batch, cameras, 4, 2, 4, generator=g)
    cam2img = torch.eye(4).repeat(batch, cameras, 1, 1)
    cam2img[..., 0, 0] = cam2img[..., 1, 1] = 10 + torch.rand(
        batch, cameras, generator=g)
    cam2img[..., 0, 2], cam2img[..., 1, 2] = 8, 4
    cam2lidar = torch.eye(4).repeat(batch, cameras, 1, 1)
    cam2lidar[..., :3, :3] = torch.tensor(
        [[1., 0, 0], [0, 0, 1], [0, -1, 0]])  # looks along +y
    plain = torch.eye(4).repeat(batch, cameras, 1, 1)
    return [img, None, None, cam2img, cam2lidar, plain, plain[:, 0].clone()]


def test_pixels_land_where_hand_computation_puts_them():
    transform = simple_transform()
    _, _, _, cam2img, cam2lidar, img_aug, lidar_aug = (
        a if a is None else a[0].double() for a in simple_arguments())
    lifted = lift(transform, cam2img, cam2lidar, img_aug, lidar_aug)
    # Last feature pixel: u = 15, v = 7; depth 3 along +y.
    focal = cam2img[1, 0, 0].item()
    expected = torch.tensor([3 * (15 - 8) / focal, 3.0, -3 * (7 - 4) / focal])
    torch.testing.assert_close(lifted[1, :, 2, -1], expected)


def test_image_augmentation_is_undone():
    args = simple_arguments()
    flipped = torch.eye(4).repeat(2, 2, 1, 1)
    flipped[..., 0, 0], flipped[..., 0, 3] = -1, 15  # u' = 15 - u
    transform = simple_transform()
    cells = [transform.geometry(*(m[0].double() for m in (
        args[3], args[4], aug, args[6]))).cells.view(2, 6, 2, 4)
        for aug in (args[5], flipped)]
    assert torch.equal(cells[0], cells[1].flip(-1))


def test_cache_hits_while_the_matrices_stay_and_misses_when_they_change():
    transform = simple_transform(cache_size=8)
    cache = transform.geometry_cache
    args = simple_arguments()
    with torch.no_grad():
        first = transform(*args)
        assert (cache.hits, cache.misses) == (0, 2)
        assert torch.equal(transform(*args), first)
        assert (cache.hits, cache.misses) == (2, 2)
        args[6][1, 0, 3] = 1.0  # of the second sample alone
        moved = transform(*args)
    assert (cache.hits, cache.misses) == (3, 3)
    assert torch.equal(moved[0], first[0])
    torch.testing.assert_close(moved[1, :, 1:], first[1, :, :-1])


def test_cache_is_bounded_and_can_be_turned_off():
    cache = GeometryCache(2)
    for key in 'abcab':
        cache.get(key, lambda key=key: key.upper())
    assert (len(cache), cache.hits, cache.misses) == (2, 0, 5)
    off = GeometryCache(0)
    assert off.get('a', lambda: 1) == off.get('a', lambda: 1) == 1
    assert (len(off), off.misses) == (0, 2)
    with pytest.raises(ValueError, match='negative, got -1'):
        GeometryCache(-1)


def test_geometry_is_not_kept_unless_asked_for():
    transform = simple_transform()
    transform(*simple_arguments())
    assert len(transform.geometry_cache) == 0


def test_copies_and_saved_models_leave_the_cached_geometry_behind():
    transform = simple_transform(cache_size=8).eval()
    args = simple_arguments()
    expected = transform(*args)
    assert set(transform.state_dict()) == {'depthnet.weight', 'depthnet.bias'}
    file = io.BytesIO()
    torch.save(transform, file)
    file.seek(0)
    for other in (copy.deepcopy(transform), torch.load(file, weights_only=False)):
        assert len(other.geometry_cache) == 0
        assert torch.equal(other(*args), expected)
        assert len(other.geometry_cache) == 2


def test_geometry_cached_in_inference_mode_serves_a_training_step():
    transform = simple_transform(cache_size=8)
    args = simple_arguments()
    with torch.inference_mode():
        transform(*args)
    transform(*args).sum().backward()
    assert transform.geometry_cache.hits == 2
    assert transform.depthnet.weight.grad.abs().sum() > 0


def test_autocast_pools_in_float32_and_keeps_the_geometry():
    transform = simple_transform(cache_size=8)
    args = simple_arguments()
    exact = transform(*args)
    with torch.autocast('cpu', torch.bfloat16):
        rough = transform(*args)
    assert rough.dtype == torch.float32
    assert transform.geometry_cache.hits == 2
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.05)


def test_layers_in_z_are_stacked_along_the_channels():
    thin = simple_transform()
    thick = copy.deepcopy(thin)
    thick.grid = type(thin.grid)(thin.grid.xbound, thin.grid.ybound, (-2, 2, 2))
    args = simple_arguments()
    with torch.no_grad():
        whole, layers = thin(*args), thick(*args)
    assert layers.shape == (2, 6, 8, 12)
    torch.testing.assert_close(layers[:, :3] + layers[:, 3:], whole)
    assert layers[:, :3].any() and layers[:, 3:].any()


def test_output_shape_is_announced():
    for options in ({}, {'downsample': 2}):
        transform = simple_transform(**options).eval()
        out = transform(*simple_arguments())
        assert tuple(out.shape) == (2, *transform.output_shape)


def test_geometry_keys_of_a_released_state_dict_are_ignored():
    transform = simple_transform()
    state = transform.state_dict()
    extra = {'dx': torch.ones(3), 'bx': torch.ones(3), 'nx': torch.ones(3),
             'frustum': torch.ones(6, 2, 4, 3)}
    transform.load_state_dict({**state, **extra}, strict=True)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match='downsample must be 1 or 2, got 3'):
        simple_transform(downsample=3)
    with pytest.raises(ValueError, match=r'features of \(2, 4\), got \(2, 5\)'):
        simple_transform()(torch.zeros(1, 1, 4, 2, 5), *simple_arguments()[1:])
    with pytest.raises(ValueError, match=r'1/8 of image_size \(64, 96\)'):
        DepthLSSTransform(4, 3, (64, 96), (16, 24), [-4, 4, 1], [-4, 4, 1],
                          [-2, 2, 4], [1, 7, 1])
    aug = torch.eye(4)
    aug[2, 2] = 2.0
    with pytest.raises(ValueError, match='must map pixels to pixels'):
        planar_augmentation(aug)


def test_lifted_pixels_project_back_onto_themselves(kept):
    transform = golden_transform(kept, LSSTransform)
    _, points, lidar2img, cam2img, cam2lidar, img_aug, lidar_aug = (
        a if a is None else a[0].double() for a in arguments(kept))
    lifted = lift(transform, cam2img, cam2lidar, img_aug, lidar_aug)
    for camera in range(2):
        for depth in (0, 7):
            image = depth_images(
                lifted[camera, :, depth].T, lidar2img, img_aug, lidar_aug,
                transform.image_size)[camera, 0]
            # The features' pixels are every 95 / 11 and 63 / 7 of the image.
            u, v = transform.pixels
            inner = (u > 1) & (u < 94) & (v > 1) & (v < 62)
            seen = torch.stack([
                image[(v + dv).long(), (u + du).long()]
                for dv in (-.01, .01) for du in (-.01, .01)]).amax(0)
            torch.testing.assert_close(
                seen[inner], transform.depths[depth].expand(inner.sum()),
                rtol=1e-4, atol=1e-4)


def test_real_frame_points_lift_to_the_cells_they_lie_in(real_dir):
    """Each point, seen at its pixel and depth, is lifted back to itself."""
    import json

    import numpy as np
    folder = real_dir / 'nuscenes_sample'
    frame = json.loads((folder / 'info.json').read_text())['data_list'][0]
    (path,) = folder.glob('*LIDAR_TOP*')
    points = torch.from_numpy(
        np.fromfile(path, dtype=np.float32).reshape(-1, 5)[:, :3].copy())
    cam2img = torch.eye(4, dtype=torch.float64).repeat(6, 1, 1)
    lidar2cam = cam2img.clone()
    for i, camera in enumerate(frame['images'].values()):
        cam2img[i, :3, :3] = torch.tensor(camera['cam2img'])
        lidar2cam[i] = torch.tensor(camera['lidar2cam'])
    img_aug = torch.eye(4, dtype=torch.float64).repeat(6, 1, 1)
    img_aug[:, 0, 0] = img_aug[:, 1, 1] = 0.48
    img_aug[:, 1, 3] = -176
    turn = torch.tensor([[0.8, -0.6, 0, 1], [-0.6, -0.8, 0, 2], [0, 0, 1.1, 0],
                         [0, 0, 0, 1]], dtype=torch.float64)  # with a flip
    moved = (points.double() @ turn[:3, :3].T + turn[:3, 3]).float()
    images = depth_images(moved, cam2img @ lidar2cam, img_aug, turn, (256, 768))
    assert (images > 0).sum() > 5000
    camera, _, row, column = images.nonzero(as_tuple=True)
    transform = simple_transform()
    transform.pixels = torch.stack([column + 0.5, row + 0.5])
    rays = transform.pixels.shape[1]
    transform.depths = torch.ones(1)
    lifted = lift(transform, cam2img, lidar2cam.inverse(), img_aug, turn)
    start = turn @ lidar2cam.inverse()[:, :, 3:]  # of each camera
    start = start[camera, :3, 0].float()
    ray = lifted[camera, :, 0, torch.arange(rays)] - start
    found = start + images[camera, 0, row, column][:, None] * ray
    nearest = torch.cdist(found[::50], moved).amin(1)
    # Half a pixel at the depth of the point, at a focal length of 600 pixels.
    allowed = images[camera, 0, row, column][::50] / 600 * 1.2
    assert (nearest < allowed).all()
