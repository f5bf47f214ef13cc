import pytest

from ddp_perception.files import whole_file, write_file


def test_a_file_is_replaced_when_complete(tmp_path):
    path = write_file(tmp_path / 'new' / 'a.txt', b'old')
    with whole_file(path) as part:
        part.write_bytes(b'new')
        assert path.read_bytes() == b'old'
    assert path.read_bytes() == b'new'
    assert [file.name for file in path.parent.iterdir()] == ['a.txt']


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_file(tmp_path / 'a.txt', b'old')
    with pytest.raises(RuntimeError), whole_file(path) as part:
        part.write_bytes(b'half')
        raise RuntimeError
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]
