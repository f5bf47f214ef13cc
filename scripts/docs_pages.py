"""Hook of mkdocs: the site is the repository's own pages, where they lie.

A page's address on the site is its path in the repository, so that one text with
one set of relative links serves both. Configurations come along as text.
"""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = {
    'Guides': ('docs/installation.md', 'docs/*.md'),
    'Projects': ('projects/*/README.md', ),
    'Tasks outside the package': ('examples/*/README.md', ),
    'The project': ('CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'),
}
"""Sections of the navigation, and the pages in each."""
ATTACHED = ('LICENSE', 'model-index.yml', 'docs/*.jpg', 'docs/*.png',
            'projects/*/configs/**/*.py', 'examples/**/*.py')
"""What pages show or link to besides pages."""


def matching(*patterns: str) -> list[str]:
    """Return paths from the root that fit patterns, each once, in order."""
    return list(dict.fromkeys(
        path.relative_to(ROOT).as_posix() for pattern in patterns
        for path in sorted(ROOT.glob(pattern))))


def pages() -> list[str]:
    """Return the paths of all pages."""
    return matching('README.md', *(pattern for patterns in SECTIONS.values()
                                   for pattern in patterns))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every page in the navigation, under its own heading."""
    nav: list[Any] = [{'Home': 'README.md'}]
    nav += [{title: list(matching(*patterns))} for title, patterns in SECTIONS.items()]
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the pages from all over the repository in place of one folder's."""
    from mkdocs.structure.files import File
    for file in list(files.documentation_pages()) + list(files.media_files()):
        if Path(file.abs_src_path or '').is_relative_to(config.docs_dir):
            files.remove(file)
    for path in pages() + matching(*ATTACHED):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files
