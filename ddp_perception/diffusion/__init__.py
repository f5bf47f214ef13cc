"""The diffusion of label maps: schedule, codecs, corruption, sampling.

This room imports torch and the standard library alone.
"""
from ddp_perception.diffusion.codecs import ClassCodec, LabelCodec, MultiLabelCodec
from ddp_perception.diffusion.noise import seeded_noise
from ddp_perception.diffusion.sampling import (
    Step,
    ddim_update,
    level_pairs,
    sample_steps,
    sampling_times,
)
from ddp_perception.diffusion.schedule import Level, NoiseSchedule, corrupt

__all__ = [
    'ClassCodec',
    'LabelCodec',
    'Level',
    'MultiLabelCodec',
    'NoiseSchedule',
    'Step',
    'corrupt',
    'ddim_update',
    'level_pairs',
    'sample_steps',
    'sampling_times',
    'seeded_noise',
]
