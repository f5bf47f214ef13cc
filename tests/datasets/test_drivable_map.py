"""Cities of drivable area and road sketches: read, written, refused."""
import zipfile

import numpy as np
import pytest

from ddp_perception.datasets import DrivableMapDataset
from ddp_perception.datasets.drivable_files import read_city, write_city
from ddp_perception.datasets.transforms import PackMapPrior
from ddp_perception.registry import DATASETS
from tests.datasets.tiny_drivable import offset_roads, write_cities

FRAMES = {'boston-seaport': (1440, 71), 'singapore-onenorth': (705, 35),
          'singapore-queenstown': (468, 23)}


@pytest.fixture
def root(tmp_path):
    return tmp_path / 'cities'


def content(count=3):
    """What a sound file holds, packed by NumPy alone."""
    drivable, roads = offset_roads(count)
    return dict(drivable=np.packbits(drivable.reshape(count, -1), axis=1),
                roads=np.packbits(roads.reshape(count, -1), axis=1),
                scene=np.array(['s'] * count), token=np.array(list('abcdef')[:count]))


def test_frames_of_several_cities_come_with_their_maps_and_names(root):
    maps = write_cities(root, near=3, far=2)
    dataset = DATASETS.build(dict(
        type='ddp.DrivableMapDataset', data_root=str(root), cities=['far', 'near'],
        pipeline=[dict(type='ddp.PackMapPrior')]))
    assert len(dataset) == 5
    for index, (city, row) in enumerate([('far', 0), ('far', 1), ('near', 0),
                                         ('near', 1), ('near', 2)]):
        drivable, roads = (part[row] for part in maps[city])
        packed = dataset[index]
        sample = packed['data_samples']
        np.testing.assert_array_equal(packed['inputs'].numpy(), roads)
        np.testing.assert_array_equal(sample.gt_map_seg.data.numpy(), drivable[None])
        assert str(packed['inputs'].dtype) == 'torch.uint8'
        assert sample.metainfo == dict(
            token=f'{city}{row}', scene_name=f'scene-{city}-{row // 2}',
            map_location=city)
    assert dataset.metainfo['map_classes'] == ('drivable_area',)


def test_a_file_stands_in_for_the_cities_and_a_subset_keeps_its_frames(root):
    maps = write_cities(root, near=3, far=2)
    dataset = DrivableMapDataset(
        root, ['far'], [PackMapPrior()], ann_file=str(root / 'near.npz'),
        indices=[2, 0])
    assert [dataset.get_data_info(i)['token'] for i in (0, 1)] == ['near2', 'near0']
    np.testing.assert_array_equal(dataset[0]['inputs'].numpy(), maps['near'][1][2])
    assert len(DrivableMapDataset(root, 'near', ann_file='far.npz')) == 2


def test_written_bits_are_what_numpy_unpacks(root):
    root.mkdir()
    drivable, roads = offset_roads(2)
    write_city(root / 'here.npz', drivable, roads, ['s', 's'], ['a', 'b'])
    with np.load(root / 'here.npz', allow_pickle=False) as file:
        assert file['drivable'].shape == (2, 5000)
        assert file['roads'].shape == (2, 15000)
        np.testing.assert_array_equal(
            np.unpackbits(file['roads'][1]).reshape(3, 200, 200), roads[1])
    sketch, truth = read_city(root / 'here.npz').maps(1)
    np.testing.assert_array_equal(sketch, roads[1])
    np.testing.assert_array_equal(truth, drivable[1:])


def test_a_sketch_may_have_other_channels(root):
    root.mkdir()
    drivable, roads = offset_roads(2)
    write_city(root / 'here.npz', drivable, roads[:, :2], ['s', 's'], ['a', 'b'])
    with pytest.raises(ValueError, match=r'here\.npz: roads must be uint8 of shape '
                       r'\(2, 15000\), got uint8 of shape \(2, 10000\)'):
        DrivableMapDataset(root, ['here'])
    dataset = DrivableMapDataset(root, ['here'], [PackMapPrior()],
                                 prior_classes=('a', 'b'),
                                 prior_palette=[(0, 0, 0), (9, 9, 9)])
    assert dataset[0]['inputs'].shape == (2, 200, 200)


@pytest.mark.parametrize('key, value, fragment', [
    ('drivable', None, r'has no drivable, expected uint8 of shape \(3, 5000\); it has '
                       'roads, scene, token'),
    ('token', None, r'has no token, expected text of shape \(n,\)'),
    ('drivable', np.zeros((3, 200, 200), np.uint8),
     r'drivable must be uint8 of shape \(3, 5000\), got uint8 .* \(3, 200, 200\)'),
    ('drivable', np.zeros((2, 5000), np.uint8), r'got uint8 of shape \(2, 5000\)'),
    ('roads', np.zeros((3, 15000), bool), r'roads must be uint8 .* got bool'),
    ('roads', np.zeros((3, 5000), np.uint8), r'\(3, 15000\), got .* \(3, 5000\)'),
    ('scene', np.zeros(3), r'scene must be text of shape \(3,\), got float64'),
    ('scene', np.array(['a', 'b']), r'scene must be text .* \(3,\), got .* \(2,\)'),
    ('token', np.array(['a', 'b', 'b']), r"different for every frame, got 'b' 2 times"),
    ('token', np.array('a'), r'token must be text of shape \(n,\), got .* \(\)'),
])
def test_wrong_content_is_named_with_file_and_key(root, key, value, fragment):
    root.mkdir()
    arrays = content()
    if value is None:
        del arrays[key]
    else:
        arrays[key] = value
    np.savez(root / 'here.npz', **arrays)
    with pytest.raises(ValueError, match=rf'here\.npz.*{fragment}'):
        DrivableMapDataset(root, ['here'])


def test_further_keys_of_a_file_are_left_alone(root):
    root.mkdir()
    np.savez(root / 'here.npz', **content(), path=np.array([{}], object), x=np.ones(3))
    assert len(DrivableMapDataset(root, ['here'])) == 3


def test_a_file_without_frames_is_refused(root):
    root.mkdir()
    np.savez(root / 'here.npz', **{key: array[:0] for key, array in content().items()})
    with pytest.raises(ValueError, match=r'here\.npz has no frame'):
        DrivableMapDataset(root, ['here'])


def test_nothing_is_unpickled(root):
    root.mkdir()
    np.savez(root / 'here.npz', **{**content(),
                                   'token': np.array(['a', None, {}], object)})
    with pytest.raises(ValueError, match=r'here\.npz cannot be read .*without pickles'):
        DrivableMapDataset(root, ['here'])


def test_damaged_and_vast_files_are_refused_with_their_name(root, monkeypatch):
    root.mkdir()
    np.savez_compressed(root / 'whole.npz', **content())
    whole = (root / 'whole.npz').read_bytes()
    damaged = dict(cut=whole[:len(whole) // 2], text=b'no archive', empty=b'',
                   bits=whole[:90] + b'x' * 60 + whole[150:])
    for name, damage in damaged.items():
        (root / f'{name}.npz').write_bytes(damage)
        with pytest.raises(ValueError, match=rf'{name}\.npz cannot be read'):
            read_city(root / f'{name}.npz')
    with zipfile.ZipFile(root / 'bomb.npz', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('drivable.npy', bytes(3_000_000))
    assert (root / 'bomb.npz').stat().st_size < 10_000
    monkeypatch.setenv('DDP_MAX_MEGABYTES', '2')
    with pytest.raises(ValueError, match=r'bomb\.npz unpacks to 3 MB, more than the 2'):
        read_city(root / 'bomb.npz')


def test_what_is_asked_for_is_checked(root):
    write_cities(root, near=2)
    with pytest.raises(FileNotFoundError, match=r'far\.npz is missing; .*near\.npz'):
        DrivableMapDataset(root, ['near', 'far'])
    with pytest.raises(ValueError, match='cities must name at least one'):
        DrivableMapDataset(root)
    with pytest.raises(ValueError, match=r"cities must differ, got \['near', 'near'\]"):
        DrivableMapDataset(root, ['near', 'near'])
    with pytest.raises(ValueError, match='must hold 2 colours.*got 3'):
        DrivableMapDataset(root, ['near'], prior_classes=('a', 'b'))
    (root / 'copy.npz').write_bytes((root / 'near.npz').read_bytes())
    with pytest.raises(ValueError, match=r"copy\.npz and .*near\.npz .*token 'near0'"):
        DrivableMapDataset(root, ['near', 'copy'])


def test_nothing_is_written_where_shapes_do_not_fit(root):
    drivable, roads = offset_roads(2)
    for changed, fragment in (
            ((drivable[:, :, :100], roads), r'drivable must be \(n, 200, 200\), got'),
            ((drivable, roads[:, 0]), r'roads must be \(n, channels, 200, 200\), got'),
            ((drivable[:1], roads), r'drivable must be uint8 of shape \(2, 5000\)')):
        with pytest.raises(ValueError, match=fragment):
            write_city(root / 'here.npz', *changed, ['s', 's'], ['a', 'b'])
    assert not root.exists()


@pytest.mark.parametrize('city', FRAMES)
def test_real_drivable_area_lies_along_its_roads_and_not_mirrored(real_dir, city):
    root = real_dir / 'nuscenes_drivable'
    if not root.is_dir():
        pytest.skip(f'no {root.name} among the real frames')
    dataset = DrivableMapDataset(root, [city], [PackMapPrior()])
    frames, scenes = FRAMES[city]
    assert len(dataset) == frames
    names = {dataset.get_data_info(index)['scene_name'] for index in range(frames)}
    assert len(names) == scenes
    hits = np.zeros(4)
    for packed in (dataset[index] for index in range(0, frames, 9)):
        roads = packed['inputs'].numpy().any(0)
        drivable = packed['data_samples'].gt_map_seg.data.numpy()[0]
        hits += [drivable[other].sum() for other in (
            roads, roads[::-1], roads[:, ::-1], roads.T)]
    # As it is, mirrored in x, mirrored in y, axes exchanged.
    assert hits[0] > 1.15 * hits[1:].max()
