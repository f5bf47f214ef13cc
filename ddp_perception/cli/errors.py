"""Errors that end a command with a message instead of a traceback."""


class UserError(Exception):
    """What the user can set right; the message says how."""


def shortened(text: object, most: int = 300) -> str:
    """Return a text as one line of at most `most` characters."""
    text = ' '.join(str(text).split())
    return text if len(text) <= most else f'{text[:most - 3]}...'


def described(error: BaseException) -> str:
    """Return an exception's type and text as one line."""
    text = str(error.args[0]) if (
        isinstance(error, KeyError) and error.args) else str(error)
    kind = type(error).__name__
    return f'{kind}: {shortened(text)}' if text else kind
