from pathlib import Path

import pytest
import torch

from ddp_perception.apis import init_model
from ddp_perception.cli.main import main

PROJECTS = Path(__file__).resolve().parents[2] / 'projects'
MAP = PROJECTS / 'nuscenes_map_seg/configs/demo_fusion_cpu.py'
OWN = PROJECTS / 'own_data/configs/four_cameras_lidar_cpu.py'


@pytest.fixture
def save_weights(tmp_path):
    """Save the random weights of a configuration's model and return the file."""

    def save(config, name='random'):
        torch.manual_seed(0)
        model = init_model(config, device='cpu')
        for parameter in model.parameters():  # predictions that differ by the cell
            if parameter.dim() > 1:
                torch.nn.init.kaiming_normal_(parameter)
        path = tmp_path / f'{name}.pth'
        torch.save({'state_dict': model.state_dict()}, path)
        return path

    return save


@pytest.fixture
def predict(tmp_path):
    """Run ``ddp-perception predict`` and return the folder that it writes."""

    def command(config, checkpoint, place, *further):
        out = tmp_path / 'by command'
        assert main(['predict', str(config), str(checkpoint), str(place), '--out',
                     str(out), '--device', 'cpu', *map(str, further)]) == 0
        return out

    return command
