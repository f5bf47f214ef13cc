"""Names of output files, made from names that come with the data."""
import hashlib
import re
import unicodedata
from collections.abc import Iterable

MOST_BYTES = 200
"""Of a name; disks allow 255, and an ending and a mark of partial files come on."""

_HASHED = re.compile(r'~[0-9a-f]{16}$')
_RESERVED = re.compile(r'(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
_FORBIDDEN = set('/\\<>:"|?*')


def output_name(token: object) -> str:
    """Return the file name, without an ending, for what the data call a thing.

    Ordinary tokens stay as they are. Others (with separators, control or
    other characters that no disk or terminal likes, a leading dot, or too long)
    lose what is wrong with them and end with ``~`` and a hash of the token, so
    that different tokens have different names.

    Args:
        token: Its text counts.

    Returns:
        A single component of a path, at most `MOST_BYTES` bytes.
    """
    token = str(token)
    return token if _is_ordinary(token) else _hashed(token, token)


def output_names(tokens: Iterable) -> list[str]:
    """Return a file name per token, all different even without regard to case.

    Args:
        tokens: The first of several that would share a name keeps it; the
            others get a hash of the token and of how often it came.

    Returns:
        See `output_name`.
    """
    names: list[str] = []
    taken: set[str] = set()
    seen: dict[str, int] = {}
    for token in map(str, tokens):
        name = output_name(token)
        seen[token] = seen.get(token, 0) + 1
        if _folded(name) in taken:
            name = _hashed(token, f'{token}\0{seen[token]}')
        taken.add(_folded(name))
        names.append(name)
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize('NFC', name).casefold()


def _is_ordinary(token: str) -> bool:
    return bool(
        token and token.isprintable() and not _FORBIDDEN & set(token)
        and token[0] not in '. ~' and token[-1] not in '. '
        and not _RESERVED.match(token) and not _HASHED.search(token)
        and len(token.encode()) <= MOST_BYTES)


def _hashed(token: str, content: str) -> str:
    digest = hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest()
    plain = ''.join(character if character.isprintable()
                    and character not in _FORBIDDEN else '_'
                    for character in token).lstrip('. ~')
    if _RESERVED.match(plain):
        plain = f'_{plain}'
    room = MOST_BYTES - 17
    plain = plain.encode()[:room].decode(errors='ignore')
    return f'{plain or "_"}~{digest[:16]}'
