import numpy as np
import pytest
import torch

from ddp_perception.study import DamagedFile, FeatureStore, OtherSettings, Results
from ddp_perception.study.features import Split
from ddp_perception.study.settings import differing, fingerprint_of_files
from tests.study.tiny import Samples, write_features


def test_features_come_back_as_they_were_encoded(tmp_path):
    split = write_features(tmp_path).split('train')
    assert len(split) == 40 and split.views == 2  # 20 samples, view after view
    feats, truth = split.batch([3, 25])
    for place, sample in enumerate((3, 5)):
        expected, labels = Samples(20)[sample]
        torch.testing.assert_close(feats[place], expected.half().float())
        assert torch.equal(truth[place].long(), labels)
    assert isinstance(split.features, np.memmap)


def test_each_view_is_augmented_by_random_numbers_of_its_own(tmp_path):
    def encode(sample):
        return sample[0] + torch.rand(()) + np.random.rand(), sample[1]

    def features(name, count):
        store = FeatureStore(tmp_path / name)
        store.write({'train': Samples(6)}, {'train': count}, {'train': 2}, encode, 0,
                    {})
        return store.split('train').features
    first, again = features('first', None), features('again', None)
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:6], first[6:])
    part = features('part', 2)  # the first and the last sample, drawn alike
    assert np.array_equal(part, first[[0, 5, 6, 11]])


def test_one_sample_in_ten_is_kept_apart():
    split = Split(np.zeros((40, 1, 1, 1)), np.zeros((40, 1, 1, 1)), views=2)
    held_out = split.places(held_out=True)
    assert held_out == [9, 19]
    trained = split.places(held_out=False)
    assert len(trained) == 36 and not {9, 19, 29, 39} & set(trained)


def test_features_of_something_else_are_refused(tmp_path):
    store = write_features(tmp_path, made_by='one checkpoint')
    store.require({'what': 'one checkpoint'})
    with pytest.raises(OtherSettings, match="what was 'one checkpoint', is 'another'"):
        store.require({'what': 'another'})


def test_a_failing_sample_leaves_no_features(tmp_path):
    def encode(sample):
        if sample[0].shape[-1] == 8:
            return sample
        raise AssertionError
    mixed = [Samples(1)[0], Samples(1, size=(6, 4))[0]]
    store = FeatureStore(tmp_path / 'features')
    with pytest.raises(AssertionError):
        store.write({'train': mixed}, {'train': None}, {'train': 1}, encode, 0, {})
    assert not store.exists and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('second, named', [
    (Samples(1, size=(6, 4))[0], r'sample 1 of train are \(5, 6, 4\)'),
    ((torch.full((5, 6, 8), 1e6), Samples(1)[0][1]),
     'sample 1 of train are not finite')])
def test_samples_that_do_not_fit_are_named(tmp_path, second, named):
    store = FeatureStore(tmp_path / 'features')
    with pytest.raises(ValueError, match=named):
        store.write({'train': [Samples(1)[0], second]}, {'train': None}, {'train': 1},
                    lambda sample: sample, 0, {})


def test_a_fingerprint_changes_with_names_and_contents_alone(tmp_path):
    def folder(name, **files):
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_text(content)
        return fingerprint_of_files(tmp_path / name)
    first = folder('first', a='1', b='2')
    assert folder('copy', a='1', b='2') == first
    assert len({first, folder('other', a='1', b='3'), folder('less', a='1'),
                folder('renamed', a='1', c='2')}) == 4


def test_what_differs_is_named_by_its_place():
    one = dict(head=dict(scale=1., layers=(1, 2)), seed=0)
    assert differing(one, dict(head=dict(scale=1., layers=[1, 2]), seed=0)) is None
    said = differing(one, dict(head=dict(scale=2.), seed=0))
    assert said == 'head.scale was 1.0, is 2.0; head.layers was [1, 2], is None'


@pytest.mark.parametrize('name, content, named', [
    ('features.json', b'[' * 100_000, 'views of each split'),
    ('features.json', b'{"views": {"train": "x"}}', "in 'x' views"),
    ('train_features.npy', b'', 'cannot be read'),
    ('train_truth.npy', b'\x93NUMPY\x01\x00v\x00{}', 'cannot be read'),
    ('train_truth.npy', np.zeros((40, 2)), 'four axes, got float64'),
    ('train_truth.npy', np.array([[[[{}]]]] * 40), 'cannot be read')])
def test_damaged_features_are_named(tmp_path, name, content, named):
    store = write_features(tmp_path)
    path = store.folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(DamagedFile, match=named) as raised:
        store.split('train')
    assert str(store.folder) in str(raised.value)


@pytest.mark.parametrize('line', [
    'no JSON', '[' * 100_000, '5', '{}',
    '{"variant": "plain", "seed": "0", "settings": {}, "metrics": {}}', '\xff'])
def test_damaged_results_are_named_with_their_line(tmp_path, line):
    path = tmp_path / 'results.jsonl'
    path.write_text('{"variant": "plain", "seed": 0, "settings": {}, "metrics": {}}\n'
                    + line + '\n', encoding='latin-1')
    with pytest.raises(DamagedFile, match=r'results\.jsonl, line 2,'):
        Results(path)
