"""What to do where the list of a data set's samples is missing.

A data set class, ours or another package's, registers its advice under its
name; subclasses inherit it.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Advice:
    """How to get the list of samples.

    Args:
        what: what lists the samples, for the message.
        command: name of the data set in `synthesize`, or None where that cannot
            write it.
        steps: what to do; ``{root}`` stands for the data root.
        written: file that the steps write, by name of the loader, where they
            write other names than a configuration may ask for.
    """

    what: str
    command: str | None
    steps: str
    written: Mapping[str, str] = field(default_factory=dict)


ADVICE: dict[str, Advice] = {}
"""By the name of the data set's class, without scope."""

# Of mmdet3d and mmseg; ours register their own beside the class.
ADVICE['NuScenesDataset'] = Advice(
    'info file', 'nuscenes', 'Write it with:  ddp-perception prepare nuscenes {root}')
ADVICE['CityscapesDataset'] = Advice(
    'image folder', 'cityscapes', 'Unpack leftImg8bit and gtFine, then:  '
    'ddp-perception prepare cityscapes {root}')


def advice_for(names: list[str]) -> Advice | None:
    """Return the advice of the first class that has some, or None.

    Args:
        names: names of a class and its bases, most derived first.
    """
    return next((ADVICE[name] for name in names if name in ADVICE), None)
