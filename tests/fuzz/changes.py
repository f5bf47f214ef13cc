"""Change bytes, or one thing in nested lists and dictionaries, at random."""
import copy
import json
from typing import NamedTuple

import yaml

DEEP = '@deep@'
_NESTED = '[' * 20_000 + ']' * 20_000
_HUGE = 10**30
_ODD = {
    'none': None, 'text': 'odd', 'empty text': '', 'number': 7, 'negative': -1,
    'zero': 0, 'huge': _HUGE, 'large': 10**12, 'fraction': 0.5,
    'nan': float('nan'), 'infinity': float('inf'), 'true': True, 'list': [1],
    'empty list': [], 'dict': {'odd': 1}, 'empty dict': {}, 'path': '../../x',
    'device': '/dev/zero', 'deep': DEEP, 'long text': 'x' * 100_000,
    'control': 'a\0b\n'}


class Change(NamedTuple):
    """What was done.

    Attributes:
        kind (str): 'flip', 'delete', 'nan' and so on.
        keys (tuple): Keys and indices to what was changed, from outside in;
            empty for bytes.
    """

    kind: str
    keys: tuple = ()

    def __str__(self):
        return ' '.join([self.kind, '.'.join(map(str, self.keys))]).strip()


def change_bytes(draw, content):
    """Return changed bytes and the `Change`.

    Args:
        draw (random.Random): Where the randomness comes from.
        content (bytes): Sound.
    """
    kind = draw.choice(['truncate', 'flip', 'flip', 'insert', 'splice', 'drop',
                        'zeros', 'ones', 'repeat', 'empty', 'noise'])
    changed = bytearray(content)
    size = max(1, len(content))
    at = draw.randrange(size)
    length = min(draw.choice([1, 2, 4, 16, 256]), size - at)
    if kind == 'truncate':
        del changed[at:]
    elif kind == 'flip':
        for _ in range(draw.choice([1, 1, 3, 20])):
            if changed:
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    elif kind == 'insert':
        changed[at:at] = draw.randbytes(draw.choice([1, 4, 100]))
    elif kind == 'splice':
        source = draw.randrange(size)
        changed[at:at + length] = content[source:source + length]
    elif kind == 'drop':
        del changed[at:at + length]
    elif kind in ('zeros', 'ones'):
        changed[at:at + length] = (b'\0' if kind == 'zeros' else b'\xff') * length
    elif kind == 'repeat':
        changed *= 2
    elif kind == 'empty':
        changed.clear()
    else:
        changed = bytearray(draw.randbytes(draw.choice([1, 30, 3000])))
    return bytes(changed), Change(kind)


def change_content(draw, content):
    """Return a copy of nested content with one thing changed, and the `Change`.

    Args:
        draw (random.Random): Where the randomness comes from.
        content (dict | list): Of JSON-like values.
    """
    content = copy.deepcopy(content)
    keys, owner, node = [], None, content
    while isinstance(node, (dict, list)) and node and (
            not keys or draw.random() < 0.8):
        keys.append(draw.choice(list(node)) if isinstance(node, dict)
                    else draw.randrange(len(node)))
        owner, node = node, node[keys[-1]]
    if draw.random() < 0.03:
        kind = draw.choice(list(_ODD))
        return copy.deepcopy(_ODD[kind]), Change(f'all {kind}')
    kind = draw.choice(['delete', 'delete', 'swap', 'repeat', 'rename', *_ODD])
    key = keys[-1]
    if kind == 'delete':
        del owner[key]
    elif kind == 'swap':
        other = draw.choice(list(owner)) if isinstance(owner, dict) else (
            draw.randrange(len(owner)))
        owner[key], owner[other] = owner[other], owner[key]
    elif kind == 'repeat':
        owner[key] = [node, copy.deepcopy(node)]
    elif kind == 'rename' and isinstance(owner, dict):
        owner[f'{key}_'] = owner.pop(key)
    elif kind == 'rename':
        owner.append(copy.deepcopy(node))
    else:
        owner[key] = copy.deepcopy(_ODD[kind])
    return content, Change(kind, tuple(keys))


def to_json(content):
    """Return JSON, with lists 20,000 deep where `DEEP` stands."""
    return json.dumps(content).replace(f'"{DEEP}"', _NESTED).encode()


def to_yaml(content):
    """Return YAML, with lists 20,000 deep where `DEEP` stands."""
    return yaml.safe_dump(content).replace(f"'{DEEP}'", _NESTED).encode()


def deepened(content, depth=400):
    """Return content with nested lists where `DEEP` stands, for pickles."""
    if isinstance(content, dict):
        return {key: deepened(value, depth) for key, value in content.items()}
    if isinstance(content, list):
        return [deepened(value, depth) for value in content]
    if content != DEEP:
        return content
    nested = []
    for _ in range(depth):
        nested = [nested]
    return nested
