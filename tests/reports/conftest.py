import json

import pytest

ENVIRONMENT = """\
2026/01/02 10:00:{second:02} - mmengine - INFO - Begin
------------------------------------------------------------
System environment:
    sys.platform: linux
    Python: 3.11.7 (main)
    CUDA available: True
    GPU 0: A <graphics> card
    PyTorch: 2.13.0
    PyTorch compiling details: PyTorch built with:
  - GCC 13.3

    MMEngine: 0.10.7

Runtime environment:
    seed: {second}
------------------------------------------------------------

2026/01/02 10:00:{second:02} - mmengine - INFO - Config:
model = dict(
    type='Model')
"""


def train_line(step, **values):
    return {'lr': 0.1 / step, 'loss': 1 / step, 'time': 0.5, 'iter': step,
            'step': step, **values}


class Folder:
    """A run's folder, written as mmengine writes it."""

    def __init__(self, root):
        self.root = root
        root.mkdir(parents=True)

    def start(self, second, scalars=None, log=''):
        """Add a start; scalars are objects, or text for a line as it is."""
        name = f'20260102_1000{second:02}'
        place = self.root / name
        (place / 'vis_data').mkdir(parents=True)
        (place / f'{name}.log').write_text(ENVIRONMENT.format(second=second) + log)
        (place / 'vis_data' / 'config.py').write_text("model = dict(type='Model')\n")
        if scalars is not None:
            (place / 'vis_data' / 'scalars.json').write_text('\n'.join(
                line if isinstance(line, str) else json.dumps(line)
                for line in scalars) + '\n')
        return place

    def json(self, name, content):
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / 'my run')
