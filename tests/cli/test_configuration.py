import re
import sys
from types import ModuleType

import pytest
from mmengine.config import Config

from ddp_perception.cli import configuration, missing_data
from ddp_perception.cli.errors import UserError
from ddp_perception.datasets import KITTIDepthDataset
from ddp_perception.datasets.missing_list import ADVICE, Advice
from tests.datasets.tiny_kitti import write_tiny_kitti


def test_data_root_is_replaced_everywhere():
    cfg = Config({
        'data_root': 'data/nuscenes/',
        'other': 'data/nuscenes_extra/x.pkl',
        'train_dataloader': {'dataset': {'type': 'CBGSDataset', 'dataset': {
            'data_root': 'data/nuscenes/', 'ann_file': 'a.pkl',
            'pipeline': [{'type': 'T', 'map_root': 'data/nuscenes/maps'}]}}},
        'val_evaluator': {'ann_file': 'data/nuscenes/b.pkl'},
        'model': {'files': ('data/nuscenes', 'elsewhere/data/nuscenes/c')}})
    configuration.set_data_root(cfg, '/new/place/')
    assert cfg.data_root == '/new/place/'
    inner = cfg.train_dataloader.dataset.dataset
    assert inner.data_root == '/new/place/' and inner.ann_file == 'a.pkl'
    assert inner.pipeline[0].map_root == '/new/place/maps'
    assert cfg.val_evaluator.ann_file == '/new/place/b.pkl'
    assert tuple(cfg.model.files) == ('/new/place', 'elsewhere/data/nuscenes/c')
    assert cfg.other == 'data/nuscenes_extra/x.pkl'


def test_data_root_of_the_current_folder_moves_no_other_text():
    cfg = Config({'data_root': './', 'model': {'file': './weights.pth'}})
    configuration.set_data_root(cfg, '/new')
    assert cfg.data_root == '/new/' and cfg.model.file == './weights.pth'


def test_info_files_are_looked_for_inside_wrappers(tmp_path):
    cfg = Config({'train_dataloader': {'dataset': {
        'type': 'RepeatDataset', 'times': 2, 'dataset': {
            'data_root': str(tmp_path), 'ann_file': 'infos.pkl'}}}})
    with pytest.raises(UserError, match='infos.pkl of train_dataloader'):
        missing_data.require_info_files(cfg, ['train_dataloader'])
    (tmp_path / 'infos.pkl').touch()
    missing_data.require_info_files(cfg, ['train_dataloader', 'val_dataloader'])


def test_missing_objects_to_paste_are_named_before_anything_is_built(
        tmp_path, repository_dir):
    cfg = configuration.load_config(
        repository_dir / 'projects/map_head_for_your_detector/configs'
        / 'centerpoint-pillar_map.py', data_root=tmp_path)
    for split in ('train', 'val'):  # all that `prepare` writes
        (tmp_path / f'nuscenes_infos_{split}.pkl').touch()
    with pytest.raises(UserError, match=(
            f'{tmp_path}/nuscenes_dbinfos_train.pkl that ObjectSample of '
            "train_dataloader .*\n.*create_data.py.*\n.*!= 'ObjectSample'")):
        missing_data.require_info_files(cfg, ['train_dataloader', 'val_dataloader'])
    (tmp_path / 'nuscenes_dbinfos_train.pkl').touch()
    missing_data.require_info_files(cfg, ['train_dataloader', 'val_dataloader'])


@pytest.mark.parametrize('name, added', [
    ('tensorboard', {'type': 'TensorboardVisBackend'}),
    ('wandb', {'type': 'WandbVisBackend', 'init_kwargs': {'name': 'mine'}})])
def test_trackers_are_added_once_and_keep_other_backends(monkeypatch, name, added):
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    cfg = Config({'work_dir': 'runs/mine', 'visualizer': {
        'type': 'Det3DLocalVisualizer',
        'vis_backends': [{'type': 'LocalVisBackend'}]}})
    configuration.use_tracker(cfg, name)
    configuration.use_tracker(cfg, name)
    assert cfg.visualizer.vis_backends == [{'type': 'LocalVisBackend'}, added]
    assert cfg.visualizer.type == 'Det3DLocalVisualizer'


def test_resumable_configuration_keeps_other_hooks_and_settings():
    cfg = Config({'custom_hooks': [{'type': 'EMAHook'}], 'default_hooks': {
        'timer': None, 'checkpoint': {'type': 'CheckpointHook', 'interval': 3}}})
    configuration.make_resumable(cfg)
    configuration.make_resumable(cfg)
    assert [hook.type for hook in cfg.custom_hooks] == [
        'EMAHook', 'ddp.IterationSeedHook', 'ddp.MissedValidationHook']
    assert cfg.default_hooks == {
        'timer': None, 'checkpoint': {'type': 'ddp.CheckpointHook', 'interval': 3}}


@pytest.mark.parametrize('stated, used', [
    ({}, {'type': 'ddp.CheckpointHook'}), ({'checkpoint': None}, None),
    ({'checkpoint': {'type': 'mine.CheckpointHook'}}, {'type': 'mine.CheckpointHook'})])
def test_resumable_configuration_replaces_mmengines_checkpoints_alone(stated, used):
    cfg = Config({'default_hooks': stated})
    configuration.make_resumable(cfg)
    assert cfg.default_hooks.checkpoint == used


def test_sampling_options_reach_diffusion_heads_only():
    cfg = Config({'model': {'seg_head': {
        'type': 'ddp.MapSegHead', 'sampler': {'num_steps': 3, 'average': 'all'}}}})
    configuration.set_sampling(cfg, dict(num_steps=7), seed=2)
    assert dict(cfg.model.seg_head.sampler) == {
        'num_steps': 7, 'average': 'all', 'seed': 2}
    for change, message in (
            (dict(num_seeds=0),
             '--num-seeds: num_seeds must be a whole number of at least 1, got 0'),
            (dict(until_stable=2.), '--until-stable: .* 0 to 1, got 2'),
            (dict(time_budget=0.), '--time-budget: .* more than 0 seconds, got 0'),
            (dict(uncertainty='entrpy'), "--uncertainty: .*'changes'.* got 'entrpy'")):
        with pytest.raises(UserError, match=message):
            configuration.set_sampling(cfg, change)
    cfg.model.seg_head.type = 'ddp.ConvMapHead'
    configuration.set_sampling(cfg, {}, seed=2)
    with pytest.raises(UserError, match='ConvMapHead'):
        configuration.set_sampling(cfg, dict(num_steps=2))


def test_broken_configuration_is_named(tmp_path):
    path = tmp_path / 'broken.py'
    path.write_text('model = dict(\n')
    with pytest.raises(UserError, match='broken.py cannot be read.*Syntax'):
        configuration.load_config(path)
    path = tmp_path / 'epoch_1.pth'
    path.touch()
    with pytest.raises(UserError, match='order is CONFIG CHECKPOINT'):
        configuration.load_config(path)
    with pytest.raises(UserError, match='that folder has .*broken.py'):
        configuration.load_config(tmp_path / 'brokn.py')


@pytest.mark.parametrize('head', ['ddp.SegHead', 'ddp.DepthHead'])
@pytest.mark.parametrize('augmented', [True, False])
def test_sampling_of_dense_heads_changes(head, augmented):
    model = dict(decode_head=dict(type=head, sampler=dict(average='all')))
    cfg = Config(dict(model=dict(module=model) if augmented else model))
    configuration.set_sampling(cfg, dict(num_steps=7, num_seeds=2), seed=3)
    changed = (cfg.model.module if augmented else cfg.model).decode_head.sampler
    assert changed == dict(average='all', num_steps=7, num_seeds=2, seed=3)
    other = Config(dict(model=dict(decode_head=dict(type='mmseg.FCNHead'))))
    with pytest.raises(UserError, match='FCNHead'):
        configuration.set_sampling(other, dict(num_steps=7))


@pytest.mark.parametrize('dataset, fragments', [
    (dict(type='ddp.KITTIDepthDataset', ann_file='eigen.txt'),
     ['split file ROOT/eigen.txt', 'prepare kitti ROOT', 'synthesize kitti ROOT']),
    (dict(type='CityscapesDataset', data_prefix=dict(img_path='leftImg8bit/val')),
     ['image folder ROOT/leftImg8bit/val', 'prepare cityscapes ROOT',
      'synthesize cityscapes ROOT']),
    (dict(type='ddp.NuScenesMapDataset', ann_file='infos.pkl'),
     ['info file ROOT/infos.pkl', 'prepare nuscenes ROOT']),
    (dict(type='ddp.CamVidDataset', ann_file='val.txt'),
     ['list of images ROOT/val.txt', 'CamVid is read from ROOT as', '--data-root DIR']),
])
def test_missing_data_names_the_commands_of_that_data_set(tmp_path, dataset,
                                                          fragments):
    cfg = Config({'val_dataloader': {'dataset': {
        'data_root': str(tmp_path), **dataset}}})
    with pytest.raises(UserError) as caught:
        missing_data.require_info_files(cfg, ['val_dataloader'])
    for fragment in fragments:
        assert fragment.replace('ROOT', str(tmp_path)) in str(caught.value)
    if 'ann_file' in dataset:
        (tmp_path / dataset['ann_file']).touch()
    else:
        (tmp_path / 'leftImg8bit' / 'val').mkdir(parents=True)
    missing_data.require_info_files(cfg, ['val_dataloader'])


def test_an_unknown_data_set_is_told_its_own_file_and_of_no_other(tmp_path):
    cfg = Config({'val_dataloader': {'dataset': {
        'type': 'MoonDataset', 'data_root': str(tmp_path), 'ann_file': 'moon.txt'}}})
    with pytest.raises(UserError) as caught:
        missing_data.require_info_files(cfg, ['val_dataloader'])
    message = str(caught.value).lower()
    assert f'the file {tmp_path}/moon.txt of val_dataloader is missing' in message
    assert '--data-root' in message
    assert not [name for name in ('nuscenes', 'kitti', 'cityscapes', 'synthesize')
                if name in message]


def test_a_data_set_that_no_command_writes_is_told_of_none(tmp_path):
    cfg = Config({'val_dataloader': {'dataset': {
        'type': 'ddp.CamVidDataset', 'data_root': str(tmp_path), 'ann_file': 'v.txt'}}})
    with pytest.raises(UserError) as caught:
        missing_data.require_info_files(cfg, ['val_dataloader'])
    assert 'ddp-perception' not in str(caught.value)


def test_a_data_set_from_outside_inherits_or_registers_advice(tmp_path, monkeypatch):
    monkeypatch.setitem(ADVICE, 'MoonDataset',
                        Advice('chart', 'moon', 'Land in {root}'))

    class OwnDepth(KITTIDepthDataset):
        pass

    for kind, fragment in ((OwnDepth, 'prepare kitti'), ('MoonDataset', 'Land in ')):
        cfg = Config({'val_dataloader': {'dataset': {
            'type': kind, 'data_root': str(tmp_path), 'ann_file': 'list.txt'}}})
        with pytest.raises(UserError, match=f'{fragment}.*{tmp_path.name}'):
            missing_data.require_info_files(cfg, ['val_dataloader'])


@pytest.mark.parametrize('loaders', [['train_dataloader', 'val_dataloader'],
                                     ['test_dataloader']])
def test_the_hint_for_missing_kitti_lists_leads_past_the_check(
        tmp_path, run, loaders):
    config = tmp_path / 'config.py'
    root = write_tiny_kitti(tmp_path / 'kitti')
    dataset = f"dict(type='ddp.KITTIDepthDataset', data_root='{root}', ann_file="
    config.write_text(
        f"train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2,\n"
        f"    dataset={dataset}'kitti_eigen_train.txt')))\n"
        f"val_dataloader = dict(dataset={dataset}'kitti_eigen_test.txt'))\n"
        'test_dataloader = val_dataloader\n')
    with pytest.raises(UserError) as caught:
        missing_data.require_info_files(configuration.load_config(config), loaders)
    message = str(caught.value)
    command = re.search(r'ddp-perception (prepare .*)', message)[1]
    options = re.search(r'--cfg-options (.*)', message)[1].split()
    run(*command.split())
    cfg = configuration.load_config(config, options)
    missing_data.require_info_files(cfg, loaders)
    files = [configuration.innermost_dataset(cfg[f'{stage}_dataloader'].dataset)
             for stage in ('train', 'val', 'test')]
    assert [dataset.ann_file for dataset in files] == [
        'kitti_train.txt', 'kitti_val.txt', 'kitti_val.txt']
    with pytest.raises(UserError) as caught:  # they are written: use them
        missing_data.require_info_files(configuration.load_config(config), loaders)
    assert ' '.join(options) in str(caught.value)
    assert 'prepare' not in str(caught.value)
    (root / 'kitti_val.txt').unlink()  # configured already: no options
    with pytest.raises(UserError, match='--write-splits\n  Data elsewhere'):
        missing_data.require_info_files(cfg, [loaders[-1]])


def test_data_sets_of_others_without_a_list_pass(tmp_path):
    cfg = Config({'val_dataloader': {'dataset': {
        'type': 'ADE20KDataset', 'data_root': str(tmp_path)}}})
    missing_data.require_info_files(cfg, ['val_dataloader'])


def test_a_data_root_named_like_a_type_leaves_the_type_alone():
    cfg = Config({'optimizer': {'type': 'Adam'}, 'data': {
        'data_root': 'Adam', 'file': 'Adam/a.json'}})
    configuration.set_data_root(cfg, 'tiny')
    assert cfg.optimizer.type == 'Adam'
    assert cfg.data.to_dict() == {'data_root': 'tiny', 'file': 'tiny/a.json'}
