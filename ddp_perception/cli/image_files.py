"""Which images ``ddp-perception predict`` reads and which files it writes."""
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ddp_perception.cli.errors import UserError
from ddp_perception.datasets.png_header import read_png_header
from ddp_perception.file_names import output_name
from ddp_perception.wording import counted

SUFFIXES = ('.png', '.jpg', '.jpeg')
INFO_SUFFIXES = ('.json', '.pkl', '.pickle')


def is_image(path: str | Path) -> bool:
    """Whether a name ends like an image's, in upper or lower case."""
    return Path(path).suffix.lower() in SUFFIXES


def find_images(path: str | Path, out_dir: str | Path | None = None
                ) -> tuple[Path, list[Path]]:
    """Return the images that are meant.

    Args:
        path: An image, or a folder that is searched with all
            folders below it, but for `out_dir`. What a folder holds of 16-bit
            grey PNGs, depth maps as a rule, is left out and printed.
        out_dir: Where predictions go, if to files.

    Returns:
        A folder and the images in it, relative to it and sorted.

    Raises:
        UserError: there is none, or `path` is something else.
    """
    path = Path(path).expanduser()
    kinds = ', '.join(SUFFIXES)
    if path.is_file():
        if path.suffix.lower() in INFO_SUFFIXES:
            raise UserError(
                f'{path} is an info file, but the test pipeline of this '
                f'configuration takes an image ({kinds}) or a folder of images')
        if not is_image(path):
            raise UserError(f'{path} must be an image ({kinds}) or a folder of '
                            'images')
        if _holds_measurements(path):
            raise UserError(f'{path} is a 16-bit grey PNG, as depth maps are; '
                            'expected a photograph')
        return path.parent, [Path(path.name)]
    if not path.is_dir():
        raise UserError(f'{path} is neither an image nor a folder')
    out_dir = None if out_dir is None else Path(out_dir).expanduser().resolve()
    if path.resolve() == out_dir:
        raise UserError(f'--out {path} is the folder of the images; '
                        'predictions must go to another one')
    images = sorted(
        file.relative_to(path) for file in path.rglob('*')
        if is_image(file) and file.is_file() and not file.name.startswith('.')
        and out_dir not in file.resolve().parents)
    photographs = [image for image in images if not _holds_measurements(path / image)]
    others = counted(len(images) - len(photographs), '16-bit grey PNGs')
    if not photographs:
        raise UserError(f'{path} has no image ({kinds}), nor have the folders '
                        'in it' + (f', but {others}, as depth maps are'
                                   if images else ''))
    if len(photographs) < len(images):
        print(f'leaving out {others}, as depth maps are, of {path}')
    return path, photographs


def _holds_measurements(path: Path) -> bool:
    """Whether a file is a 16-bit grey PNG; a damaged one is not known to be."""
    try:
        return read_png_header(path).holds_measurements
    except (OSError, ValueError):
        return False


def output_stems(images: Sequence[Path]) -> list[Path]:
    """Name the outputs of each image, so that no two share a name.

    An image's outputs begin with its path without the suffix, its name as
    `output_name` has it; images that differ in the suffix alone keep it, as in
    ``a_png`` and ``a_jpg``.

    Args:
        images: Relative paths.

    Returns:
        Relative paths to which an ending is added.

    Raises:
        UserError: two would still have the same name.
    """
    def folded(path: Path) -> str:
        return str(path).casefold()  # some disks do not tell a from A

    shared = Counter(folded(image.with_suffix('')) for image in images)
    stems: list[Path] = []
    owners: dict[str, Path] = {}
    for image in images:
        stem = image.with_suffix('')
        if shared[folded(stem)] > 1:
            stem = stem.with_name(f'{stem.name}_{image.suffix[1:]}')
        stem = stem.with_name(output_name(stem.name))
        owner = owners.setdefault(folded(stem), image)
        if owner != image:
            raise UserError(f'the predictions of {owner} and {image} would have '
                            f'the same name, {stem}; rename one of them')
        stems.append(stem)
    return stems
