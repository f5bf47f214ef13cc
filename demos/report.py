"""Print what a demo has found."""
from __future__ import annotations

from pathlib import Path
from typing import Any


def after_last_step(result: dict[str, Any], name: str) -> Any:
    """Return a report's figure after the last step, whatever their number."""
    return next(value for key, value in result.items()
                if key.startswith(f'{name}_') and key.endswith('_steps'))


def print_report(rows: list[list[str]], result: dict[str, Any], path: Path,
                 note: str) -> None:
    """Print a table of figures, what they mean, and where the files are.

    Args:
        rows: heading, then lines.
        result: the report, with ``seconds_train``, ``seconds_total``,
            ``training_reused``, ``picture`` and ``decoder_passes``.
        path: file of the report.
        note: printed beside the number of passes.
    """
    from terminaltables import AsciiTable
    seconds = result['seconds_train']
    trained = ' and '.join(f'{value:.0f} s' for value in (
        seconds.values() if isinstance(seconds, dict) else [seconds]))
    reused = ' (reused from an earlier run)' if result['training_reused'] else ''
    print(f'\n{AsciiTable(rows).table}\n{note}; {result["decoder_passes"]}\n'
          f'training took {trained} of {result["seconds_total"]:.0f} s{reused}\n'
          f'report   {path}\npicture  {result["picture"]}')
