"""What mmengine's Runner needs from us: mixed precision on a CPU, runs that can be
interrupted, several processes, pictures."""
from ddp_perception.engine.broadcast_buffers import BroadcastBuffersHook
from ddp_perception.engine.channels_last import ChannelsLastHook
from ddp_perception.engine.checkpoint_hook import CheckpointHook
from ddp_perception.engine.cpu_amp import CPUAmpOptimWrapper
from ddp_perception.engine.decoder_passes import DecoderPassesHook
from ddp_perception.engine.iteration_seed import IterationSeedHook
from ddp_perception.engine.missed_validation import MissedValidationHook
from ddp_perception.engine.pictures import PictureHook

__all__ = ['BroadcastBuffersHook', 'CPUAmpOptimWrapper', 'ChannelsLastHook',
           'CheckpointHook', 'DecoderPassesHook', 'IterationSeedHook',
           'MissedValidationHook', 'PictureHook']
