"""Names of output files, made from what data call things."""
import random

import pytest

from ddp_perception.file_names import MOST_BYTES, output_name, output_names

ORDINARY = ['ca9a282c9e77460f8360f564131a8af5', 'frame_0001', 'a b', 'x.y-z',
            '2011_09_26_drive_0002_sync_image_0000000069_image_02', 'Straße', '7']
ODD = ['../../x', '/etc/passwd', 'a/b', '..', '.', '', '.hidden', 'a\\b', 'a\0b',
       'a\nb', '\x1b[31mred', 'x' * 201, 'é' * 150, 'con', 'NUL.txt', 'trailing.',
       ' leading', 'C:evil', 'a~0123456789abcdef', '\ud800', '~root', 'a*b?']


@pytest.mark.parametrize('token', ORDINARY)
def test_ordinary_tokens_stay_as_they_are(token):
    assert output_name(token) == token


@pytest.mark.parametrize('token', ODD)
def test_odd_tokens_become_one_harmless_component(tmp_path, token):
    name = output_name(token)
    file = tmp_path / f'{name}.npz'
    file.write_bytes(b'1')
    assert file.resolve().parent == tmp_path.resolve()
    assert [path.name for path in tmp_path.iterdir()] == [f'{name}.npz']
    assert name.isprintable() and name[0] not in './\\~'
    assert len(name.encode()) <= MOST_BYTES


def test_different_tokens_have_different_names():
    tokens = ORDINARY + ODD
    # What a name becomes is a token too, and must not claim that name.
    tokens += [output_name(token) for token in ODD]
    names = [output_name(token) for token in tokens]
    assert len({name.casefold() for name in names}) == len(set(tokens))
    shared = 'p' * 400
    assert output_name(shared + 'a') != output_name(shared + 'b')


def test_no_two_of_a_list_share_a_name_where_case_and_repeats_would():
    tokens = ['Night', 'night', 'NIGHT', 'night', 'night', 'caf\u00e9', 'cafe\u0301']
    names = output_names(tokens)
    assert names[0] == 'Night' and names[5] == 'caf\u00e9'
    assert len({name.casefold() for name in names}) == len(tokens)
    assert all(name.startswith('night~') for name in (names[1], names[3], names[4]))
    assert output_names(tokens) == names


def test_random_texts_never_leave_the_folder(tmp_path):
    draw = random.Random(0)
    alphabet = 'aB1./\\\0\n~: ' + 'é漢\u202e'
    tokens = {''.join(draw.choices(alphabet, k=draw.randrange(12)))
              for _ in range(2000)}
    names = output_names(sorted(tokens))
    assert len({name.casefold() for name in names}) == len(tokens)
    for name in names:
        assert (tmp_path / name).parent == tmp_path and '/' not in name
        assert name not in ('.', '..') and '\0' not in name
