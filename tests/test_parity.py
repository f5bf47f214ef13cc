"""The document of measured differences, and what measures them."""
import re

import pytest
import torch

from tests import golden
from tests.parity.recorder import Recorder


@pytest.fixture
def document(repository_dir):
    return (repository_dir / 'docs/parity.md').read_text()


def test_every_reference_file_is_listed(document, reference_dir):
    listed = set(re.findall(r'^\| (\S+\.(?:npz|json)) \|', document, re.M))
    there = {path.name for path in reference_dir.iterdir()
             if path.suffix in ('.npz', '.json')} - {'manifest.json'}
    assert listed == there


def test_listed_tests_exist(document, repository_dir):
    for name, test in re.findall(r'`([\w/]+\.py)(?:::(\w+))?', document):
        text = (repository_dir / 'tests' / name).read_text()
        assert not test or f'def {test}(' in text, (name, test)


def test_recorder_notes_the_greatest_difference_to_a_golden_array(tmp_path):
    import numpy as np
    np.savez(tmp_path / 'numbers.npz', **{'out/a': np.arange(6, dtype=np.float32)})
    recorder = Recorder(tmp_path)
    recorder._test = 'a test'
    with recorder.watching():
        numbers = golden.load('numbers', tmp_path)
        torch.testing.assert_close(numbers['out/a'][2:] + 0.25,
                                   numbers['out/a'][2:], rtol=0, atol=0.5)
        torch.testing.assert_close(numbers['out/a'], numbers['out/a'])
        with pytest.raises(AssertionError):
            torch.testing.assert_close(torch.ones(6), numbers['out/a'] * 3)
        assert torch.equal(numbers['out/a'][:3], torch.arange(3.))
    found = recorder.files['numbers']
    assert found.count == 4 and found.tests == {'a test'}
    # The product lies in other memory, but this test read one file only.
    assert (found.difference, found.magnitude) == (14., 15.)
    assert torch.testing.assert_close.__module__.startswith('torch')
