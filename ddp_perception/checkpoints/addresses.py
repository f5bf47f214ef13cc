"""Fetch checkpoints from addresses, to be read like any other file.

mmengine's loaders unpickle what they fetch with whatever code it holds.
"""
import hashlib
import os
import re
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ddp_perception.checkpoints.refusals import RefusedObject, one_line

_HASHED = re.compile(r'-[0-9a-f]{8,64}\.\w+$')
"""Names of published files end like this; others are not unique."""
_PUBLISHED = {'torchvision': 'get_torchvision_models',
              'modelzoo': 'get_torchvision_models',
              'open-mmlab': 'get_external_models',
              'openmmlab': 'get_external_models', 'mmcls': 'get_mmcls_models'}
"""Schemes of mmengine, and its functions that list their addresses."""


def is_address(path: str | Path) -> bool:
    """Tell whether something is an address rather than the path of a file."""
    return '://' in str(path)


def fetch(address: str) -> Path:
    """Return the file behind an address, after fetching it where needed.

    Files go where torch.hub keeps its own, though never under a name by which other
    programs would take them for theirs, and unpickle them with all that they call.
    With several processes the first one fetches, so all must call this.

    Args:
        address: http, https, or a name that mmengine knows (torchvision,
            open-mmlab, mmcls).

    Raises:
        RefusedObject: it has another scheme.
        ValueError: there is no published model of that name.
        OSError: it cannot be fetched.
    """
    scheme, _, name = address.partition('://')
    scheme = scheme.lower()
    if scheme in _PUBLISHED:
        address = _published(scheme, name)
        if not is_address(address):  # a file in mmengine's home folder
            return Path(address)
        scheme = address.partition('://')[0].lower()
    if scheme not in ('http', 'https'):
        raise RefusedObject(
            f'checkpoints are fetched by http, https, {", ".join(_PUBLISHED)}, not '
            f'from {address}; fetch the file yourself and give its path')
    return _download(address)


def _published(scheme: str, name: str) -> str:
    from mmengine.runner import checkpoint
    known = getattr(checkpoint, _PUBLISHED[scheme])()
    if 'mmlab' in scheme:
        name = checkpoint.get_deprecated_model_names().get(name, name)
    if name not in known:
        raise ValueError(f'mmengine knows no model {name!r} at {scheme}://')
    if '://' in known[name]:
        return known[name]
    return os.path.join(checkpoint._get_mmengine_home(), known[name])


def _download(address: str) -> Path:
    import torch
    from mmengine.dist import barrier, is_main_process
    folder = Path(torch.hub.get_dir(), 'checkpoints')
    path = folder / _file_name(address)
    theirs = folder / path.name.partition('-')[2]
    if _HASHED.search(theirs.name) and theirs.is_file():  # torch.hub's own, or a copy
        return theirs
    if is_main_process() and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:  # under another name until it is complete
            torch.hub.download_url_to_file(address, str(path),
                                           progress=os.isatty(2))
        except (HTTPException, ValueError) as error:  # no HTTP, or no such address
            raise OSError(f'{address} cannot be fetched: {one_line(error)}') from error
    barrier()
    if not path.is_file():
        raise FileNotFoundError(f'{address} was not fetched to {path}')
    return path


def _file_name(address: str) -> str:
    name = unquote(urlsplit(address).path).rsplit('/', 1)[-1]
    name = re.sub(r'[^\w.-]', '_', name, flags=re.ASCII).lstrip('.')[-120:]
    return f'{hashlib.sha256(address.encode()).hexdigest()[:16]}-{name or "file"}'
