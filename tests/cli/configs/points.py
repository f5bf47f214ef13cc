custom_imports = dict(imports=['ddp_perception', 'tests.cli.tiny'],
                      allow_failed_imports=False)
default_scope = 'mmdet3d'
classes = ('drivable_area', 'ped_crossing', 'walkway', 'stop_line',
           'carpark_area', 'divider')
model = dict(
    type='mmengine.PointCountModel', classes=classes,
    grid=[[-20, 20, 1], [-30, 30, 2]],
    data_preprocessor=dict(type='Det3DDataPreprocessor'))
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ddp.NuScenesMapDataset', data_root='data/nuscenes/',
        ann_file='nuscenes_infos_val.pkl', test_mode=True,
        pipeline=[dict(type='ddp.LoadMultiViewImages'),
                  dict(type='ddp.LoadPoints', load_dim=5, use_dim=5),
                  dict(type='ddp.LoadMapMasks'),
                  dict(type='ddp.PackMapInputs')]))
