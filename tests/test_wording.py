from ddp_perception.wording import few


def test_few_items_are_listed_and_the_others_counted():
    assert few([], 2) == ''
    assert few(['a', 'b'], 2) == 'a, b'
    assert few(iter('abcde'), 2) == 'a, b, and 3 more'
    assert few([1, 2, 3], 1, '\n  ') == '1\n  and 2 more'
