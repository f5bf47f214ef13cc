"""Errors that end a command with a message instead of a traceback."""


class UserError(Exception):
    """What the user can set right; the message says how."""
