"""Checkpoints of other code, renamed to this package's parameters."""
from ddp_perception.checkpoints.conversion import (
    Conversion,
    Row,
    convert_state,
    load_converted,
)
from ddp_perception.checkpoints.diffusion_keys import rename_diffusion_keys
from ddp_perception.checkpoints.releases import (
    Release,
    UnknownRelease,
    detect_release,
)

__all__ = ['Conversion', 'Release', 'Row', 'UnknownRelease', 'convert_state',
           'detect_release', 'load_converted', 'rename_diffusion_keys']
