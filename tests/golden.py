"""Read golden numbers."""
import json
from pathlib import Path

import numpy as np
import torch

DATA = Path(__file__).parent / 'data'


class Golden(dict):
    """Arrays of one file as tensors, and its ``meta``."""

    def __init__(self, path):
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
        self.meta = json.loads(str(arrays.pop('meta', '{}')))
        super().__init__((name, torch.from_numpy(np.array(array)))
                         for name, array in arrays.items())

    def under(self, prefix):
        """Entries whose names start with a prefix, without it."""
        return {name[len(prefix):]: value for name, value in self.items()
                if name.startswith(prefix)}


def load(name, folder=DATA):
    """Load ``<name>.npz`` of a folder, ``tests/data`` by default."""
    return Golden(Path(folder) / f'{name}.npz')
