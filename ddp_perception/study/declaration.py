"""What a study is: data alone, of what is trained and what is claimed."""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ddp_perception.study.verdict import LEAST_REPEATS

BASES = ('diffusion', 'plain')
SINGLE = 'steps_1'
"""The evaluation that every head has: one pass."""


@dataclass(frozen=True)
class Variant:
    """One head that is trained, once per seed.

    Args:
        name: in files; letters, digits, dots and underscores.
        label: in tables.
        head: what differs from the settings of the base, nested as they are.
        base: ``'diffusion'`` or ``'plain'``: which configuration's head.
        evaluations: how it is evaluated; see `evaluations_of`.

    Raises:
        ValueError: another base.
    """

    name: str
    label: str
    head: Mapping[str, Any] = field(default_factory=dict)
    base: str = 'diffusion'
    evaluations: Sequence[str] = (SINGLE, )

    def __post_init__(self) -> None:
        if self.base not in BASES:
            raise ValueError(f'base of the variant {self.name} must be one of {BASES}, '
                             f'got {self.base!r}')

    def settings(self, bases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the settings of its head.

        Args:
            bases: those of each base.
        """
        return merged(bases[self.base], self.head)


@dataclass(frozen=True)
class Measure:
    """One figure of one variant, such as ``'steps_3/iou'``."""

    variant: str
    figure: str


@dataclass(frozen=True)
class Comparison:
    """A claimed difference between two measures, seed by seed.

    Args:
        text: what is compared, in a table.
        first: claimed to be greater; a number is the same for every seed.
        second: than this one.
        least: by how much at least. A negative number claims that no more
            than that is lost.
    """

    text: str
    first: Measure | float
    second: Measure | float
    least: float = 0.

    @property
    def measures(self) -> list[Measure]:
        """Those of both that are not numbers."""
        return [item for item in (self.first, self.second)
                if isinstance(item, Measure)]


@dataclass(frozen=True)
class Row:
    """A claim of the method, and what shows whether it holds.

    Args:
        name: by which it is chosen.
        claim: what is said.
        comparisons: differences that hold where the claim does.
        paper: figure of the paper and where it stands; empty where none is
            known.
        figures: shown of each of the row's variants: name and heading.
        shown: variants of the row's table; those that are compared by default.
        repeats: seeds of each variant, where no other row asks for more. One says
            where to look, and shows no claim.

    Raises:
        ValueError: there is no seed.
    """

    name: str
    claim: str
    comparisons: Sequence[Comparison]
    paper: str = ''
    figures: Mapping[str, str] = field(default_factory=dict)
    shown: Sequence[str] = ()
    repeats: int = LEAST_REPEATS

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f'repeats of the row {self.name} must be at least 1, got '
                             f'{self.repeats}')

    @property
    def compared(self) -> list[str]:
        """Variants that the comparisons need."""
        return list(dict.fromkeys(
            measure.variant for item in self.comparisons
            for measure in item.measures))

    @property
    def variants(self) -> list[str]:
        """All variants of the row."""
        return list(dict.fromkeys([*(self.shown or self.compared), *self.compared]))


@dataclass(frozen=True)
class Study:
    """Heads on the frozen features of one encoder, and claims about them.

    Args:
        name: on the command line and in files.
        title: what it is about.
        plain: configuration of the plain model, whose encoder is used.
        diffusion: configuration of the diffusion model.
        iterations: of each training.
        batch_size: samples per iteration.
        views: how often each training sample is augmented and encoded.
        train_samples: how many of the training set are used, spread evenly;
            None is all.
        evaluation_samples: the same of the evaluation set.
        truth_stride: every so many pixels of an image's truth are learned from
            and evaluated.
        variants: what can be trained.
        rows: what is claimed.
        pictured: the diffusion and the plain variant of the picture.

    Raises:
        ValueError: a row names a variant or a figure that there is not.
    """

    name: str
    title: str
    plain: str
    diffusion: str
    iterations: int
    batch_size: int
    variants: Sequence[Variant]
    rows: Sequence[Row]
    pictured: tuple[str, str]
    views: int = 1
    train_samples: int | None = None
    evaluation_samples: int | None = None
    truth_stride: int = 1

    def __post_init__(self) -> None:
        known = {item.name: item for item in self.variants}
        if len(known) != len(self.variants):
            raise ValueError(f'variants of the study {self.name} must have distinct '
                             f'names, got {[item.name for item in self.variants]}')
        for row in self.rows:
            for name in row.variants:
                if name not in known:
                    raise ValueError(f'the row {row.name} of the study {self.name} '
                                     f'names no variant: {name!r}')
            for item in row.comparisons:
                for measure in item.measures:
                    run = measure.figure.partition('/')[0]
                    if '/' in measure.figure and run not in (
                            *known[measure.variant].evaluations, SINGLE):
                        raise ValueError(
                            f'the row {row.name} of the study {self.name} compares '
                            f'{measure.figure} of {measure.variant}, which is '
                            f'evaluated by {list(known[measure.variant].evaluations)}')

    def variant(self, name: str) -> Variant:
        """Return the variant of a name."""
        return next(item for item in self.variants if item.name == name)

    def repeats_of(self, name: str) -> int:
        """Return how many seeds of a variant the rows ask for."""
        return max((row.repeats for row in self.rows if name in row.variants),
                   default=LEAST_REPEATS)

    def trainings(self, repeats: int | None = None) -> list[tuple[int, Variant]]:
        """Return the number of the seed, from 0, and the variant of each training.

        Args:
            repeats: of each variant; None is as many as its rows ask for.
        """
        counts = {item.name: repeats or self.repeats_of(item.name)
                  for item in self.variants}
        return [(number, item) for number in range(max(counts.values(), default=0))
                for item in self.variants if number < counts[item.name]]

    def of_rows(self, names: Collection[str] | None) -> Study:
        """Return the part of the study that some rows need.

        Args:
            names: of the rows; None is all.

        Raises:
            ValueError: there is no such row; names those that there are.
        """
        if names is None:
            return self
        known = [row.name for row in self.rows]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f'the study {self.name} has no row {unknown[0]!r}; it has '
                             f'{", ".join(known)}')
        rows = [row for row in self.rows if row.name in names]
        needed = {name for row in rows for name in row.variants}
        return replace(self, rows=rows, variants=[
            item for item in self.variants if item.name in needed])

    def smoke(self) -> Study:
        """Return the same on so little that it takes minutes and proves nothing."""
        kept = [item for item in self.variants if item.name in self.pictured]
        names = {item.name for item in kept}
        return replace(
            self, iterations=20, views=1, train_samples=20, evaluation_samples=4,
            batch_size=min(self.batch_size, 2), variants=kept,
            rows=[row for row in (replace(row, shown=[
                name for name in row.shown if name in names], comparisons=[
                    item for item in row.comparisons
                    if {measure.variant for measure in item.measures} <= names],
                repeats=1)
                for row in self.rows) if row.comparisons])


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with others in their place.

    What says another type than the base is put in its place as a whole.
    """
    result = dict(base)
    for key, value in changes.items():
        own = result.get(key)
        if isinstance(own, Mapping) and isinstance(value, Mapping) \
                and value.get('type', own.get('type')) == own.get('type'):
            value = merged(own, value)
        result[key] = value
    return result
