"""Workarounds for faults of the versions that we support, in one place.

Nothing happens on import: whoever needs a workaround calls it, and every
function may be called again at no cost. Each names its symptom and cause, so
that it can go when the cause has.

================================  ==========================================
symptom                           call
================================  ==========================================
"Weights only load failed" when   `load_checkpoints_safely`
a checkpoint is resumed
info files run what they contain   `load_pickles_safely`
``np.long`` missing (ObjectSample)  `patch_numpy_long`
spconv fails without a GPU        `patch_spconv_cpu`
``torch.cuda.set_device`` raises   `init_distributed`
with a launcher and no GPU
DDP rejects ``device_ids`` on CPU  `adapt_model_wrapper`
AMP "only available on gpu"       `ddp.CPUAmpOptimWrapper` (engine)
"terminate called without an      `leave_distributed`, `end_process`
active exception" at the end
a path to a device never ends     `datasets.bounded_files.bound_local_files`
================================  ==========================================
"""
from __future__ import annotations

import atexit
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

if TYPE_CHECKING:
    from mmengine.config import Config


def load_checkpoints_safely(trusted: bool = False) -> None:
    """Make mmengine read checkpoints, from files and addresses, by our reader.

    Since torch 2.6 `torch.load` admits tensors and plain containers alone,
    while mmengine's checkpoints also hold training curves (`HistoryBuffer`),
    so `Runner.resume` and `load_from` fail. Older versions of torch run
    whatever code a file contains, and so do mmengine's loaders for addresses,
    whichever the version. Ours reads what mmengine writes, and runs nothing;
    see `load_checkpoint_file`. It leaves out the text of the configuration
    in a checkpoint, which `Runner.resume` would run as Python (to compare a
    number of GPUs that mmengine itself never writes).

    Args:
        trusted: read files that hold other Python objects too. Such a file
            can run any code while it is read: only for files whose origin
            you trust. A later call replaces this setting.
    """
    from mmengine.runner.checkpoint import CheckpointLoader

    from ddp_perception.checkpoints.reading import load_checkpoint

    def load_from_local_or_address(filename: str, map_location: Any = None) -> Any:
        content = load_checkpoint(filename, map_location, trusted=trusted)
        if not trusted and isinstance(content, dict) and isinstance(
                content.get('meta'), dict):
            content['meta'].pop('config', None)
        return content

    # All schemes that somebody registered: each has a loader of its own.
    CheckpointLoader.register_scheme(prefixes=list(CheckpointLoader._schemes),
                                     loader=load_from_local_or_address, force=True)


def load_pickles_safely(name: str = 'the pickle') -> None:
    """Make mmengine read info files and other pickles by our reader.

    mmengine, mmdet3d and mmseg read ``.pkl`` files (annotations of data sets
    and metrics, data bases of objects) with all that these call; see
    `load_plain`. What mmengine writes and passes between its own processes is
    not concerned.

    Args:
        name: what messages call a pickle; mmengine passes on bytes only.
    """
    from mmengine.fileio import PickleHandler, register_handler

    from ddp_perception.checkpoints.plain_pickle import read_plain

    class PlainPickleHandler(PickleHandler):
        """Reads plain values; writes as before."""

        def load_from_fileobj(self, file: BinaryIO) -> Any:
            return read_plain(file.read(), getattr(file, 'name', name))

    register_handler(['pickle', 'pkl'])(PlainPickleHandler)


def patch_numpy_long() -> None:
    """Restore ``np.long``, which mmdet3d's `ObjectSample` uses.

    NumPy 1.24 removed the alias; NumPy 2 has a type of that name again.
    """
    import numpy as np
    if 'long' not in vars(np):  # hasattr() would warn
        vars(np)['long'] = np.int64


def patch_spconv_cpu() -> None:
    """Let spconv's backward pass run where there is no GPU.

    spconv 2.3.8 asks for the current CUDA stream even on a CPU, which raises
    where CUDA is absent. Does nothing where CUDA is there or spconv is not,
    and nothing more when called again.
    """
    import torch
    if torch.cuda.is_available():
        return
    try:
        from spconv.pytorch import ops
    except ImportError:
        return
    ops.get_current_stream = _no_stream


def _no_stream() -> int:
    return 0


def init_distributed(launcher: str) -> None:
    """Join the process group with gloo where there is no GPU.

    mmengine's `init_dist` calls `torch.cuda.set_device`, which raises without
    CUDA; it leaves a group that exists already alone. Does nothing for
    ``launcher='none'``, with a GPU (mmengine does it then) or in a group.

    Args:
        launcher: 'none', 'pytorch' (torchrun's variables) or 'slurm'.

    Raises:
        ValueError: the launcher is unknown, or the variables that it sets
            are missing.
    """
    import torch
    from torch import distributed
    if launcher not in ('none', 'pytorch', 'slurm'):
        raise ValueError("launcher must be 'none', 'pytorch' or 'slurm', got "
                         f'{launcher!r}')
    if launcher == 'none':
        return
    needed = {'pytorch': ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR',
                          'MASTER_PORT'),
              'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST')}
    missing = [name for name in needed[launcher] if name not in os.environ]
    if missing:
        start = {'pytorch': 'torchrun --nproc-per-node=N -m ddp_perception.cli',
                 'slurm': 'srun --ntasks=N ddp-perception'}[launcher]
        raise ValueError(
            f'--launcher {launcher} expects {", ".join(missing)} in the '
            f'environment; start the processes with "{start} train ... '
            f'--launcher {launcher}"')
    if torch.cuda.is_available() or distributed.is_initialized():
        return
    if launcher == 'slurm':
        _set_variables_from_slurm()
    distributed.init_process_group('gloo')


def leave_distributed() -> None:
    """Leave the process group, if there is one, at the end of a run.

    While a process waits at a barrier, the threads of earlier operations come
    to their end. Not for a run that fails: the others would not come to the
    barrier.
    """
    from torch import distributed
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def end_process(status: int) -> NoReturn:
    """End this process, one of several without tearing the interpreter down.

    A thread of gloo frees the tensors of an operation, the barrier of
    `leave_distributed` included, some time after that is done. Where the
    interpreter is being torn down at that moment, the thread is ended inside
    of a destructor, and the process aborts although its work succeeded (seen
    with torch 2.13 on loaded machines). Exit functions run and streams are
    flushed in any case.

    Args:
        status: exit status.
    """
    if 'WORLD_SIZE' in os.environ:  # a launcher's variable
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _set_variables_from_slurm() -> None:
    environ = os.environ
    environ['RANK'] = environ['SLURM_PROCID']
    environ['WORLD_SIZE'] = environ['SLURM_NTASKS']
    environ['LOCAL_RANK'] = environ.get('SLURM_LOCALID', '0')
    environ.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in environ:
        hosts = subprocess.run(
            ['scontrol', 'show', 'hostname', environ['SLURM_NODELIST']],
            capture_output=True, text=True, check=True).stdout.split()
        environ['MASTER_ADDR'] = hosts[0]


def adapt_model_wrapper(cfg: Config, launcher: str) -> None:
    """Let `DistributedDataParallel` wrap a model that lives on a CPU.

    mmengine passes ``device_ids=[LOCAL_RANK]`` unless the configuration says
    otherwise, which DDP accepts for GPUs only.

    Args:
        cfg: the mmengine `Config`; gains ``model_wrapper_cfg`` where there is
            no GPU and a launcher is used.
        launcher: 'none', 'pytorch' or 'slurm'.
    """
    import torch
    if launcher == 'none' or torch.cuda.is_available():
        return
    wrapper = cfg.get('model_wrapper_cfg') or {}
    cfg.model_wrapper_cfg = {
        'type': 'MMDistributedDataParallel',
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
        'broadcast_buffers': False,
        **wrapper,
        'device_ids': None,
    }
