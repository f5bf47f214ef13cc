"""What kernels in Triton share; the modules of that name say how they are tested."""
import triton
from torch import Tensor


def require_cuda(what: str, tensor: Tensor) -> None:
    """Refuse tensors that no kernel can read.

    Raises:
        ValueError: the tensor is on no CUDA device, and Triton does not interpret.
    """
    if tensor.device.type != 'cuda' and not triton.knobs.runtime.interpret:
        raise ValueError(f"the {what} 'triton' runs on CUDA devices, got tensors on "
                         f'{tensor.device}')


@triton.jit
def add(one, other):  # type: ignore
    """Sum by `tl.reduce`; `tl.sum` is interpreted only if it was when imported."""
    return one + other
