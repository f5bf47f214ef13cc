"""The trial of a model's compiled operators before training."""
from pathlib import Path

import mmcv.ops.voxelize
import pytest
import torch
from mmcv import ops
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from ddp_perception.cli import operators
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.main import main
from ddp_perception.registry import MODELS

PROJECTS = Path(__file__).resolve().parents[2] / 'projects'
CUDA = torch.device('cuda', 0)


class _Model(nn.Module):

    def __init__(self, *layers):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.layers = nn.ModuleList(layers)


def _voxelization():
    return ops.Voxelization([1., 1., 1.], [0., 0., 0., 4., 4., 4.], 3, 5)


def _pretend_build(monkeypatch, version):
    monkeypatch.setattr(ops, 'get_compiling_cuda_version', lambda: version)


@pytest.mark.parametrize('name, expected', [
    ('ddp_cam_3step_8xb4-20e_nus-map', set()),
    ('ddp_fusion_3step_8xb4-20e_nus-map', {'Voxelization', 'SparseConvolution'}),
    ('demo_fusion_cpu', {'Voxelization'}),
    ('bevfusion-lidar_map', {'Voxelization', 'SparseConvolution', 'nms_rotated'}),
    ('centerpoint-pillar_map', {'VoxelizationByGridShape', 'nms_rotated'}),
    ('centerpoint-voxel_map', {'VoxelizationByGridShape', 'SparseConvolution',
                               'nms_rotated'}),
    ('pointpillars-fpn_map', {'VoxelizationByGridShape', 'nms_rotated'}),
    ('demo_cityscapes_cpu', set()),
])
def test_operators_of_a_configuration_are_found_and_run_on_a_cpu(name, expected):
    if 'SparseConvolution' in expected:
        pytest.importorskip('spconv')  # mmcv's run on GPUs alone
    path, = PROJECTS.glob(f'*/configs/{name}.py')
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    found = operators._operators(model)
    assert {operator.rsplit('.', 1)[1] for operator in found} == expected
    operators.require_operators(model)


@pytest.mark.parametrize('layer, operator', [
    (lambda: ops.DeformConv2dPack(2, 2, 3), 'deform_conv.DeformConv2d'),
    (lambda: ops.ModulatedDeformConv2dPack(2, 2, 3),
     'modulated_deform_conv.ModulatedDeformConv2d'),
    (lambda: ops.MultiScaleDeformableAttention(32, 4),
     'multi_scale_deform_attn.MultiScaleDeformableAttention'),
    (lambda: ops.RoIAlign(3), 'roi_align.RoIAlign'),
    (lambda: ops.CornerPool('top'), None),  # written in torch
])
def test_layers_of_mmcv_are_found_and_refused_where_it_was_built_without_cuda(
        layer, operator, monkeypatch):
    model = _Model(layer(), nn.Conv2d(1, 1, 1))
    assert list(operators._operators(model)) == (
        [f'mmcv.ops.{operator}'] if operator else [])
    operators.require_operators(model)
    _pretend_build(monkeypatch, 'not available')
    if operator is None:
        operators.require_operators(model, CUDA)
        return
    with pytest.raises(UserError) as error:
        operators.require_operators(model, CUDA)
    for part in (operator, 'cuda:0', 'mmcv was built without CUDA',
                 'FORCE_CUDA=1 make env'):
        assert part in str(error.value)
    assert 'pip uninstall spconv' not in str(error.value)


def test_spconv_for_cpus_is_refused_on_a_gpu_with_both_commands():
    spconv = pytest.importorskip('spconv.pytorch')
    from spconv.cppconstants import CPU_ONLY_BUILD
    if not CPU_ONLY_BUILD:
        pytest.skip('spconv was built for GPUs')
    model = _Model(spconv.SubMConv3d(2, 2, 3))
    with pytest.raises(UserError) as error:
        operators.require_operators(model, CUDA)
    for part in ('spconv.pytorch.conv.SparseConvolution', 'cuda:0',
                 'pip uninstall spconv', 'FORCE_CUDA=1 make env'):
        assert part in str(error.value)


@pytest.mark.parametrize('message', [
    'hard_voxelize_forward_impl: implementation for device cuda:0 not found.\n',
    'hard_voxelize is not compiled with GPU support',
    'CUDA error: no kernel image is available for execution on the device\nmore',
])
def test_operator_that_fails_on_its_input_is_refused(message, monkeypatch):
    """As on a GPU for which an operator, or its kernels, were left out."""
    class Broken:

        @staticmethod
        def hard_voxelize_forward(*args, **settings):
            raise RuntimeError(message)

    monkeypatch.setattr(mmcv.ops.voxelize, 'ext_module', Broken)
    _pretend_build(monkeypatch, '13.0')
    with monkeypatch.context() as patch:  # the tiny input stays on the CPU
        patch.setattr(torch.Tensor, 'to', lambda tensor, *args: tensor)
        with pytest.raises(UserError) as error:
            operators.require_operators(_Model(_voxelization()), CUDA)
    for part in ('mmcv.ops.voxelize.Voxelization', 'cuda:0',
                 message.splitlines()[0], 'FORCE_CUDA=1 make env'):
        assert part in str(error.value)


def test_operator_without_a_kernel_for_cpus_says_so():
    scatter = ops.DynamicScatter([1., 1., 1.], [0., 0., 0., 4., 4., 4.], True)
    with pytest.raises(UserError, match='no kernel for CPUs') as error:
        operators.require_operators(_Model(scatter))
    assert 'mmcv.ops.scatter_points.DynamicScatter' in str(error.value)
    assert 'make env' not in str(error.value)
    with pytest.raises(UserError, match='pip install spconv'):
        operators.require_operators(_Model(ops.SubMConv3d(2, 2, 3)))


def test_circle_nms_asks_nothing_of_mmcv(monkeypatch):
    def no_kernel(*args):
        raise RuntimeError('nms_rotated_impl: implementation for device cpu not found')

    monkeypatch.setattr(ops, 'nms_rotated', no_kernel)
    path, = PROJECTS.glob('*/configs/centerpoint-pillar_map.py')
    cfg = Config.fromfile(path)
    init_default_scope('mmdet3d')
    model = MODELS.build(cfg.model)
    head, = (part for part in model.modules() if type(part).__name__ == 'CenterHead')
    head.test_cfg['nms_type'] = 'circle'
    operators.require_operators(model)
    head.test_cfg['nms_type'] = 'rotate'
    with pytest.raises(UserError, match='mmcv.ops.nms_rotated'):
        operators.require_operators(model)


@pytest.mark.parametrize('command', ['train', 'test'])
def test_commands_stop_before_the_first_batch(
        command, run, tiny_config, tiny_root, tmp_path, monkeypatch, capsys):
    work = ['--data-root', tiny_root, '--work-dir', tmp_path / 'work']
    weights = []
    if command == 'test':
        run('train', tiny_config, *work)
        weights = [tmp_path / 'work' / 'epoch_4.pth']
    before = sorted((tmp_path / 'work').glob('*.pth'))

    def broken(module, device):
        raise RuntimeError('implementation for device cuda:0 not found.')

    monkeypatch.setattr(operators, '_operators', lambda model: {
        'mmcv.ops.voxelize.Voxelization': (model, broken)})
    arguments = [command, tiny_config, *weights, *work]
    assert main([str(argument) for argument in arguments]) == 2
    assert 'mmcv.ops.voxelize.Voxelization' in capsys.readouterr().err
    assert sorted((tmp_path / 'work').glob('*.pth')) == before
