import io
import os

import pytest
from tqdm import tqdm

from ddp_perception.progress import hides_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(('wanted', 'stream', 'drawn'), [
    (True, Terminal, True), (True, io.StringIO, False), (False, Terminal, False)])
def test_bars_are_drawn_in_a_terminal_alone(wanted, stream, drawn):
    file = stream()
    for _ in tqdm(range(3), file=file, disable=hides_bar(wanted)):
        pass
    assert bool(file.getvalue()) == drawn


def test_no_bar_of_ours_is_written_into_a_log(repository_dir):
    used = 0
    for top in ('ddp_perception', 'data_tools', 'demos', 'benchmarks'):
        for folder, _, names in os.walk(repository_dir / top):
            for name in names:
                if name.endswith('.py'):
                    with open(os.path.join(folder, name)) as file:
                        text = file.read()
                    assert text.count('tqdm(') == text.count('disable=hides_bar('), name
                    used += text.count('tqdm(')
    assert used >= 7
