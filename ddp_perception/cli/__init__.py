"""The ``ddp-perception`` command.

Each sub-command is a module with ``add_arguments`` and ``run``; importing one
costs nothing, so that ``--help`` answers at once.
"""
