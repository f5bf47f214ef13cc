"""Names of mmpretrain's ConvNeXt, and of timm's.

mmseg's Swin needs no rules: mmdet's and mmseg's have the same names. Its
patch merging orders channels as `torch.nn.Unfold` does (all rows and columns
of a channel, then the next channel), in the old versions that the released
models were trained with as in the present ones. Only the original Swin code
orders them otherwise, and its names (``layers.0.blocks``) differ.
"""
import re
from collections.abc import Container, Iterable

_CONVNEXT = [(re.compile(pattern), name) for pattern, name in (
    (r'^downsample_layers\.0\.([01])\.', r'model.stem_\1.'),
    (r'^downsample_layers\.(\d)\.([01])\.', r'model.stages_\1.downsample.\2.'),
    (r'^stages\.(\d)\.(\d+)\.', r'model.stages_\1.blocks.\2.'),
    (r'\.depthwise_conv\.', '.conv_dw.'),
    (r'\.pointwise_conv([12])\.', r'.mlp.fc\1.'),
)]
_PREFIX = 'backbone.'


def rename_backbone_keys(keys: Iterable[str],
                         model_keys: Container[str]) -> dict[str, str]:
    """Map the names of a backbone to those of the model's.

    Args:
        keys: names that start with ``backbone.``.
        model_keys: names of the model's parameters: ConvNeXt is renamed where
            they are those of `TimmBackbone`.

    Returns:
        New name by old name.
    """
    keys = list(keys)
    convnext = (f'{_PREFIX}downsample_layers.0.0.weight' in keys
                and f'{_PREFIX}model.stem_0.weight' in model_keys)
    return {key: _timm_name(key) if convnext else key for key in keys}


def _timm_name(key: str) -> str:
    key = key.removeprefix(_PREFIX)
    for pattern, name in _CONVNEXT:
        key = pattern.sub(name, key, count=1)
    return _PREFIX + key
