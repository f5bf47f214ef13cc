"""BEVFusion's sparse voxel encoder."""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmdet3d.models.layers import make_sparse_convmodule
from mmdet3d.models.layers.spconv import IS_SPCONV2_AVAILABLE
from mmdet3d.models.middle_encoders import SparseEncoder
from torch import Tensor
from torch.autograd.function import once_differentiable

from ddp_perception.compat import patch_spconv_cpu
from ddp_perception.registry import MODELS

if IS_SPCONV2_AVAILABLE:
    from spconv.pytorch import SparseConvTensor
else:
    from mmcv.ops import SparseConvTensor


@MODELS.register_module()
class BEVFusionSparseEncoder(SparseEncoder):
    """mmdet3d's sparse encoder with axes in the order x, y, z.

    Same layers and names of parameters as `SparseEncoder` of mmdet3d, whose
    arguments it takes; ``sparse_shape`` is (x, y, z), the last layer reduces
    z, and the result is a BEV map with x before y. Runs in float32 under
    autocast.

    On a CPU, spconv 2.3.8 is only right with one thread (it has data races),
    so the encoder runs forward and backward with one there. Middle features
    come without that care in the backward pass.

    Shape:
        voxel_features: (V, in_channels).
        coors: (V, 4) integers batch, x, y, z.
        returns: (B, output_channels * nz, X, Y), z varying fastest along the
            channels; with ``return_middle_feats`` also a list of the stages'
            sparse tensors.

    Source: BEVFusion, arXiv:2205.13542, and its port in mmdet3d's projects.
    """

    coordinate_order = 'xyz'

    def __init__(self, in_channels: int, sparse_shape: Sequence[int],
                 order: Sequence[str] = ('conv', 'norm', 'act'),
                 norm_cfg: dict = dict(  # noqa: B006
                     type='BN1d', eps=1e-3, momentum=0.01),
                 base_channels: int = 16, output_channels: int = 128,
                 encoder_channels: Sequence[Sequence[int]] = (
                     (16, ), (32, 32, 32), (64, 64, 64), (64, 64, 64)),
                 encoder_paddings: Sequence[Sequence] = (
                     (1, ), (1, 1, 1), (1, 1, 1), ((0, 1, 1), 1, 1)),
                 block_type: str = 'conv_module',
                 return_middle_feats: bool = False) -> None:
        """Build mmdet3d's encoder and turn the last layer around."""
        super().__init__(in_channels, list(sparse_shape), tuple(order),
                         norm_cfg, base_channels, output_channels,
                         encoder_channels, encoder_paddings, block_type,
                         return_middle_feats)
        self.conv_out = make_sparse_convmodule(
            encoder_channels[-1][-1], output_channels, kernel_size=(1, 1, 3),
            stride=(1, 1, 2), norm_cfg=norm_cfg, padding=0,
            indice_key='spconv_down2', conv_type='SparseConv3d')

    def forward(self, voxel_features: Tensor, coors: Tensor,
                batch_size: int) -> Tensor | tuple[Tensor, list]:
        """Return the BEV map."""
        if voxel_features.is_cuda:
            return self._encode(voxel_features, coors, batch_size)
        patch_spconv_cpu()
        if self.return_middle_feats:
            with _one_thread():
                return self._encode(voxel_features, coors, batch_size)
        return _OneThread.apply(
            lambda features: self._encode(features, coors, batch_size),
            voxel_features, *self.parameters())

    def _encode(self, voxel_features: Tensor, coors: Tensor,
                batch_size: int) -> Tensor | tuple[Tensor, list]:
        with torch.autocast(voxel_features.device.type, enabled=False):
            x = self.conv_input(SparseConvTensor(
                voxel_features.float(), coors.int(), self.sparse_shape,
                batch_size))
            stages = []
            for stage in self.encoder_layers:
                x = stage(x)
                stages.append(x)
            bev = self.conv_out(x).dense()  # B C X Y Z
        bev = bev.permute(0, 1, 4, 2, 3).flatten(1, 2).contiguous()
        return (bev, stages) if self.return_middle_feats else bev


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _OneThread(torch.autograd.Function):
    """Run a function of (features, parameters) and its backward in one thread.

    The graph within is kept apart and walked by a nested backward pass; the
    parameters are inputs, so that their gradients leave by the outer graph
    (as DistributedDataParallel expects).
    """

    @staticmethod
    def forward(ctx: Any, function: Callable[[Tensor], Tensor], features: Tensor,
                *parameters: Tensor) -> Tensor:
        inner = features.detach().requires_grad_(features.requires_grad)
        grad = any(ctx.needs_input_grad)
        with _one_thread(), torch.set_grad_enabled(grad):
            output = function(inner)
        if grad:
            ctx.inner = inner, parameters, output
        return output.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        features, parameters, output = ctx.inner
        inputs = [tensor if needed else None for tensor, needed in zip(
            (features, *parameters), ctx.needs_input_grad[1:])]
        with _one_thread():
            grads = iter(torch.autograd.grad(
                output, [x for x in inputs if x is not None], grad_output,
                allow_unused=True))
        return None, *(None if x is None else next(grads) for x in inputs)
