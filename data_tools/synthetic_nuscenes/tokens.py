"""Tokens of records: 32 hexadecimal digits that follow from their names."""

import hashlib


def token(*parts) -> str:
    """The token of a record; the same parts always give the same one."""
    text = '|'.join(str(part) for part in parts)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
