"""A few small images in the layout of CamVid."""
from pathlib import Path

import cv2
import numpy as np


def labels_of(number, height=24, width=36):
    """Stripes of all classes and void, shifted by 5 columns per image."""
    columns = np.arange(width) + 5 * number
    return np.tile((columns % 12).astype(np.uint8), (height, 1))


def write_tiny_camvid(root, suffix='.jpg', height=24, width=36):
    """Write three images of every split, each stripe in a colour of its own."""
    root = Path(root)
    for split in ('train', 'val', 'test'):
        names = [f'{letter}_{split}' for letter in 'abc']
        for folder in ('images', 'labels'):
            (root / folder / split).mkdir(parents=True)
        for number, name in enumerate(names):
            labels = labels_of(number, height, width)
            image = np.stack([labels * 20, 255 - labels * 20, labels * 7], -1)
            for path, array in ((f'images/{split}/{name}{suffix}', image),
                                (f'labels/{split}/{name}.png', labels)):
                assert cv2.imwrite(str(root / path), array)
        (root / f'{split}.txt').write_text('\n'.join(names) + '\n')
    return root
