"""Noise and its colour."""
import pytest
import torch

from ddp_perception.diffusion import COLOURS, pink_noise


def _white(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('size', [(32, 48), (31, 17), (8, 7), (1, 1), (1, 6)])
def test_pink_noise_has_unit_variance_in_every_cell(size):
    """Its covariance is that of the linear map, whose rows are unit impulses."""
    cells = size[0] * size[1]
    impulses = torch.eye(cells).reshape(cells, 1, *size)
    matrix = pink_noise(impulses).reshape(cells, cells)
    torch.testing.assert_close((matrix ** 2).sum(0), torch.ones(cells), rtol=1e-4,
                               atol=1e-4)
    # The same from everywhere: a circular convolution.
    if size == (32, 48):
        first = matrix[0].reshape(size)
        moved = matrix[5 * size[1] + 7].reshape(size)
        torch.testing.assert_close(first.roll((5, 7), (0, 1)), moved, rtol=1e-3,
                                   atol=1e-5)


def test_every_octave_of_pink_noise_is_equally_strong():
    noise = pink_noise(_white(200, 1, 64, 64))
    power = torch.fft.fft2(noise).abs().square().mean((0, 1))
    frequency = torch.hypot(*torch.meshgrid(torch.fft.fftfreq(64),
                                            torch.fft.fftfreq(64), indexing='ij'))
    # Whole octaves inside the square of frequencies.
    octaves = [power[(frequency >= low) & (frequency < 2 * low)].sum()
               for low in (1 / 32, 1 / 16, 1 / 8, 1 / 4)]
    assert max(octaves) / min(octaves) < 1.25
    white = torch.fft.fft2(_white(200, 1, 64, 64)).abs().square().mean((0, 1))
    assert white[frequency >= 1 / 4].sum() > 3 * white[frequency < 1 / 4].sum()


def test_colours_are_linear_so_zeros_stay_zeros():
    white = _white(2, 3, 9, 12)
    for colour in COLOURS.values():
        assert not colour(torch.zeros(2, 3, 9, 12)).any()
        torch.testing.assert_close(colour(2 * white), 2 * colour(white))
        assert colour(white.bfloat16()).dtype == torch.bfloat16
    assert COLOURS['white'](white) is white
