"""Whether the compiled operators of a model run on the device that it is on.

mmcv and spconv can be installed with kernels for another device than the
model's. That shows in the first batch, which comes late on large data; here
every kind of operator is tried on a tiny input before.
"""
from collections.abc import Callable
from types import ModuleType

import torch
from torch import nn

from ddp_perception.cli.errors import UserError

Trial = Callable[[nn.Module, torch.device], None]

# In mmcv.ops, and written in torch alone.
_PLAIN = {'mmcv.ops.cc_attention', 'mmcv.ops.corner_pool', 'mmcv.ops.merge_cells',
          'mmcv.ops.deprecated_wrappers', 'mmcv.ops.sparse_modules'}


def require_operators(model: nn.Module, device: torch.device | None = None) -> None:
    """Try each kind of compiled operator that a model has on its device.

    Finds layers of mmcv.ops and spconv, mmdet3d's voxelization, and the
    non-maximum suppression of detection heads. Forward only, so that nothing
    of the model changes. A layer of mmcv.ops that has no trial is only
    checked for being compiled for CUDA.

    Args:
        model: Where it will run.
        device: Instead of that of its parameters.

    Raises:
        UserError: an operator has no kernel for the device; the message says
            how to get one.
    """
    device = device or next(model.parameters()).device
    for name, (module, trial) in _operators(model).items():
        try:
            _require_build(name, device)
            with torch.no_grad():
                trial(module, device)
            if device.type == 'cuda':
                torch.cuda.synchronize(device)
        except Exception as error:  # each operator raises what it likes
            cause = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f'{name}, which the model needs, does not run on '
                            f'{device}: {cause}\n{_remedy(name, device)}') from None


def _operators(model: nn.Module) -> dict[str, tuple[nn.Module, Trial]]:
    """Return one module and its trial for each kind of operator, by name."""
    found: dict[str, tuple[nn.Module, Trial]] = {}
    for module in model.modules():
        names = [f'{cls.__module__}.{cls.__name__}' for cls in type(module).__mro__
                 if cls.__module__ not in _PLAIN]
        known = [name for name in names if name in _TRIALS]
        others = [name for name in names if name.startswith('mmcv.ops.')]
        for name in (known or others)[:1]:
            trial = _TRIALS.get(name, _no_trial)
            found.setdefault(_NAMES.get(trial, name), (module, trial))
    return found


def _require_build(name: str, device: torch.device) -> None:
    """Raise RuntimeError where a package was built without CUDA, for a GPU."""
    if device.type != 'cuda':
        return
    if name.startswith('spconv.'):
        from spconv.cppconstants import CPU_ONLY_BUILD as cpu_only
    else:
        from mmcv.ops import get_compiling_cuda_version
        cpu_only = get_compiling_cuda_version() == 'not available'
    if cpu_only:
        raise RuntimeError(f'{name.split(".")[0]} was built without CUDA')


def _remedy(name: str, device: torch.device) -> str:
    if device.type == 'cpu' and name.startswith('mmcv.ops.sparse'):
        return 'On a CPU sparse convolutions need spconv: pip install spconv'
    if device.type == 'cpu':
        return 'It has no kernel for CPUs; run the model on a GPU.'
    mmcv = ("mmcv's CUDA operators are compiled by  FORCE_CUDA=1 make env  (for the "
            'GPU that is there, or those of TORCH_CUDA_ARCH_LIST; '
            'docs/installation.md)')
    if name.startswith('spconv.'):
        return ("spconv's plain wheel has CPU kernels alone, and mmdet3d prefers it "
                f"to mmcv's:  pip uninstall spconv\n{mmcv}")
    return mmcv


def _voxelize(module: nn.Module, device: torch.device) -> None:
    bounds = torch.tensor(module.point_cloud_range, dtype=torch.float).view(2, 3)
    module(torch.nn.functional.pad(bounds.mean(0)[None], (0, 1)).to(device))


def _scatter(module: nn.Module, device: torch.device) -> None:
    module(torch.ones(2, 4, device=device),
           torch.zeros(2, 3, dtype=torch.int32, device=device))


def _convolve_sparse(ops: ModuleType, device: torch.device) -> None:
    layer = ops.SubMConv3d(16, 16, 3).to(device)
    layer(ops.SparseConvTensor(
        torch.ones(1, 16, device=device),
        torch.zeros(1, 4, dtype=torch.int32, device=device), [3, 3, 3], 1))


def _convolve_sparse_mmcv(_: nn.Module, device: torch.device) -> None:
    from mmcv import ops
    _convolve_sparse(ops, device)


def _convolve_sparse_spconv(_: nn.Module, device: torch.device) -> None:
    from spconv import pytorch as ops
    _convolve_sparse(ops, device)


def _deform(_: nn.Module, device: torch.device) -> None:
    from mmcv.ops import deform_conv2d
    image, offset = torch.ones(1, 1, 3, 3), torch.zeros(1, 18, 1, 1)
    deform_conv2d(image.to(device), offset.to(device), image.to(device))


def _deform_modulated(_: nn.Module, device: torch.device) -> None:
    from mmcv.ops import modulated_deform_conv2d
    image = torch.ones(1, 1, 3, 3, device=device)
    modulated_deform_conv2d(image, image.new_zeros(1, 18, 1, 1),
                            image.new_ones(1, 9, 1, 1), image, None, 1, 0, 1, 1, 1)


def _attend(_: nn.Module, device: torch.device) -> None:
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
    if device.type == 'cpu':  # mmcv takes plain torch there
        return
    MultiScaleDeformableAttnFunction.apply(
        torch.ones(1, 1, 1, 8, device=device),
        torch.ones(1, 2, dtype=torch.long, device=device),
        torch.zeros(1, dtype=torch.long, device=device),
        torch.full((1, 1, 1, 1, 1, 2), 0.5, device=device),
        torch.ones(1, 1, 1, 1, 1, device=device), 64)


def _suppress(_: nn.Module, device: torch.device) -> None:
    from mmcv.ops import nms
    nms(torch.tensor([[0., 0., 1., 1.]], device=device),
        torch.ones(1, device=device), 0.5)


def _suppress_rotated(head: nn.Module, device: torch.device) -> None:
    if (getattr(head, 'test_cfg', None) or {}).get('nms_type') == 'circle':
        return  # distances of centres, without mmcv
    from mmcv.ops import nms_rotated
    nms_rotated(torch.tensor([[0., 0., 1., 1., 0.]], device=device),
                torch.ones(1, device=device), 0.5)


def _no_trial(_module: nn.Module, _device: torch.device) -> None:
    """`_require_build` has seen all that can be seen without an input."""


_VOXELIZE = 'mmdet3d.models.data_preprocessors.voxelize.'
_HEADS = 'mmdet3d.models.dense_heads.'
_TRIALS: dict[str, Trial] = {
    'mmcv.ops.voxelize.Voxelization': _voxelize,
    f'{_VOXELIZE}VoxelizationByGridShape': _voxelize,
    'mmcv.ops.scatter_points.DynamicScatter': _scatter,
    f'{_VOXELIZE}DynamicScatter3D': _scatter,
    'mmcv.ops.sparse_conv.SparseConvolution': _convolve_sparse_mmcv,
    'spconv.pytorch.conv.SparseConvolution': _convolve_sparse_spconv,
    'mmcv.ops.deform_conv.DeformConv2d': _deform,
    'mmcv.ops.modulated_deform_conv.ModulatedDeformConv2d': _deform_modulated,
    'mmcv.ops.multi_scale_deform_attn.MultiScaleDeformableAttention': _attend,
    'mmdet.models.dense_heads.base_dense_head.BaseDenseHead': _suppress,
    f'{_HEADS}base_3d_dense_head.Base3DDenseHead': _suppress_rotated,
    f'{_HEADS}centerpoint_head.CenterHead': _suppress_rotated,
}
# The operator, where the class that needs it is called otherwise.
_NAMES: dict[Trial, str] = {
    _suppress: 'mmcv.ops.nms', _suppress_rotated: 'mmcv.ops.nms_rotated'}
