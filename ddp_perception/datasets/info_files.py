"""Read info files: pickles of plain values or JSON, checked as a whole."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddp_perception.checkpoints.plain_pickle import load_info_file
from ddp_perception.checkpoints.refusals import RefusedObject

from .info_schema import check_infos


def read_info_file(path: str | Path, required: Sequence[str] = ()
                   ) -> dict[str, Any]:
    """Read and check an info file of format v2.

    Args:
        path: JSON where it ends in .json, otherwise a pickle.
        required: See `check_infos`.

    Returns:
        With `metainfo` and `data_list`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or `check_infos` refuses it. One line that
            names the file.
    """
    try:
        content = load_info_file(path)
    except RefusedObject as error:
        raise ValueError(str(error)) from error
    return check_infos(content, path, required)
