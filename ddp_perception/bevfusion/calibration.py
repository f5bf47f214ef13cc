"""Calibration matrices of a batch, collected from its samples' metainfo."""
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_IDENTITY_WHEN_ABSENT = ('img_aug_matrix', 'lidar_aug_matrix')


def sample_name(meta: dict, index: int) -> str:
    """Name a sample in an error message: place in the batch, token, file."""
    known = [f'{key} {meta[key]}' for key in ('token', 'sample_idx', 'lidar_path')
             if meta.get(key) is not None]
    return f'sample {index} of the batch ({", ".join(known) or "unnamed"})'


def stack_matrices(metas: Sequence[dict], key: str,
                   cameras: int | None = None) -> Tensor:
    """Stack a matrix of every sample.

    Args:
        metas: metainfo of each sample.
        key: metainfo key; missing augmentation matrices are the identity.
        cameras: N where there is one matrix per camera, None for a single one.

    Returns:
        (B, N, 4, 4) or (B, 4, 4), float64 on CPU.

    Raises:
        KeyError: a sample has no such matrix.
        ValueError: a matrix has another shape or is not finite.
    """
    shape = (4, 4) if cameras is None else (cameras, 4, 4)
    stacked = []
    for index, meta in enumerate(metas):
        value = meta.get(key)
        if value is None:
            if key not in _IDENTITY_WHEN_ABSENT:
                raise KeyError(f'{sample_name(meta, index)} has no calibration '
                               f"'{key}' in its metainfo; add it to meta_keys "
                               'of the packing transform')
            value = np.broadcast_to(np.eye(4), shape)
        matrix = np.array(value, dtype=np.float64)  # of tensors and lists, too
        if matrix.shape != shape:
            raise ValueError(f"'{key}' of {sample_name(meta, index)} must have "
                             f'shape {shape}, got {matrix.shape}')
        if not np.isfinite(matrix).all():
            raise ValueError(f"'{key}' of {sample_name(meta, index)} is not "
                             f'finite: {matrix.tolist()}')
        stacked.append(torch.from_numpy(matrix))
    return torch.stack(stacked)
