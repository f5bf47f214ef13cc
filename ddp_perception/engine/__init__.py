"""What mmengine's Runner needs from us: CPU mixed precision, seeding, pictures."""
from ddp_perception.engine.broadcast_buffers import BroadcastBuffersHook
from ddp_perception.engine.cpu_amp import CPUAmpOptimWrapper
from ddp_perception.engine.epoch_seed import EpochSeedHook
from ddp_perception.engine.pictures import PictureHook

__all__ = ['BroadcastBuffersHook', 'CPUAmpOptimWrapper', 'EpochSeedHook', 'PictureHook']
