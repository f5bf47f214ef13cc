"""Run every benchmark, or some of them, and print one table.

Run as ``python -m benchmarks`` (half an hour on two idle cores). Each compares ours
with a baseline that its module states, in turns; see `benchmarks.timing`. With
``--dtype`` those that have such a case run it alone: ``bfloat16`` is by autocast, of
the decoder against the baseline in float32, of partial steps and whole frames in both.
The last line is JSON: a list of all cases.
"""
import argparse
import importlib
import json

import torch
from terminaltables import AsciiTable

from benchmarks.timing import MORE

NAMES = ('bev_pool', 'map_masks', 'decoder', 'partial_steps', 'training', 'export',
         'data_loading', 'whole_frames', 'training_memory', 'cpu_training')
ON_DEVICES = ('bev_pool', 'decoder', 'partial_steps', 'training', 'whole_frames',
              'training_memory')
WITH_DTYPE = ('decoder', 'partial_steps', 'whole_frames')
THREADED = ('bev_pool', 'export', 'training_memory', 'cpu_training')
ONCE = ('training_memory', )
"""Whose figure is memory, which does not vary: one round."""
SHORT = ('bev_pool', 'map_masks', 'export', 'data_loading')
"""Whose calls take well under a second, mostly: `MORE` times the rounds."""


def main(argv=None):
    """Run the benchmarks; returns all cases."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks',
                                     description=__doc__.splitlines()[0])
    parser.add_argument('names', nargs='*', metavar='NAME', help='of a benchmark, out '
                        f'of {", ".join(NAMES)} (default: all)')
    parser.add_argument('--rounds', type=int, default=3, help='timed rounds of each')
    parser.add_argument('--threads', type=int, metavar='N',
                        help="of torch (default: torch's own)")
    parser.add_argument('--device', default='cpu', help='cpu or cuda, for '
                        f'{", ".join(ON_DEVICES)}')
    parser.add_argument('--dtype', choices=['float32', 'bfloat16'], help='bfloat16: of '
                        f'{", ".join(WITH_DTYPE)} alone, the others have float32 and '
                        'what they state (default: all)')
    args = parser.parse_args(argv)
    odd = [name for name in args.names if name not in NAMES]
    if odd:
        parser.error(f'a benchmark is one of {", ".join(NAMES)}, got {odd[0]}')
    if args.threads is not None:
        if args.threads < 1:
            parser.error(f'--threads must be at least 1, got {args.threads}')
        torch.set_num_threads(args.threads)
    names = args.names or list(NAMES)
    if args.dtype == 'bfloat16':
        without = [name for name in names if name not in WITH_DTYPE]
        if args.names and without:
            parser.error(f'{without[0]} has no bfloat16; of the benchmarks '
                         f'{", ".join(WITH_DTYPE)} has')
        print(f'without bfloat16, left out: {", ".join(without)}')
        names = [name for name in names if name in WITH_DTYPE]
    cases = []
    for name in names:
        rounds = 1 if name in ONCE else args.rounds * (MORE if name in SHORT else 1)
        options = ['--rounds', str(rounds)]
        if args.dtype is not None and name in WITH_DTYPE:
            options += ['--dtype', args.dtype]
        if name in ON_DEVICES:
            options += ['--device', args.device]
        if name in THREADED:
            options += ['--threads', str(torch.get_num_threads())]
        cases += importlib.import_module(f'benchmarks.{name}').main(options)
    rows = [['case', 'dtype', 'ours, s', 'baseline, s', 'times as fast',
             'memory over baseline', 'rounds']]
    rows += [[case['name'], case['dtype'], f'{case["ours_s"]:.4g}',
              f'{case["baseline_s"]:.4g}', f'{case["ratio"]:.2f}',
              f'{case["ours_peak_mib"] / max(case["baseline_peak_mib"], 1e-3):.2f}',
              str(case['rounds'])] for case in cases]
    print(f'\n{AsciiTable(rows).table}\n{cases[0]["device"]}, '
          f'{torch.get_num_threads()} threads, medians')
    print(json.dumps(cases))
    return cases


if __name__ == '__main__':
    main()
