"""A few small frames in the layout of KITTI depth."""
from pathlib import Path

import cv2
import numpy as np

DRIVES = ('2011_09_26_drive_0001_sync', '2011_09_26_drive_0002_sync',
          '2011_10_03_drive_0034_sync')


def frame_paths(drive, frame):
    """Return image and depth path of a frame as split files hold them."""
    date = drive[:10]
    return (f'{date}/{drive}/image_02/data/{frame:010d}.png',
            f'{drive}/proj_depth/groundtruth/image_02/{frame:010d}.png')


def write_png(path, array):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)


def ramp(height, width):
    """Image and metres of which each pixel tells where it came from.

    Blue is the row and green the column, in 1/2 pixels modulo 256; depth is
    1 m + row / 4 + column / 64 where (row + column) is even, else unknown.
    """
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 2 % 256, columns * 2 % 256,
                      np.full_like(rows, 90)], -1).astype(np.uint8)
    depth = 1 + rows / 4 + columns / 64
    depth[(rows + columns) % 2 == 1] = 0
    return image, depth.astype(np.float32)


def write_tiny_kitti(root, drives=DRIVES, frames=2, height=44, width=60):
    """Write frames of every drive, without split files."""
    root = Path(root)
    for number, drive in enumerate(drives):
        for frame in range(frames):
            image, depth = ramp(height, width)
            image_path, depth_path = frame_paths(drive, frame)
            write_png(root / 'input' / image_path,
                      np.roll(image, number + frame, 1))
            write_png(root / 'gt_depth' / depth_path,
                      (depth * 256).astype(np.uint16))
    return root


def line(drive, frame, depth=True, focal=True):
    """Return the line of a frame in a split file."""
    image_path, depth_path = frame_paths(drive, frame)
    return ' '.join([image_path, depth_path if depth else 'None',
                     *(['721.5377'] if focal else [])])
