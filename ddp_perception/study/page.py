"""The page of a study: claims, figures, and whether they hold."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan

from ddp_perception.study.declaration import Comparison, Measure, Row, Study
from ddp_perception.study.results import Line, by_seed
from ddp_perception.study.verdict import LEAST_REPEATS, SPREADS, Spread, paired, verdict

EMPTY = '–'
COSTS = {'parameters': 'parameters', 'gflops': '10^9 FLOPs per image',
         'seconds_per_iteration': 's per iteration',
         'seconds': 's, training and evaluations'}
PREDICTION = {'steps_1/seconds': 's per image, 1 step',
              'steps_3/seconds': 's per image, 3 steps'}


def study_page(study: Study, lines: Sequence[Line]) -> str:
    """Write the page in Markdown.

    Args:
        study: its rows and variants are shown.
        lines: results of any of its trainings.
    """
    return '\n'.join(_page(study, lines)) + '\n'


def _page(study: Study, lines: Sequence[Line]) -> Iterator[str]:
    yield from (f'# Study {study.name}: {study.title}', '')
    yield from (f'{len(lines)} trainings on the frozen features of one encoder '
                f'(`{study.plain}`). Figures are mean IoU in percent unless they say '
                'otherwise: mean ± standard deviation over n seeds. A difference is '
                'taken seed by seed, of trainings on the same batches. '
                f'It *holds* where its mean is above {SPREADS} of its standard '
                f'deviations and n is at least {LEAST_REPEATS}, and is at least as '
                'large as claimed; it *does not hold* where the mean and as many '
                'deviations stay below the claim; else it is *not shown*.', '')
    yield from _table(['claim', 'paper', 'compared', 'ours', 'holds'],
                      [cells for row in study.rows for cells in _claims(row, lines)])
    for row in study.rows:
        yield from _details(row, study, lines)
    yield from ('', '## What each head costs', '')
    trained = [item for item in study.variants
               if any(line['variant'] == item.name for line in lines)]
    figures = {**COSTS, **PREDICTION}
    yield from _table(['head', *figures.values()], [
        [item.label, *(_mean(Measure(item.name, name), lines)
                       for name in figures)] for item in trained])
    yield from ('', 'FLOPs are those of convolutions and matrix products for one '
                'prediction as the head samples itself; times are of the head alone, '
                'on the machine and with the load of the run.')


def _claims(row: Row, lines: Sequence[Line]) -> Iterator[list[str]]:
    for number, item in enumerate(row.comparisons):
        difference = _difference(item, lines)
        first = number == 0
        ours = ' against '.join(_side(side, item, lines)
                                for side in (item.first, item.second))
        claimed = f' (claimed: {item.least:+g})' if item.least else ''
        yield [row.claim if first else '', (row.paper or EMPTY) if first else '',
               item.text, f'{ours}: {_shown(difference, sign=True)}{claimed}',
               verdict(difference, item.least)]


def _details(row: Row, study: Study, lines: Sequence[Line]) -> Iterator[str]:
    if not row.figures:
        return
    yield from ('', f'## {row.name}', '')
    yield from _table(['head', *row.figures.values()], [
        [study.variant(name).label, *(
            _value(Measure(name, figure), lines) for figure in row.figures)]
        for name in row.variants])


def _difference(item: Comparison, lines: Sequence[Line]) -> Spread:
    seeds = _seeds(item, lines)
    return paired(*([by_seed(lines, side.variant, side.figure)[seed]
                     if isinstance(side, Measure) else side for seed in seeds]
                    for side in (item.first, item.second)))


def _seeds(item: Comparison, lines: Sequence[Line]) -> list[int]:
    """Return the seeds that have all figures of a comparison."""
    return sorted(set.intersection(*(
        set(by_seed(lines, measure.variant, measure.figure))
        for measure in item.measures)))


def _side(side: Measure | float, item: Comparison, lines: Sequence[Line]) -> str:
    """Return one side of a comparison, over the seeds of both."""
    if not isinstance(side, Measure):
        return f'{side:g}'
    found = by_seed(lines, side.variant, side.figure)
    return _shown(Spread.of([found[seed] for seed in _seeds(item, lines)]))


def _value(measure: Measure, lines: Sequence[Line]) -> str:
    return _shown(Spread.of(list(
        by_seed(lines, measure.variant, measure.figure).values())))


def _mean(measure: Measure, lines: Sequence[Line]) -> str:
    mean = Spread.of(list(
        by_seed(lines, measure.variant, measure.figure).values())).mean
    return EMPTY if isnan(mean) else f'{mean:.4g}' if mean < 1e4 else f'{mean:,.0f}'


def _shown(found: Spread, sign: bool = False) -> str:
    if not found.repeats:
        return EMPTY
    large = abs(found.mean) >= 1
    digits = '.2f' if large else '.4f'
    text = f'{found.mean:{"+" if sign else ""}{digits}}'
    if not isnan(found.spread):
        text += f' ± {found.spread:{digits}}'
    return f'{text} (n = {found.repeats})' if sign else text


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ['---'] * len(head), *rows):
        yield '| ' + ' | '.join(cells) + ' |'
