"""Find the dense heads of a model, whatever is around them."""
from __future__ import annotations

from typing import Any

from torch import nn


def heads_of(model: nn.Module) -> list[Any]:
    """Return the heads of this package's kind, diffusion or not.

    That is every module that names the field it predicts, under distributed
    training and test-time augmentation as well.
    """
    return [module for module in model.modules() if hasattr(module, 'prediction_field')]


def heads_by_field(model: nn.Module) -> dict[str, Any]:
    """Return `heads_of` by the field that each predicts; the last one where two do."""
    return {head.prediction_field: head for head in heads_of(model)}
