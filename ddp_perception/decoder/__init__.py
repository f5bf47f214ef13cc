"""The map decoder and the denoisers made of it.

This room imports torch and the standard library alone.
"""
from ddp_perception.decoder.deform_attn import DeformableSelfAttention
from ddp_perception.decoder.denoiser import Condition, Denoiser
from ddp_perception.decoder.label_diffusion import LabelDiffusion
from ddp_perception.decoder.layers import DecoderLayer
from ddp_perception.decoder.map_decoder import MapDecoder
from ddp_perception.decoder.options import (
    DecoderOptions,
    DiffusionOptions,
    record_of,
)
from ddp_perception.decoder.position import sine_position
from ddp_perception.decoder.recipes import RECIPES, TrainingMaps, training_maps
from ddp_perception.decoder.time_embedding import TimeEmbedding

__all__ = [
    'Condition',
    'DecoderLayer',
    'DecoderOptions',
    'DeformableSelfAttention',
    'Denoiser',
    'DiffusionOptions',
    'LabelDiffusion',
    'MapDecoder',
    'RECIPES',
    'TimeEmbedding',
    'TrainingMaps',
    'record_of',
    'sine_position',
    'training_maps',
]
