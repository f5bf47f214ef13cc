"""The table of a probe."""
from __future__ import annotations

from math import isnan

from terminaltables import AsciiTable

from ddp_perception.probing.effects import ProbeResult


def probe_table(result: ProbeResult) -> str:
    """Return one row per variation.

    Its figure, the figure of what it is compared with, how much better it is
    in percent of that, how many cells it decides otherwise, how far the seeds
    scatter, and the head's seconds per image.
    """
    name = result.figure.name
    rows = [['variation', name, 'compared with', 'better by', 'decided apart',
             f'std ({result.unit})' if result.unit else 'std', 'seconds']]
    for item in result.measured:
        if item.group == 'no_truth':
            continue  # stands beside its truth
        against, better = '', ''
        if item.reference is not None:
            other = result.of(item.reference)
            against = f'{other.label.partition(" (")[0]}: {result.value(other):.4g}'
            better = f'{100 * result.gain(item):+.2f} %'
        rows.append([item.label, f'{result.value(item):.4g}', against, better,
                     '' if isnan(item.apart) else f'{100 * item.apart:.4g} %',
                     '' if isnan(item.spread) else f'{item.spread:.3g}',
                     f'{item.seconds:.3g}'])
    table = AsciiTable(rows)
    table.justify_columns = dict.fromkeys((1, 3, 4, 5, 6), 'right')
    return table.table
