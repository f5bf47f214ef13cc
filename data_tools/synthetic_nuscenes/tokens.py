"""Tokens of records: 32 hexadecimal digits that follow from their names."""

import hashlib


def token(*parts: object) -> str:
    """The token of a record; the same parts always give the same one."""
    text = '|'.join(str(part) for part in parts)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def tokens(count: int, *parts: object) -> list[str]:
    """`count` tokens that share their first digits; cheaper than `token`."""
    base = token(*parts)[:24]
    return [f'{base}{n:08x}' for n in range(count)]
