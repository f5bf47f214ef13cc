"""In which mode torch runs the code, and whether Triton is there.

Older versions of torch say the former by other functions.
"""
import importlib.util

import torch


def is_compiling() -> bool:
    """Whether torch.compile or torch.export follows the code."""
    asked = getattr(torch.compiler, 'is_compiling', None)
    return asked() if asked is not None else torch._dynamo.is_compiling()


def is_exporting() -> bool:
    """Whether the code is being turned into a graph that leaves PyTorch."""
    asked = getattr(torch.compiler, 'is_exporting', None)
    return (asked is not None and asked()) or torch.onnx.is_in_onnx_export()


def cpu_autocast() -> torch.dtype | None:
    """Return the type that autocast rounds to on the CPU, None where it is off."""
    if hasattr(torch, 'get_autocast_dtype'):
        return torch.get_autocast_dtype('cpu') if torch.is_autocast_enabled('cpu') \
            else None
    return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None


def has_triton() -> bool:
    """Whether the package ``triton`` is installed."""
    return importlib.util.find_spec('triton') is not None


def require_triton(what: str) -> None:
    """Refuse a way of that name where the package is missing.

    Raises:
        ModuleNotFoundError: says how to install it.
    """
    if not has_triton():
        raise ModuleNotFoundError(f"the {what} 'triton' needs the package triton: "
                                  'pip install triton')
