"""The course of every demo: data, training, evaluation, picture, report."""
from __future__ import annotations

import argparse
import copy
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.errors import UserError
from ddp_perception.files import write_file
from demos import report

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


class Demo(ABC):
    """One demo; a subclass states what distinguishes it.

    Attributes:
        config: default configuration.
        work_dir: default folder of the results.
        data_root: default folder of the data.
        data: what is written there, for the progress lines.
        samples: what one sample is, for the report.
        unseen: what the evaluation has never seen.
        picture: file name of the picture.
    """

    config: str
    work_dir: str
    data_root: str
    data: str
    samples: str
    unseen: str
    picture: str

    @abstractmethod
    def make_data(self, root: str | Path, workers: int) -> None:
        """Write the data into a folder unless they are there."""

    def models(self) -> dict[str, tuple[str, Callable[[Config], Config]]]:
        """Return what is trained, in order: title and change of the settings.

        The key is its folder in the work directory. The last one is drawn and
        reported, those before it are what it is compared with.
        """
        return {'': ('training', copy.deepcopy)}

    @abstractmethod
    def figures(self, evaluation: Runner, last: dict, others: dict[str, dict]
                ) -> dict[str, Any]:
        """Return the figures of the report.

        Args:
            evaluation: has evaluated the last model.
            last: what its evaluators measured.
            others: what they measured of the models before, by name.
        """

    @abstractmethod
    def constant(self, cfg: Config) -> tuple[dict[str, Any], dict[str, int]]:
        """Evaluate the best prediction that ignores its input.

        Returns:
            Its figures; ``train_samples`` and ``val_samples``.
        """

    @abstractmethod
    def draw(self, evaluation: Runner, last: dict, path: Path) -> Path:
        """Draw an unseen sample; returns the path."""

    @abstractmethod
    def rows(self, result: dict[str, Any]) -> list[list[str]]:
        """Return the printed table of a report: heading, then lines."""

    def note(self, result: dict[str, Any]) -> str:
        """Return what the report's last lines say about the figures."""
        return f'{result["val_samples"]} {self.samples} of unseen {self.unseen}'

    def head(self, evaluation: Runner) -> Any:
        """Return the diffusion head of an evaluated model."""
        from ddp_perception.cli.runner import bare_model
        from ddp_perception.prediction_heads import heads_of
        return heads_of(bare_model(evaluation))[-1]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of this sub-command."""
        parser.add_argument('--config', default=self.config,
                            help='configuration to train (default: %(default)s)')
        parser.add_argument('--work-dir', default=self.work_dir, metavar='DIR',
                            help='where the results go (default: %(default)s)')
        parser.add_argument('--data-root', default=self.data_root, metavar='DIR',
                            help='where the data go (default: %(default)s)')
        parser.add_argument('--workers', type=int, default=2, help='processes that '
                            'write the data (default: %(default)s)')
        parser.add_argument('--fresh', action='store_true',
                            help='train anew in any case')
        parser.add_argument('--seed', type=int, metavar='N', help='of the training '
                            "(default: the configuration's)")
        parser.add_argument('--repeats', type=int, default=1, metavar='N',
                            help='train with N seeds from that one on, each in a '
                            'folder of its own, and print mean and range of each '
                            'figure; trainings that are done are kept')

    def run(self, args: argparse.Namespace) -> int:
        """Run the whole course, once or repeatedly; returns the exit status."""
        from ddp_perception.cli import configuration
        if args.repeats < 1:
            raise UserError(f'--repeats must be at least 1, got {args.repeats}')
        if args.seed is not None and args.seed < 0:
            raise UserError(f'--seed must be at least 0, got {args.seed}')
        if args.repeats == 1:
            self._run_once(args)
            return 0
        first = args.seed
        if first is None:
            cfg = configuration.load_config(args.config)
            first = (cfg.get('randomness') or {}).get('seed') or 0
        seeds = list(range(first, first + args.repeats))
        reports = []
        for number, seed in enumerate(seeds, 1):
            print(f'\nseed {seed}, {number} of {len(seeds)}', flush=True)
            reports.append(self._run_once(argparse.Namespace(**{
                **vars(args), 'seed': seed,
                'work_dir': str(Path(args.work_dir, f'seed_{seed}'))})))
        self._report_spread(args, seeds, reports)
        return 0

    def _report_spread(self, args: argparse.Namespace, seeds: Sequence[int],
                       reports: Sequence[dict[str, Any]]) -> None:
        """Print mean and range as a table and, last, as a line of JSON."""
        from terminaltables import AsciiTable

        from demos.repeats import figures_of, spread_of, spread_rows
        spread = spread_of(reports)
        table = AsciiTable(spread_rows([self.rows(one) for one in spread.values()]))
        first = reports[0]
        content = {
            'config': args.config, 'seeds': seeds,
            'decoder_passes': first['decoder_passes'],
            'val_samples': first['val_samples'],
            **{name: figures_of(one) for name, one in spread.items()}}
        path = Path(args.work_dir, 'repeats.json')
        write_file(path, json.dumps(content, indent=2).encode() + b'\n')
        print(f'\n{table.table}\nmean (least to most) of {len(seeds)} trainings, seeds '
              f'{seeds[0]} to {seeds[-1]}; {self.note(spread["mean"])}; '
              f'{first["decoder_passes"]}\nreport   {path}\n{json.dumps(content)}')

    def _run_once(self, args: argparse.Namespace) -> dict[str, Any]:
        """Run the whole course with one seed; returns the report."""
        from ddp_perception.cli import configuration, runner
        from ddp_perception.evaluation.passes import describe_passes
        from demos import training
        start, models = time.perf_counter(), self.models()
        steps = _numbered([self.data, *(title for title, _ in models.values()),
                           f'evaluation on unseen {self.unseen}',
                           'picture and report'])
        next(steps)
        self.make_data(args.data_root, args.workers)
        cfg = configuration.load_config(args.config, data_root=args.data_root)
        runner.prepare_process(cfg)
        if args.seed is not None:
            cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': args.seed}

        trained, measured = {}, {}
        for name, (_, change) in models.items():
            next(steps)
            settings = change(cfg)
            settings.work_dir = str(Path(args.work_dir, name))
            trained[name] = training.train(settings, args.data_root, args.fresh)
            if len(trained) < len(models):
                _, measured[name] = training.evaluate(
                    settings, trained[name].checkpoint)

        next(steps)
        evaluation, last = training.evaluate(settings, trained[name].checkpoint)
        figures = self.figures(evaluation, last, measured)
        constant, counts = self.constant(settings)

        next(steps)
        picture = self.draw(evaluation, last, Path(args.work_dir, self.picture))
        seconds = {name: round(one.seconds, 1) for name, one in trained.items()}
        saved = sum(one.seconds for one in trained.values() if one.reused)
        result = {
            **figures, **constant,
            'decoder_passes': describe_passes(**self.head(evaluation).passes), **counts,
            'seconds_train': seconds if len(seconds) > 1 else seconds[name],
            'training_reused': all(one.reused for one in trained.values()),
            'config': args.config, 'picture': str(picture),
            'seconds_total': round(time.perf_counter() - start + saved, 1)}
        path = Path(args.work_dir, 'report.json')
        path.write_text(json.dumps(result, indent=2) + '\n')
        report.print_report(self.rows(result), result, path, self.note(result))
        return result


def _numbered(titles: Sequence[str]) -> Iterator[None]:
    """Print one title with its number each time."""
    for number, title in enumerate(titles, 1):
        print(f'{number}/{len(titles)}  {title}', flush=True)
        yield
