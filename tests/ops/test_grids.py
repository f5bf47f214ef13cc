import pytest
import torch

from ddp_perception.ops import BEVGrid, bilinear_resample, nearest_resample
from tests import golden

FEATURES = BEVGrid((-51.2, 51.2, 0.8), (-51.2, 51.2, 0.8))
MAP = BEVGrid((-50, 50, 0.5), (-50, 50, 0.5))


def test_grid_knows_its_cells():
    grid = BEVGrid.of([[-4, 8, 0.75], [-6, 6, 0.5]])
    x, y = grid.centres()
    assert grid.shape == (16, 24)
    assert x[0] == -3.625 and y[-1] == 5.75


@pytest.mark.parametrize('bound', [(1, 1, 0.5), (0, 1, 0), (0, 1, 0.3), (2, 1, 0.5)])
def test_grid_rejects_a_bound_that_is_no_row_of_cells(bound):
    with pytest.raises(ValueError, match='xbound'):
        BEVGrid(bound, (0, 1, 0.5))


def test_bilinear_resample_reads_metres():
    x, y = FEATURES.centres()
    plane = (2 * x[:, None] - 3 * y + 1)[None, None]
    x, y = MAP.centres()
    torch.testing.assert_close(bilinear_resample(plane, FEATURES, MAP)[0, 0],
                               2 * x[:, None] - 3 * y + 1, rtol=1e-4, atol=1e-3)


def test_positions_are_exact_in_half_precision():
    maps = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    maps = maps.bfloat16()
    got = bilinear_resample(maps, FEATURES, MAP)
    assert got.dtype == torch.bfloat16
    exact = bilinear_resample(maps.double(), FEATURES, MAP)
    # Only the result is rounded, to 8 bits of mantissa.
    torch.testing.assert_close(got.double(), exact, rtol=2 ** -8, atol=1e-5)


def test_nearest_resample_reads_metres_and_is_empty_outside():
    index = torch.arange(200)[:, None] * 1000 + torch.arange(200)
    cells = nearest_resample(index[None, None], MAP, FEATURES)[0, 0]
    for i, j in ((5, 100), (64, 2), (125, 33)):
        row, col = (round((1.2 - 0.8 * (k + 0.5)) * -1e6) // 500_000 for k in (i, j))
        assert cells[i, j] == row * 1000 + col
    assert cells.dtype == torch.int64
    ones = nearest_resample(torch.ones(1, 1, 200, 200), MAP, FEATURES)[0, 0]
    # 102.4 m of features, 100 m of map: centres from -50.0 to 49.2 lie inside.
    assert ones[1:-2, 1:-2].all() and ones.sum() == 125 ** 2


def test_nearest_resample_rejects_maps_of_another_grid():
    with pytest.raises(ValueError, match=r'\(200, 200\).*\(1, 1, 100, 200\)'):
        nearest_resample(torch.ones(1, 1, 100, 200), MAP, FEATURES)


def test_bilinear_resample_equals_the_published_grid_transform(reference_dir):
    reference = golden.load('bev_heads', reference_dir)
    for index, case in enumerate(reference.meta['grid_cases']):
        source = BEVGrid.of(case['input_scope'])
        target = BEVGrid.of(case['output_scope'])
        if case.get('ramp'):
            ramp = torch.arange(128.).expand(1, 1, 128, 128)
            cols = bilinear_resample(ramp, source, target)[0, 0, 0]
            rows = bilinear_resample(ramp.mT, source, target)[0, 0, :, 0]
            torch.testing.assert_close(
                cols, reference['out/grid_official_col_coordinate'])
            torch.testing.assert_close(
                rows, reference['out/grid_official_row_coordinate'])
            continue
        maps = reference['in/x'][:, :4]
        if case['prescale_factor'] != 1:
            maps = torch.nn.functional.interpolate(
                maps, scale_factor=case['prescale_factor'], mode='bilinear',
                align_corners=False)
        torch.testing.assert_close(bilinear_resample(maps, source, target),
                                   reference[f'out/grid_case{index}'])


@pytest.mark.parametrize('padding', ['zeros', 'border'])
@pytest.mark.parametrize('size', [(128, 128), (50, 31)])
def test_exported_resampling_is_two_products_and_no_grid_sample(padding, size):
    class Resample(torch.nn.Module):
        def forward(self, maps):
            return bilinear_resample(maps, FEATURES, target, padding)

    target = BEVGrid((-54, 50, 0.8), (-30, 56, 0.5))  # beyond the features, too
    maps = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    program = torch.export.export(Resample(), (maps,))
    assert not any('grid_sampler' in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(maps),
                               bilinear_resample(maps, FEATURES, target, padding),
                               rtol=0, atol=1e-4)
