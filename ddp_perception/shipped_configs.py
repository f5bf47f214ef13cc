"""The configurations that come with the package, found from any folder."""
from __future__ import annotations

import glob
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INDEX = 'model-index.yml'


def shipped_root() -> Path | None:
    """Return the folder that holds `projects` and the index of its configurations.

    In an installed package that is ``ddp_perception/.mim``, where OpenMMLab's
    packages keep theirs; in a checkout it is the root. None where neither is.
    """
    return next((folder for folder in (PACKAGE / '.mim', PACKAGE.parent)
                 if (folder / INDEX).is_file()), None)


def shipped_configs() -> list[Path]:
    """Return the files of all configurations that come with the package."""
    root = shipped_root()
    return sorted(root.glob('projects/*/configs/*.py')) if root else []


def find_config(given: str | Path) -> Path:
    """Return the file that a configuration's name or path stands for.

    A file of that path is always itself. Otherwise the path may begin with
    ``projects/`` from any folder, or be the name of one that comes with the
    package, with or without ``.py``.

    Args:
        given: Such as 'mine.py', 'projects/kitti_depth/configs/demo_kitti_cpu.py'
            or 'demo_kitti_cpu'.

    Returns:
        The file, or the path as given where there is none.
    """
    path, root = Path(given).expanduser(), shipped_root()
    if path.is_file() or root is None or path.is_absolute():
        return path
    if len(path.parts) == 1:
        name = glob.escape(path.name.removesuffix('.py'))
        return next(root.glob(f'projects/*/configs/{name}.py'), path)
    shipped = root / path
    return shipped if path.parts[0] == 'projects' and shipped.is_file() else path
