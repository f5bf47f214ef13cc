"""Read size and type of a PNG without decoding it."""
import struct
from pathlib import Path
from typing import NamedTuple

_COLOURS = {0: 'grey', 2: 'RGB', 3: 'palette', 4: 'grey and alpha', 6: 'RGBA'}


class PNGHeader(NamedTuple):
    """What the first chunk of a PNG says.

    Attributes:
        height, width: Pixels.
        bits: Per channel.
        colour: 'grey', 'RGB', 'palette', 'grey and alpha' or 'RGBA'.
    """

    height: int
    width: int
    bits: int
    colour: str

    @property
    def holds_measurements(self) -> bool:
        """Whether it is 16-bit grey, as depth maps are and photographs are not."""
        return (self.bits, self.colour) == (16, 'grey')


def read_png_header(path: str | Path) -> PNGHeader:
    """Return the header of a PNG file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a PNG.

    Source: PNG specification, third edition, 11.2.1.
    """
    with open(path, 'rb') as file:
        start = file.read(26)
    if len(start) < 26 or start[:8] != b'\x89PNG\r\n\x1a\n' or (
            start[12:16] != b'IHDR'):
        raise ValueError(f'{path} is not a PNG file')
    width, height, bits, colour = struct.unpack('>IIBB', start[16:])
    return PNGHeader(height, width, bits, _COLOURS.get(colour, 'unknown'))
