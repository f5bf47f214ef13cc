"""mmcv's CUDA kernel of deformable attention as a way of sampling maps.

    with map_sampling(mmcv_sampling):
        model.test_step(data)

The core imports torch alone and is handed the function.
"""
from collections.abc import Callable

import torch
from torch import Tensor


def mmcv_sampling(value: Tensor, col: Tensor, row: Tensor, attention: Tensor,
                  size: tuple[int, int]) -> Tensor:
    """Do what `ddp_perception.ops.sample_map` does; arguments and result are its own.

    The kernel computes in float32 or float64, the type of the positions.

    Raises:
        ValueError: the tensors are on no CUDA device.
        ImportError: mmcv without its compiled operators.
    """
    if value.device.type != 'cuda':
        raise ValueError("mmcv's kernel of deformable attention runs on CUDA devices, "
                         f'got tensors on {value.device}')
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
    return _by_kernel(MultiScaleDeformableAttnFunction.apply, value, col, row,
                      attention, size)


def _by_kernel(kernel: Callable[..., Tensor], value: Tensor, col: Tensor, row: Tensor,
               attention: Tensor, size: tuple[int, int]) -> Tensor:
    # 0 and 1 are the outer borders of the first and the last cell.
    places = torch.stack([(col + 0.5) / size[1], (row + 0.5) / size[0]], -1)
    levels = torch.tensor([size], device=value.device)
    out = kernel(value.to(col.dtype).contiguous(), levels, levels.new_zeros(1),
                 places.unsqueeze(3).contiguous(),  # one level
                 attention.unsqueeze(3).contiguous(), len(value))
    return out.unflatten(2, value.shape[2:]).to(value.dtype)
