import numpy as np
import pytest

from ddp_perception.apis.pixels import blue_green_red


@pytest.mark.parametrize('order', ['bgr', 'rgb'])
def test_an_array_that_cannot_be_written_becomes_one_that_can(order):
    """As torch wants it, which warns of others."""
    given = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    given.flags.writeable = False
    image = blue_green_red(given, order, 'the image')
    assert image.flags.writeable and image.flags.c_contiguous
    assert image[0, 0].tolist() == ([0, 1, 2] if order == 'bgr' else [2, 1, 0])


def test_an_array_in_order_is_not_copied():
    given = np.zeros((2, 4, 3), np.uint8)
    assert blue_green_red(given, 'bgr', 'the image') is given
