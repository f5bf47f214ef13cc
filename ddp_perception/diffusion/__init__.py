"""The diffusion of label maps: schedule, codecs, noise, sampling.

This room imports torch and the standard library alone.
"""
from ddp_perception.diffusion.adaptive import cells_to_refine
from ddp_perception.diffusion.class_codecs import (
    AnalogBitsCodec,
    ClassCodec,
    OneHotCodec,
)
from ddp_perception.diffusion.codecs import EmptyCodec, LabelCodec, MultiLabelCodec
from ddp_perception.diffusion.depth_codec import DepthCodec
from ddp_perception.diffusion.noise import (
    COLOURS,
    pink_noise,
    process_generator,
    seeded_noise,
)
from ddp_perception.diffusion.outcomes import (
    Classes,
    Outcome,
    Presences,
    Quantity,
)
from ddp_perception.diffusion.refinement import (
    Refinement,
    StepCount,
    clock,
    share_changed,
)
from ddp_perception.diffusion.sampler import Sampler
from ddp_perception.diffusion.sampling import (
    Step,
    ancestral,
    ddim_update,
    ddpm_update,
    sample_steps,
    sampling_levels,
    sampling_times,
)
from ddp_perception.diffusion.schedule import NoiseLevel, NoiseSchedule, add_noise
from ddp_perception.diffusion.uncertainty import UNCERTAINTIES, uncertainty

__all__ = [
    'AnalogBitsCodec',
    'COLOURS',
    'ClassCodec',
    'Classes',
    'DepthCodec',
    'EmptyCodec',
    'LabelCodec',
    'NoiseLevel',
    'MultiLabelCodec',
    'NoiseSchedule',
    'OneHotCodec',
    'Outcome',
    'Presences',
    'Quantity',
    'Refinement',
    'Sampler',
    'Step',
    'StepCount',
    'UNCERTAINTIES',
    'ancestral',
    'add_noise',
    'cells_to_refine',
    'clock',
    'ddim_update',
    'ddpm_update',
    'sampling_levels',
    'pink_noise',
    'process_generator',
    'sample_steps',
    'sampling_times',
    'seeded_noise',
    'share_changed',
    'uncertainty',
]
