"""Convolution, batch norm, ReLU."""
from __future__ import annotations

from torch import nn


def conv_norm_relu(in_channels: int, out_channels: int, kernel: int = 3,
                   stride: int = 1, bias: bool = False) -> list[nn.Module]:
    """Return the three layers, to be part of a ``nn.Sequential``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: odd; the input is padded so that stride 1 keeps its size.
        stride: stride of the convolution.
        bias: whether the convolution has one; released checkpoints may.
    """
    return [nn.Conv2d(in_channels, out_channels, kernel, stride=stride,
                      padding=kernel // 2, bias=bias),
            nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
