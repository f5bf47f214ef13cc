"""Parameter names of the released DDP models, and ours.

Source: names as in the state dictionaries of DDP, arXiv:2303.17559.
"""
import re
from collections.abc import Mapping

from torch import Tensor

_RULES = [(re.compile(pattern), name) for pattern, name in (
    (r'^embedding_table\.', 'codec.table.'),
    (r'^(?:transform|down)\.conv\.', 'denoiser.fuse.'),
    (r'^time_mlp\.0\.weights$', 'denoiser.time_embedding.frequencies'),
    (r'^time_mlp\.1\.', 'denoiser.time_embedding.hidden.'),
    (r'^time_mlp\.3\.', 'denoiser.time_embedding.output.'),
    (r'^(?:decode_head|heads\.map)\.conv_(?:seg|depth)\.', 'denoiser.predictor.'),
    (r'^(?:decode_head|heads\.map)\.encoder\.layers\.', 'denoiser.decoder.layers.'),
    (r'\.attentions\.0\.', '.attn.'),
    (r'\.ffns\.0\.layers\.0\.0\.', '.expand.'),
    (r'\.ffns\.0\.layers\.1\.', '.reduce.'),
    (r'\.norms\.0\.', '.norm1.'),
    (r'\.norms\.1\.', '.norm2.'),
    (r'\.time_mlp\.1\.', '.time.'),
)]


def rename_diffusion_key(key: str) -> str:
    """Rename one parameter of the diffusion part to `LabelDiffusion`'s name."""
    for pattern, name in _RULES:
        key = pattern.sub(name, key)
    return key


def rename_diffusion_keys(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the diffusion part of a released model to `LabelDiffusion`'s names.

    Keys of other parts (backbone, neck, auxiliary head) keep their names.
    """
    return {rename_diffusion_key(key): value for key, value in state_dict.items()}
