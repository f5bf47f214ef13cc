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

    def run(self, args: argparse.Namespace) -> int:
        """Run the whole course; returns the exit status."""
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
        return 0


def _numbered(titles: Sequence[str]) -> Iterator[None]:
    """Print one title with its number each time."""
    for number, title in enumerate(titles, 1):
        print(f'{number}/{len(titles)}  {title}', flush=True)
        yield
