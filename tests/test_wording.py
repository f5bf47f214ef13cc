from ddp_perception.wording import counted, few


def test_few_items_are_listed_and_the_others_counted():
    assert few([], 2) == ''
    assert few(['a', 'b'], 2) == 'a, b'
    assert few(iter('abcde'), 2) == 'a, b, and 3 more'
    assert few([1, 2, 3], 1, '\n  ') == '1\n  and 2 more'


def test_one_of_them_is_not_called_several():
    assert counted(2, 'maps') == '2 maps' and counted(0, 'maps') == '0 maps'
    assert counted(1, 'label maps') == '1 label map'
    assert counted(1, 'depth maps and frames') == '1 depth map and frame'
