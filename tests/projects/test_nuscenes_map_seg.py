"""The shipped configurations: they build, and the full-size ones run."""
import json
from pathlib import Path

import pytest
import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

from ddp_perception.registry import DATASETS, MODELS, TRANSFORMS

CONFIGS = Path(__file__).resolve().parents[2] / 'projects/nuscenes_map_seg/configs'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.py'))
CAM, FUSION = (f'ddp_{name}_3step_8xb4-20e_nus-map' for name in ('cam', 'fusion'))


def build(name, **changes):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    init_default_scope('mmdet3d')
    cfg.merge_from_dict(changes)
    torch.manual_seed(0)
    return MODELS.build(cfg.model), cfg


def frames(cfg, count, seed=0):
    """Random frames of the size that a configuration works on."""
    draw = torch.Generator().manual_seed(seed)
    yaws = torch.tensor([0., -55, 55, 180, 110, -110]).deg2rad()
    sin, cos = yaws.sin(), yaws.cos()
    zero, one = torch.zeros(6), torch.ones(6)
    # Columns: right, down and forward of a camera that looks along its yaw.
    cam2lidar = torch.eye(4).repeat(6, 1, 1)
    cam2lidar[:, :3, :3] = torch.stack([
        torch.stack([cos, zero, -sin], 1), torch.stack([sin, zero, cos], 1),
        torch.stack([zero, -one, zero], 1)], 1)
    cam2img = torch.eye(4).repeat(6, 1, 1)
    height, width = cfg.final_dim
    cam2img[:, 0, 0] = cam2img[:, 1, 1] = 0.8 * width
    cam2img[:, 0, 2], cam2img[:, 1, 2] = width / 2, height / 2
    samples = []
    for index in range(count):
        sample = Det3DDataSample(metainfo=dict(
            token=f'frame{index}', cam2img=cam2img.numpy(),
            cam2lidar=cam2lidar.numpy(),
            lidar2img=(cam2img @ cam2lidar.inverse()).numpy(),
            img_aug_matrix=torch.eye(4).repeat(6, 1, 1).numpy(),
            lidar_aug_matrix=torch.eye(4).numpy()))
        masks = torch.rand(6, 200, 200, generator=draw) > 0.7
        sample.gt_map_seg = PixelData(data=masks.to(torch.uint8))
        samples.append(sample)
    spread = torch.tensor([40., 40, 1.5, 100, 0.2])
    inputs = dict(imgs=torch.randn(count, 6, 3, height, width, generator=draw),
                  points=[torch.randn(4000, 5, generator=draw) * spread / 2
                          for _ in range(count)])
    return inputs, samples


@pytest.mark.parametrize('name', NAMES)
def test_configuration_builds(name):
    model, cfg = build(name)
    assert model.seg_head.classes == tuple(cfg.map_classes)
    assert model.seg_head.output_grid.shape == (200, 200)
    for pipeline in (cfg.train_pipeline, cfg.test_pipeline):
        for step in pipeline:
            TRANSFORMS.build(step)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        dataset = loader.dataset.get('dataset', loader.dataset)
        assert DATASETS.get(dataset.type) is not None
        uses = dataset.modality if 'modality' in dataset else dict(
            use_camera=True, use_lidar=True)
        assert uses == dict(use_camera=model.with_camera, use_lidar=model.with_lidar)
        kinds = [step['type'] for step in dataset.pipeline]
        assert ('ddp.LoadMultiViewImages' in kinds) == model.with_camera
        assert ('ddp.LoadPoints' in kinds) == model.with_lidar


def test_the_whole_learning_rate_curve_scales():
    """With the total batch size: --auto-scale-lr changes the initial rate alone."""
    whole, eighth = learning_rates(1), learning_rates(1 / 8)
    assert whole[0] == 5e-5 and whole[-1] < 1e-5
    assert max(whole) == whole[8] == pytest.approx(5e-4, rel=0.05)
    assert eighth == pytest.approx([rate / 8 for rate in whole])


def learning_rates(factor):
    """Rate of each epoch, and after the last one."""
    from mmengine.registry import PARAM_SCHEDULERS
    cfg = Config.fromfile(CONFIGS / f'{FUSION}.py')
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))],
                                lr=cfg.lr * factor)
    schedules = [PARAM_SCHEDULERS.build(dict(
        schedule, optimizer=optimizer, convert_to_iter_based=False))
        for schedule in cfg.param_scheduler if schedule['type'].endswith('LR')]
    rates = [optimizer.param_groups[0]['lr']]
    for _ in range(cfg.train_cfg.max_epochs):
        optimizer.step()
        for schedule in schedules:
            schedule.step()
        rates.append(optimizer.param_groups[0]['lr'])
    return rates


@pytest.mark.parametrize('base', [CAM, FUSION])
def test_aligned_configuration_goes_on_from_the_trained_model(base):
    model, cfg = build(base.replace('20e', '2e') + '_aligned')
    trained = Config.fromfile(CONFIGS / f'{base}.py')
    assert cfg.load_from == f'work_dirs/{base}/epoch_{trained.train_cfg.max_epochs}.pth'
    assert model.seg_head.diffusion.training_maps.self_aligned == 1
    ends = {schedule['end'] for schedule in cfg.param_scheduler if schedule['by_epoch']}
    assert ends == {cfg.train_cfg.max_epochs} == {2}
    assert cfg.optim_wrapper.type == trained.optim_wrapper.type


@pytest.mark.parametrize('name', ['camera', 'fusion'])
def test_released_model_has_as_many_parameters_as_published(reference_dir, name):
    content = json.loads(
        (reference_dir / f'official_keys_bev_{name}.json').read_text())
    published, shapes = content['meta'], content['state_dict']
    model, _ = build(f'ddp_{"cam" if name == "camera" else name}_released_nus-map')
    frozen = sum(torch.Size(shapes[key]).numel()
                 for key in published['non_trainable_parameters'])
    ours = sum(parameter.numel() for parameter in model.parameters())
    # The published layers ignore the time, so ours have no time embedding.
    assert ours == (published['n_parameters_including_frozen_geometry'] - frozen
                    - published['parameters']['time_mlp'])


@pytest.mark.slow
@pytest.mark.parametrize('name', [CAM, FUSION])
@torch.no_grad()
def test_full_size_batch_of_two_equals_two_of_one(name):
    model, cfg = build(name)
    model.eval()
    inputs, samples = frames(cfg, 2)
    together = [sample.pred_map_seg.data for sample in model.predict(inputs, samples)]
    for index in range(2):
        one = slice(index, index + 1)
        alone = model.predict({key: value[one] for key, value in inputs.items()},
                              samples[one])[0].pred_map_seg.data
        assert alone.shape == (6, 200, 200)
        torch.testing.assert_close(together[index], alone, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_full_size_camera_model_trains_one_step():
    model, cfg = build(CAM)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    losses = model.loss(*frames(cfg, 1))
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(total)
    assert [name for name, parameter in model.named_parameters()
            if parameter.requires_grad and parameter.grad is None] == []
    before = model.seg_head.diffusion.codec.table.weight.clone()
    optimizer.step()
    assert not torch.equal(before, model.seg_head.diffusion.codec.table.weight)
