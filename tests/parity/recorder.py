"""A pytest plugin that notes comparisons with golden numbers."""
import math
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import golden


@dataclass
class Comparisons:
    """What is known of one golden file.

    Args:
        tests: ids of the tests that read it.
        count: comparisons with its arrays.
        difference: greatest absolute difference among them.
        magnitude: greatest absolute value that it was expected to be near to.
        allowed: absolute and relative tolerance of that comparison.
        test: id of the test with that comparison.
    """

    tests: set = field(default_factory=set)
    count: int = 0
    difference: float = -1.
    magnitude: float = 0.
    allowed: tuple[float, float] = (0., 0.)
    test: str = ''

    def note(self, difference, magnitude, allowed, test):
        """Add one comparison."""
        self.count += 1
        if difference > self.difference:
            self.difference, self.magnitude = difference, magnitude
            self.allowed, self.test = allowed, test


class Recorder:
    """The plugin. Arrays are recognised by the memory that they lie in.

    Where a test compares something that was computed from a file's arrays,
    the comparison counts for the file if the test read no other.

    Args:
        folder: the reference folder.
    """

    def __init__(self, folder: Path):
        self.names = {path.stem for path in folder.iterdir()}
        self.files = defaultdict(Comparisons)
        self.failed = []
        self._test = ''
        self._owner = {}  # storage address: file
        self._kept = []  # so that no address is used again
        self._read = set()

    def _opened(self, name):
        if name not in self.names:
            return
        self._read.add(name)
        if self._test:
            self.files[name].tests.add(self._test)

    def _file_of(self, *values):
        for value in values:
            if isinstance(value, torch.Tensor):
                owner = self._owner.get(value.untyped_storage().data_ptr())
                if owner:
                    return owner
        outputs = {name for name in self._read if not name.endswith('_weights')}
        return outputs.pop() if len(outputs) == 1 else None

    def _note(self, name, difference, magnitude, allowed):
        if name and self._test:
            self.files[name].tests.add(self._test)
            self.files[name].note(difference, magnitude, allowed, self._test)

    def compared(self, actual, expected, rtol, atol):
        """Note a comparison of two tensors or numbers."""
        name = self._file_of(expected, actual)
        if name is None:
            return
        a, b = (torch.as_tensor(value).detach().double()
                for value in (actual, expected))
        finite = a.isfinite() & b.isfinite()
        if a.shape != b.shape or not finite.any():
            return
        if rtol is None:
            rtol, atol = torch.testing._comparison.default_tolerances(actual, expected)
        self._note(name, (a - b)[finite].abs().max().item(),
                   b[finite].abs().max().item(), (float(atol), float(rtol)))

    @contextmanager
    def watching(self):
        """Replace what tests compare and read with, for a while."""
        close, equal, load = torch.testing.assert_close, torch.equal, np.load
        read_text, golden_init = Path.read_text, golden.Golden.__init__
        scalar = type(pytest.approx(1.))
        scalar_eq, recorder = scalar.__eq__, self

        def assert_close(actual, expected, *args, rtol=None, atol=None, **kwargs):
            recorder.compared(actual, expected, rtol, atol)
            return close(actual, expected, *args, rtol=rtol, atol=atol, **kwargs)

        def torch_equal(one, other):
            same = equal(one, other)
            name = recorder._file_of(other, one)
            if same and name:
                recorder._note(name, 0., one.double().abs().max().item()
                               if one.numel() else 0., (0., 0.))
            return same

        def numpy_load(file, *args, **kwargs):
            recorder._opened(Path(str(file)).stem)
            return load(file, *args, **kwargs)

        def path_read_text(path, *args, **kwargs):
            if path.suffix == '.json':
                recorder._opened(path.stem)
            return read_text(path, *args, **kwargs)

        def init(self, path):
            golden_init(self, path)
            recorder._kept.append(dict(self))
            for value in self.values():
                recorder._owner[value.untyped_storage().data_ptr()] = Path(path).stem

        def approximately(self, actual):
            name = recorder._file_of()
            if isinstance(actual, (int, float)) and name and math.isfinite(actual):
                recorder._note(name, abs(actual - self.expected), abs(self.expected),
                               (float(self.abs or 1e-12), float(self.rel or 1e-6)))
            return scalar_eq(self, actual)

        torch.testing.assert_close, torch.equal = assert_close, torch_equal
        np.load, Path.read_text = numpy_load, path_read_text
        golden.Golden.__init__, scalar.__eq__ = init, approximately
        try:
            yield self
        finally:
            torch.testing.assert_close, torch.equal, np.load = close, equal, load
            Path.read_text, golden.Golden.__init__ = read_text, golden_init
            scalar.__eq__ = scalar_eq

    def pytest_collection_modifyitems(self, items):
        """Leave out tests beside those that read golden numbers."""
        items[:] = [item for item in items if 'reference_dir' in item.fixturenames
                    or 'reference_dir' not in item.path.read_text()]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        """Know which test runs."""
        self._test, self._read = item.nodeid, set()
        try:
            return (yield)
        finally:
            self._test = ''

    def pytest_runtest_logreport(self, report):
        """Keep the names of tests that failed or were skipped."""
        if report.outcome != 'passed':
            self.failed.append(report.nodeid)
