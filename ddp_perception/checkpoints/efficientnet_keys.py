"""Names of efficientnet_pytorch's networks, and of timm's.

One numbers the blocks through; the other groups them by stage, and names the
parts of a block in the order in which they are applied.
"""
import re
from collections.abc import Iterable

_HEAD = {'_conv_head': 'conv_head', '_bn1': 'bn2', '_fc': 'classifier'}
_STEM = {'_conv_stem': 'conv_stem', '_bn0': 'bn1'}
_PLAIN = {'_depthwise_conv': 'conv_dw', '_bn1': 'bn1', '_project_conv': 'conv_pw',
          '_bn2': 'bn2'}
"""Parts of a block that does not expand its channels first."""
_EXPANDING = {'_expand_conv': 'conv_pw', '_bn0': 'bn1', '_depthwise_conv': 'conv_dw',
              '_bn1': 'bn2', '_project_conv': 'conv_pwl', '_bn2': 'bn3'}
_BLOCK = re.compile(r'_blocks\.(\d+)\.(\w+)\.(.+)')
_TIMM_BLOCK = re.compile(r'blocks\.(\d+)\.(\d+)\.')


def rename_efficientnet_keys(keys: Iterable[str],
                             model_keys: Iterable[str]) -> dict[str, str | None]:
    """Map the names of efficientnet_pytorch's EfficientNet (Lite) to timm's.

    Args:
        keys: names of a network of efficientnet_pytorch, or of its Lite variant.
        model_keys: names of timm's network of the same size, which may lack the
            classifier and the last stages.

    Returns:
        New name by old name; None for a block that the model does not have and
        for a name of another network.
    """
    keys = list(keys)
    places = sorted({(int(found[1]), int(found[2])) for found in
                     map(_TIMM_BLOCK.match, model_keys) if found})
    expanding = {found[1] for found in map(_BLOCK.match, keys)
                 if found and found[2] == '_expand_conv'}
    return {key: _timm_name(key, places, expanding) for key in keys}


def _timm_name(key: str, places: list[tuple[int, int]],
               expanding: set[str]) -> str | None:
    found = _BLOCK.fullmatch(key)
    if found is None:
        part, _, rest = key.partition('.')
        name = {**_STEM, **_HEAD}.get(part)
        return name and f'{name}.{rest}'
    index, part, rest = found.groups()
    name = (_EXPANDING if index in expanding else _PLAIN).get(part)
    if name is None or int(index) >= len(places):
        return None
    stage, block = places[int(index)]
    return f'blocks.{stage}.{block}.{name}.{rest}'
