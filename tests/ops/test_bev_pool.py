import pytest
import torch

from ddp_perception.ops.bev_pool import (
    PieceBags,
    VoxelGrid,
    bags_from_cells,
    bev_pool,
    cells_along_rays,
    cells_from_coordinates,
    pool_pieces,
)


def random_problem(dtype=torch.float32, images=2, depths=3, pixels=10,
                   channels=4, cells=7):
    g = torch.Generator().manual_seed(0)
    depth = torch.rand(images, depths, pixels, generator=g, dtype=dtype)
    features = torch.randn(images, channels, pixels, generator=g, dtype=dtype)
    where = torch.randint(-1, cells - 1, (images, depths, pixels), generator=g)
    return depth, features, where, cells  # the last cell stays empty


def pool_by_loop(depth, features, cells, num_cells):
    out = features.new_zeros(num_cells, features.shape[1])
    for n, d, p in torch.cartesian_prod(*map(torch.arange, cells.shape)):
        if cells[n, d, p] >= 0:
            out[cells[n, d, p]] += depth[n, d, p] * features[n, :, p]
    return out


def pool_by_outer_product(depth, features, cells, num_cells):
    lifted = depth[..., None] * features.transpose(1, 2)[:, None]  # N D P C
    inside = cells >= 0
    out = features.new_zeros(num_cells, features.shape[1])
    return out.index_add(0, cells[inside], lifted[inside])


def test_bev_pool_equals_a_loop_over_pairs():
    depth, features, cells, num_cells = random_problem()
    pooled = bev_pool(depth, features, bags_from_cells(cells, num_cells))
    torch.testing.assert_close(
        pooled, pool_by_loop(depth, features, cells, num_cells))
    assert not pooled[-1].any()


def test_bev_pool_and_its_gradients_equal_the_outer_product():
    depth, features, cells, num_cells = random_problem(
        images=3, depths=11, pixels=35, channels=8, cells=40)
    bags = bags_from_cells(cells, num_cells)
    weight = torch.randn(num_cells, 8, generator=torch.Generator().manual_seed(1))
    results = []
    for pool in (lambda d, f: bev_pool(d, f, bags),
                 lambda d, f: pool_by_outer_product(d, f, cells, num_cells)):
        inputs = [x.clone().requires_grad_() for x in (depth, features)]
        out = pool(*inputs)
        results.append((out, *torch.autograd.grad((out * weight).sum(), inputs)))
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_bev_pool_gradcheck():
    depth, features, cells, num_cells = random_problem(torch.float64)
    bags = bags_from_cells(cells, num_cells)
    assert torch.autograd.gradcheck(
        lambda d, f: bev_pool(d, f, bags),
        (depth.requires_grad_(), features.requires_grad_()))


@pytest.mark.parametrize('which', [0, 1])
def test_bev_pool_gives_a_gradient_to_one_input_alone(which):
    depth, features, cells, num_cells = random_problem(torch.float64)
    inputs = [depth, features]
    inputs[which].requires_grad_()
    bags = bags_from_cells(cells, num_cells)
    assert torch.autograd.gradcheck(lambda d, f: bev_pool(d, f, bags), inputs)


def test_bev_pool_of_nothing_inside_the_grid_is_zero():
    depth, features, cells, _ = random_problem()
    features.requires_grad_()
    pooled = bev_pool(depth, features, bags_from_cells(cells * 0 - 1, 5))
    pooled.sum().backward()
    assert pooled.shape == (5, 4) and not pooled.any()
    assert not features.grad.any()


def test_bags_name_pixel_and_order_of_hand_made_pairs():
    cells = torch.tensor([[[1, -1], [0, 1]], [[-1, 1], [3, 0]]])  # N D P
    bags = bags_from_cells(cells, 4)
    assert bags.offsets.tolist() == [0, 2, 5, 5]
    assert bags.order.tolist() == [2, 7, 0, 3, 5, 6]
    assert bags.pixels.tolist() == [0, 3, 0, 1, 3, 2]


@pytest.mark.parametrize('wide', [False, True], ids=['int32', 'int64'])
@pytest.mark.parametrize('width', [1, 2, 3, 6, 12])
def test_bags_of_images_hold_the_pairs_of_each_cell(width, wide, monkeypatch):
    if wide:  # as products of more pairs than there could be here
        monkeypatch.setattr('ddp_perception.ops.bev_pool._LARGEST', 0)
    draw = torch.Generator().manual_seed(width)
    # Pixels below each other share a cell but for some, and some are in none.
    cells = torch.randint(-1, 5, (2, 3, 1, width), generator=draw)
    cells = cells.expand(-1, -1, 12 // width, -1).flatten(2).clone()
    odd = torch.rand(cells.shape, generator=draw) < 0.2
    cells[odd] = torch.randint(-1, 5, (int(odd.sum()), ), generator=draw)
    bags = bags_from_cells(cells, 7, width)
    ends = [*bags.offsets.tolist()[1:], len(bags.order)]
    for cell, (begin, end) in enumerate(zip(bags.offsets.tolist(), ends, strict=True)):
        pairs = (cells.flatten() == cell).nonzero()[:, 0].tolist()
        assert sorted(bags.order[begin:end].tolist()) == pairs
    depths, pixels = cells.shape[1:]
    order = bags.order.long()
    assert torch.equal(bags.pixels.long(),
                       order // (depths * pixels) * pixels + order % pixels)
    assert bags.order.dtype == bags.pixels.dtype == bags.offsets.dtype == torch.int32


def test_bags_reject_a_width_that_does_not_fit():
    with pytest.raises(ValueError, match='10 pixels are no images of width 4'):
        bags_from_cells(torch.zeros(1, 2, 10), 3, 4)


def test_bags_reject_a_cell_outside_the_grid():
    with pytest.raises(ValueError, match='below num_cells = 3, got 3'):
        bags_from_cells(torch.tensor([[[0, 3]]]), 3)


def test_bev_pool_rejects_bags_of_another_shape():
    depth, features, cells, num_cells = random_problem()
    bags = bags_from_cells(cells, num_cells)
    with pytest.raises(ValueError, match=r'\(2, 2, 10\).*\(2, 3, 10\)'):
        bev_pool(depth[:, :2], features, bags)
    with pytest.raises(ValueError, match='features must be'):
        bev_pool(depth, features[..., :9], bags)


@pytest.mark.parametrize('shape', [(4, 3, 2), (4096, 4096, 2)])
def test_cells_are_numbered_z_then_x_then_y_and_rounded_down(shape):
    inside = [[0.0, 0.0, 0.0], [3.9, 2.9, 1.9], [1.2, 2.0, 1.0]]
    outside = [[-0.1, 0, 0], [0, -0.9, 0], [0, 0, -1e-3], [shape[0], 0, 0],
               [0, shape[1], 0], [0, 0, 2], [float('nan'), 0, 0],
               [float('inf'), 0, 0], [0, -1e30, 0]]
    points = torch.tensor(inside + outside).T[None]  # 1 3 n
    nx, ny, _ = shape
    cells = cells_from_coordinates(points, shape)
    assert cells.dtype == torch.int32
    assert cells[0].tolist() == [
        0, (nx + 3) * ny + 2, (nx + 1) * ny + 2] + [-1] * len(outside)


def test_truncation_lets_points_below_the_border_into_the_first_cell():
    points = torch.tensor([[-0.9, 0.5, 0.5], [-1.0, 0.5, 0.5],
                           [0.5, -0.9, -0.9]]).T[None]
    assert cells_from_coordinates(points, (2, 2, 1)).tolist() == [[-1, -1, -1]]
    assert cells_from_coordinates(
        points, (2, 2, 1), truncate=True).tolist() == [[0, -1, 0]]


def test_grid_takes_metres_to_cells():
    grid = VoxelGrid([-51.2, 51.2, 0.4], [-10, 20, 0.5], [-10, 10, 20])
    assert grid.shape == (256, 60, 1) and grid.num_cells == 256 * 60
    point = torch.tensor([-51.0, 20.0, 0.0, 1.0], dtype=torch.float64)
    expected = torch.tensor([0.5, 60.0, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(grid.from_metric() @ point, expected)


@pytest.mark.parametrize('bound', [[0, 1], [1, 0, .5], [0, 1, 0], [0, 1, .3]])
def test_grid_rejects_a_bad_axis(bound):
    with pytest.raises(ValueError, match='ybound'):
        VoxelGrid([0, 1, .5], bound, [0, 1, 1])


@pytest.mark.parametrize('images', [2, 40])
def test_pooling_by_pieces_equals_pooling_by_bags(images):
    # 40 images: hundreds of pairs in a cell, which take all levels but one.
    depth, features, cells, num_cells = random_problem(images=images)
    bags = bags_from_cells(cells, num_cells)
    pieces = PieceBags.of(bags)
    torch.testing.assert_close(pool_pieces(depth, features, pieces),
                               pool_by_loop(depth, features, cells, num_cells),
                               rtol=1e-5, atol=1e-5)
    assert (pieces.sums[0] > 0).any() == (images == 40)


def test_pooling_by_pieces_of_nothing_inside_the_grid_is_zero():
    depth, features, cells, num_cells = random_problem()
    pieces = PieceBags.of(bags_from_cells(torch.full_like(cells, -1), num_cells))
    assert all(len(level) for level in (pieces.pairs, *pieces.sums))  # for TensorRT
    assert torch.equal(pool_pieces(depth, features, pieces), torch.zeros(num_cells, 4))


def test_exported_pooling_takes_other_bags_and_adds_into_no_cell():
    class Pool(torch.nn.Module):
        def forward(self, depth, features, pairs, pixels, sums, cells):
            return pool_pieces(depth, features, PieceBags(pairs, pixels, sums, cells))

    depth, features, cells, num_cells = random_problem(images=40)
    pieces = PieceBags.of(bags_from_cells(cells, num_cells))
    many = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        Pool(), (depth, features, *pieces), strict=False,
        dynamic_shapes=(None, None, {0: many}, {0: many}, ({0: many}, None), None))
    text = {str(node.target) for node in program.graph.nodes}
    assert not any(name in one for one in text
                   for name in ('index_add', 'scatter', 'embedding', 'index_put'))
    other = cells.roll(1, 0).masked_fill(torch.rand(cells.shape) < .2, -1)
    bags = bags_from_cells(other, num_cells)
    ours = program.module()(depth, features, *PieceBags.of(bags))
    torch.testing.assert_close(ours, bev_pool(depth, features, bags))


def test_rows_after_the_last_level_change_nothing():
    depth, features, cells, num_cells = random_problem(images=40)
    pieces = PieceBags.of(bags_from_cells(cells, num_cells))
    first, last = pieces.sums
    padded = pieces._replace(sums=(first, torch.nn.functional.pad(last, (0, 0, 0, 5))))
    assert torch.equal(pool_pieces(depth, features, padded),
                       pool_pieces(depth, features, pieces))


@pytest.mark.parametrize('truncate', [False, True])
def test_cells_along_rays_are_those_of_each_point(truncate):
    g = torch.Generator().manual_seed(0)
    starts, rays = torch.randn(2, 3, generator=g), torch.randn(2, 3, 11, generator=g)
    depths = torch.tensor([0.5, 1.0, 2.5, 7.0])
    points = torch.stack([start[:, None, None] + depths[:, None] * ray[:, None]
                          for start, ray in zip(starts, rays, strict=True)])
    cells = cells_along_rays(starts, rays, depths, (5, 4, 3), truncate)
    assert torch.equal(cells, cells_from_coordinates(points, (5, 4, 3), truncate))
    assert (cells >= 0).any()
