"""Read info files: pickles of plain values or JSON, checked as a whole."""
import json
from pathlib import Path

from ddp_perception.checkpoints.plain_pickle import load_plain
from ddp_perception.checkpoints.refusals import RefusedObject, open_regular

from .info_schema import check_infos


def read_info_file(path, required=()):
    """Read and check an info file of format v2.

    Args:
        path (str | Path): JSON where it ends in .json, otherwise a pickle.
        required (Sequence[str]): See `check_infos`.

    Returns:
        dict: With `metainfo` and `data_list`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or `check_infos` refuses it. One line that
            names the file.
    """
    try:
        content = (read_json(path) if Path(path).suffix == '.json'
                   else load_plain(path))
    except RefusedObject as error:
        raise ValueError(str(error)) from error
    return check_infos(content, path, required)


def read_json(path):
    """Read a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no regular file or no JSON; names it.
    """
    with open_regular(path) as file:
        try:
            return json.load(file)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'{path} cannot be read as JSON: {error}; is the '
                             'file complete?') from None
