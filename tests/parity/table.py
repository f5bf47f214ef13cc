"""The document with the measured differences."""
import platform
from pathlib import Path

import torch

HEAD = """# Parity with the published implementation

Golden numbers were computed by the original code (DDP, commit 5b7dd02, and mmdet3d
1.4.0 for the sparse encoder) on small random problems in float32. This table lists
every file with such numbers (the reference folder, which is not part of the repository)
and how far this package is from it. It is written by

```bash
python -m tests.parity
```

which runs the tests that read these files and notes every comparison with one of their
arrays. "Difference" is the greatest absolute one among all comparisons of a file, "of
values up to" the greatest magnitude in that comparison, "allowed" the tolerance that
its test sets there (absolute + relative). Any single row is measured, and checked
against its tolerance, by `python -m pytest` with the test named in it, below `tests`:
`python -m pytest "tests/heads/test_seg_head.py::test_sampling_equals_every_published_case[ddim]"`.

Measured on {machine}, PyTorch {torch}, {threads} threads.

"""  # noqa: E501
NOTES = {
    'map_metric': 'Equal once rounded to float32, in which the original computes; the '
    'difference is that of the mean of the six classes.',
    'depth_metrics': 'The original sums in float32, this package in float64.',
    'sparse_encoder': 'On a CPU spconv 2.3.8 is right with one thread only; the '
    'encoder uses one.',
    'sigloss': 'With one valid pixel the original gives NaN, this package a number: '
    'not a comparison.',
}


def write(recorder, folder: Path, out: Path) -> list[str]:
    """Write the document; return the files that nothing was compared with."""
    rows, lists, missing = [], [], []
    for path in sorted(folder.iterdir()):
        if path.suffix not in ('.npz', '.json') or path.stem == 'manifest':
            continue
        found = recorder.files.get(path.stem)
        if path.suffix == '.json' or path.stem.endswith('_weights'):
            if not found or not found.tests:
                missing.append(path.name)
                continue
            what = 'weights of the other files' if path.suffix == '.npz' else (
                'parameters and multiplications: equal' if 'flops' in path.stem else
                'names and shapes: converted and loaded completely')
            lists.append(f'| {path.name} | {what} | {_tests(found.tests)} |')
            continue
        if not found or not found.count:
            missing.append(path.name)
            continue
        absolute, relative = found.allowed
        allowed = f'{absolute:.0e} + {relative:.0e}' if absolute or relative \
            else 'exactly equal'
        rows.append(f'| {path.name} | {found.difference:.1e} | {found.magnitude:.3g} | '
                    f'{allowed} | {found.count} | {_test(found.test)} |')
    notes = [f'- **{name}.npz** {text}' for name, text in NOTES.items()]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        HEAD.format(machine=f'{platform.machine()} CPU', torch=torch.__version__,
                    threads=torch.get_num_threads())
        + '\n'.join([
            '| file | difference | of values up to | allowed | comparisons | test of '
            'the greatest |', '| --- | --- | --- | --- | --- | --- |', *rows, '',
            *notes, '', 'Files without results of their own:', '',
            '| file | checked | tests |', '| --- | --- | --- |', *lists, '']))
    return missing


def _test(node: str) -> str:
    return f'`{node.removeprefix("tests/").replace("|", "_")}`'


def _tests(nodes) -> str:
    files = sorted({node.split('::')[0] for node in nodes})
    return ', '.join(_test(name) for name in files)
