from pathlib import Path

import cv2
import numpy as np
import pytest

from ddp_perception.cli.errors import UserError
from ddp_perception.cli.image_files import find_images, output_stems


def stems(*names):
    return [str(stem) for stem in output_stems([Path(name) for name in names])]


def test_suffix_stays_in_the_name_only_where_it_tells_images_apart():
    assert stems('a.png', 'b/a.png', 'b/c.jpg', 'b/c.png') == [
        'a', 'b/a', 'b/c_jpg', 'b/c_png']


def test_names_differ_on_disks_that_ignore_case():
    assert stems('A.png', 'a.jpg') == ['A_png', 'a_jpg']
    with pytest.raises(UserError, match='A.png and a.png'):
        stems('A.png', 'a.png')
    with pytest.raises(UserError, match='a.png and a_png.jpg'):
        stems('a.jpg', 'a.png', 'a_png.jpg')


def test_folder_is_searched_below_but_not_in_the_output(tmp_path):
    for name in ('2.png', '1.JPEG', 'sub/0.jpg', 'out/0_picture.jpg', '.hid.png',
                 'a.tif'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folder, images = find_images(tmp_path, tmp_path / 'out')
    assert folder == tmp_path
    assert [str(image) for image in images] == ['1.JPEG', '2.png', 'sub/0.jpg']
    folder, images = find_images(tmp_path / 'sub' / '0.jpg', tmp_path / 'sub')
    assert folder / images[0] == tmp_path / 'sub' / '0.jpg'


def test_depth_maps_of_a_folder_are_no_photographs(tmp_path, capsys):
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 500
    for name, pixels in (('depth.png', grey), ('grey.png', grey.astype(np.uint8)),
                         ('colour.png', np.stack([grey] * 3, -1))):
        assert cv2.imwrite(str(tmp_path / name), pixels)
    (tmp_path / 'damaged.png').touch()  # is named when it is read
    _, images = find_images(tmp_path, tmp_path / 'out')
    assert [str(image) for image in images] == ['colour.png', 'damaged.png',
                                                'grey.png']
    assert 'leaving out 1 16-bit grey PNG, as depth maps are' in capsys.readouterr().out
    with pytest.raises(UserError, match='depth.png is a 16-bit grey PNG'):
        find_images(tmp_path / 'depth.png', tmp_path / 'out')
    for name in ('grey', 'colour', 'damaged'):
        (tmp_path / f'{name}.png').unlink()
    with pytest.raises(UserError, match='has no image .*but 1 16-bit grey PNG'):
        find_images(tmp_path, tmp_path / 'out')
