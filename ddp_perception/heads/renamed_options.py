"""Name the new option where a configuration gives a head an old one."""
from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any

RENAMED = {
    **{name: f'decoder=dict({name}=...)' for name in (
        'channels', 'num_layers', 'num_heads', 'num_points', 'feedforward_channels',
        'time_conditioning')},
    **{name: f'diffusion=dict({name}=...)' for name in (
        'scale', 'schedule', 'sample_range', 'time_difference', 'self_aligned')},
    'input_scope': 'input_grid',
    'output_scope': 'output_grid',
    'decoder_scope': 'decoder_grid',
    'aligned_feedback': "resize_feedback='metric' (True) or 'stretch' (False)",
    'loss_weight': 'loss=dict(loss_weight=...)',
    'input_transform': 'in_index alone: several levels are concatenated',
    'probabilities_as_logits': "the model's type='SegTTAModel' (as True was) or "
                               "'ddp.SegTTAModel'",
}
"""Options of version 0.1 and what says the same since 0.2."""


def names_options(init: Callable[..., None]) -> Callable[..., None]:
    """Make a constructor explain an option that it does not have.

    The message names what an old option has become, or the option whose name
    is nearest.
    """
    names = [name for name in inspect.signature(init).parameters if name != 'self']

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **options: Any) -> None:
        for name in options:
            if name in names:
                continue
            if name in RENAMED:
                raise TypeError(f'{type(self).__name__} no longer has the option '
                                f'{name!r}; since 0.2 it is {RENAMED[name]}')
            near = difflib.get_close_matches(name, names, 1)
            raise TypeError(f'{type(self).__name__} has no option {name!r}'
                            + (f'; did you mean {near[0]!r}?' if near else '')
                            + f' It has {", ".join(names)}')
        init(self, *args, **options)
    return checked
