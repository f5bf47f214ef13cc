"""Parts of messages."""
from __future__ import annotations

from collections.abc import Iterable


def few(items: Iterable[object], most: int, separator: str = ', ') -> str:
    """Join the first items of a list, and say how many more there are.

    Args:
        items: what is listed.
        most: how many are shown.
        separator: stands between them.
    """
    texts = [str(item) for item in items]
    if len(texts) > most:
        texts[most:] = [f'and {len(texts) - most} more']
    return separator.join(texts)


def counted(count: int, plural: str) -> str:
    """Say how many there are: '2 maps', '1 map'.

    Args:
        count: how many.
        plural: what they are called, with an s at the end; of several things,
            'label maps and depth maps'.
    """
    names = plural.split(' and ')
    if count == 1:
        names = [name.removesuffix('s') for name in names]
    return f'{count} {" and ".join(names)}'


def refused_copies(count: int) -> str:
    """Say that a map head takes no augmented copies of a frame.

    Args:
        count: how many were given.
    """
    return (f'{count} augmented copies of a frame were given; the map head takes '
            'frames one by one: set flip=False and one pts_scale_ratio in '
            'MultiScaleFlipAug3D')
