"""What mmengine's Runner needs from us: CPU mixed precision, seeding."""
from ddp_perception.engine.cpu_amp import CPUAmpOptimWrapper
from ddp_perception.engine.epoch_seed import EpochSeedHook

__all__ = ['CPUAmpOptimWrapper', 'EpochSeedHook']
