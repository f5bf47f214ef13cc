"""Which decoder passes a metric averages, in words."""


def describe_passes(seeds: int, steps: int, averaged: int) -> str:
    """Say which decoder passes a figure averages.

    Args:
        seeds: Noise seeds that were sampled.
        steps: Sampling steps of each.
        averaged: Passes in the mean: `seeds` where only the last step counts,
            seeds x steps where every step does.
    """
    def count(number: int, one: str, many: str) -> str:
        return f'{number} {one if number == 1 else many}'

    total = seeds * steps
    if averaged == total:
        what = 'every pass averaged'
    elif averaged == seeds:
        what = 'last step only'
    else:
        what = 'partly averaged'
    return (f'{count(seeds, "seed", "seeds")} x '
            f'{count(steps, "step", "steps")}, {what} '
            f'({averaged} of {count(total, "pass", "passes")})')
