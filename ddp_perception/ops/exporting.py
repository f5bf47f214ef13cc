"""Whether a graph is being made that leaves PyTorch."""
import torch


def is_exporting() -> bool:
    """Whether the code is being turned into a graph that leaves PyTorch."""
    return torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()
