"""``--compile``: the decoder of diffusion heads through torch.compile."""
from __future__ import annotations

from typing import TYPE_CHECKING

from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from torch import nn


def compile_heads(model: nn.Module) -> None:
    """Compile the decoder layers of a model's diffusion heads, in place.

    They run at every step, and are alike, so that one is compiled for all: the whole
    decoder would take several times as long to compile. Names of parameters stay. A
    new size of the features or of the batch is compiled anew, once.

    Raises:
        UserError: the model has no diffusion head.
    """
    from ddp_perception.prediction_heads import heads_of
    diffusions = [head.diffusion for head in heads_of(model)
                  if hasattr(head, 'diffusion')]
    if not diffusions:
        raise UserError('--compile compiles diffusion heads; the model has none')
    for diffusion in diffusions:
        for layer in diffusion.denoiser.decoder.layers:
            layer.compile()
