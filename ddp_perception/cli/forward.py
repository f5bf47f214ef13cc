"""Sub-commands whose work and options belong to another module."""
import importlib

from ddp_perception.cli.errors import UserError


def run(command, datasets, argv, description):
    """Run a data set's own command.

    Args:
        command (str): Name of the sub-command.
        datasets (dict[str, str]): Module by data set; its ``main(argv)`` runs
            the command and returns an exit status.
        argv (list[str]): The data set and everything after it.
        description (str): What ``--help`` shows.

    Returns:
        int: Exit status.

    Raises:
        UserError: no data set is given, or an unknown one.
    """
    names = ', '.join(datasets)
    if argv and argv[0] in ('-h', '--help'):
        print(f'usage: ddp-perception {command} DATASET ...\n\n{description}\n'
              f'DATASET is one of: {names}.\nIts own options:  ddp-perception '
              f'{command} DATASET --help')
        return 0
    if not argv or argv[0] not in datasets:
        given = f'got {argv[0]!r}' if argv else 'got nothing'
        raise UserError(f'DATASET must be one of: {names}; {given}. See  '
                        f'ddp-perception {command} --help')
    return importlib.import_module(datasets[argv[0]]).main(argv[1:])
