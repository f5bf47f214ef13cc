"""What train and test do alike around mmengine's Runner."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ddp_perception import compat
from ddp_perception.cli import configuration
from ddp_perception.cli.errors import UserError
from ddp_perception.freed_memory import keep_freed_memory

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.model import BaseModel
    from mmengine.runner import Runner


def prepare_process(cfg: Config, launcher: str = 'none',
                    local_rank: int | None = None, trusted: bool = False) -> None:
    """Apply the workarounds that a run may need, and join the other processes.

    Args:
        cfg: Changed where there is no GPU.
        launcher: 'none', 'pytorch' or 'slurm'.
        local_rank: As older launchers pass it.
        trusted: See `load_checkpoints_safely`.

    Raises:
        UserError: the launcher's variables are missing.
    """
    from ddp_perception.datasets.bounded_files import bound_local_files
    from ddp_perception.datasets.sample_errors import name_damaged_files
    if local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(local_rank))
    compat.load_checkpoints_safely(trusted)
    compat.load_pickles_safely()
    bound_local_files()
    name_damaged_files()
    compat.patch_numpy_long()
    compat.patch_spconv_cpu()
    keep_freed_memory()
    cfg.launcher = launcher
    try:
        compat.init_distributed(launcher)
    except ValueError as error:
        raise UserError(str(error)) from None
    compat.adapt_model_wrapper(cfg, launcher)


def build_runner(cfg: Config) -> Runner:
    """Build the Runner; wrong settings become messages.

    Raises:
        UserError: a data set or its map is missing or incomplete.
    """
    from mmengine.runner import Runner

    import ddp_perception  # noqa: F401  makes the ddp types known
    if configuration.adapt_amp(cfg):
        print('no GPU: mixed precision runs in bfloat16')
    return Runner.from_cfg(cfg)


def bare_model(runner: Runner) -> BaseModel:
    """Return the model without what wraps it.

    That is distributed training, and test-time augmentation: checkpoints hold
    the names of the model alone.
    """
    from mmengine.model import BaseTTAModel, is_model_wrapper
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
