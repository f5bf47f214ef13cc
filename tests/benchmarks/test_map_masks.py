import json

from benchmarks import map_masks


def test_benchmark_compares_equal_masks_and_ends_with_json(capsys):
    cases = map_masks.main(['--rounds', '2', '--side', '400'])
    result, = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert cases == [result]
    assert result['ratio'] > 1


def test_default_town_has_the_size_of_a_real_map():
    records = map_masks.town(side=400.)  # 1/25 of the default's area
    assert 180_000 < 25 * len(records['node']) < 195_000
