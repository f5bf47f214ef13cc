"""docs/study.md: its links, commands and its example."""
import re

from ddp_perception.cli import study as command
from ddp_perception.cli.main import command_parser
from ddp_perception.study import STUDIES, Row, Study
from ddp_perception.study.claims import ROWS, VARIANTS, samples


def test_links_commands_and_the_example(repository_dir):
    text = (repository_dir / 'docs/study.md').read_text()
    for target in re.findall(r'\]\(([^)#:]+)\)', text):
        assert (repository_dir / 'docs' / target).exists(), target
    lines = re.findall(r'^    ddp-perception study (.*)$', text.replace('\\\n', ' '),
                       re.M)
    assert len(lines) == 2
    for line in lines:
        arguments = command_parser('study', command).parse_args(line.split())
        assert arguments.name in STUDIES
    assert all(f'`{name}`' in text and study.plain in text and study.diffusion in text
               for name, study in STUDIES.items())
    names = {}
    exec(re.search(r'```python\n(.*?)```', text, re.S)[1], names)
    assert isinstance(names['row'], Row)
    study = Study('own', 'Own', '', '', 1, 1, [*VARIANTS, samples(), names['small']],
                  [*ROWS, names['row']], ('unrolled', 'plain'))
    assert study.of_rows(['depth']).variants[-1].name == 'small'
