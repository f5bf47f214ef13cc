"""Sub-commands by data set, whose modules are imported when they are chosen."""
from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping, Sequence
from typing import Any


class _DatasetParser(argparse.ArgumentParser):
    """Parser of one data set's options, which its module adds once it is chosen.

    So the help of a command, and another data set's run, need none of the
    packages that this one needs.

    Attributes:
        module: path of the module, with ``add_arguments(parser)`` and ``run(args)``.
    """

    module: str | None = None

    def parse_known_args(self, args: Sequence[str] | None = None,  # type: ignore[override]
                         namespace: Any = None) -> tuple[Any, list[str]]:
        """Let the module add its options, then parse."""
        if self.module is not None:
            module = importlib.import_module(self.module)
            self.module, self.description = None, module.__doc__
            module.add_arguments(self)
            self.set_defaults(run_dataset=module.run)
        return super().parse_known_args(args, namespace)


def add_datasets(parser: argparse.ArgumentParser, modules: Mapping[str, tuple[str, str]]
                 ) -> None:
    """Add a sub-command per data set; ``args.run_dataset`` will be its ``run``.

    Args:
        parser: parser of the command.
        modules: path of the module and summary, by data set.
    """
    parsers = parser.add_subparsers(
        metavar='DATASET', required=True, title='data sets',
        parser_class=_DatasetParser,
        description=f'Options of its own:  {parser.prog} DATASET --help')
    for name, (module, summary) in modules.items():
        parsers.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        ).module = module
