"""The pages of the repository as a site: `make docs`."""
import os
import re
import runpy
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOOK = runpy.run_path(str(ROOT / 'scripts/docs_pages.py'))
PAGES = HOOK['pages']()
ATTACHED = HOOK['matching'](*HOOK['ATTACHED'])


def _text_without_code(page):
    text = (ROOT / page).read_text()
    text = re.sub(r'^```.*?^```', '', text, flags=re.S | re.M)
    return re.sub(r'`[^`\n]*`', 'code', re.sub(r'^    .*$', '', text, flags=re.M))


def _anchors(page):
    headings = re.findall(r'^#+ (.*)$', (ROOT / page).read_text(), re.M)
    return {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-')
            for heading in headings}


def test_every_page_of_the_repository_is_on_the_site():
    there = {str(path.relative_to(ROOT)) for pattern in
             ('*.md', 'docs/*.md', 'projects/*/*.md', 'examples/*/*.md')
             for path in ROOT.glob(pattern)}
    assert set(PAGES) == there
    assert len(PAGES) == len(set(PAGES)) > 15


@pytest.mark.parametrize('page', PAGES)
def test_relative_links_lead_to_what_the_site_has(page):
    there = {*PAGES, *ATTACHED}
    for link in re.findall(r'\]\(([^)\s]+)\)', _text_without_code(page)):
        target = urlsplit(link)
        if target.scheme:
            continue
        place = page
        if target.path:
            place = os.path.normpath(Path(page).parent / target.path)
            assert place in there, f'{link} in {page}: link to a file, not to a folder'
        if target.fragment:
            assert target.fragment in _anchors(place), f'{link} in {page}'


def test_site_is_strict_and_fetches_nothing_from_elsewhere():
    settings = yaml.safe_load((ROOT / 'mkdocs.yml').read_text())
    assert settings['strict'] is True
    assert {value for part in settings['validation'].values()
            for value in part.values()} == {'warn'}
    assert settings['theme']['font'] is False


class _Links(HTMLParser):

    def __init__(self, html):
        super().__init__()
        self.links, self.names, self.fetched = [], set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.names.add(attrs.get('id'))
        link = attrs.get('href') or attrs.get('src')
        if link and tag in ('link', 'script', 'img'):
            self.fetched.append(link)
        if link:
            self.links.append(link)


@pytest.mark.slow
def test_make_docs_builds_a_whole_site_without_a_warning(tmp_path):
    """Needs the package registry the first time."""
    done = subprocess.run(['make', 'docs', f'ARGS=--site-dir {tmp_path}'], cwd=ROOT,
                          capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'WARNING -' not in done.stdout + done.stderr
    built = {path: _Links(path.read_text()) for path in tmp_path.rglob('*.html')
             if path.name != '404.html'}  # its links depend on where it is shown
    assert len(built) >= len(PAGES)
    for path, page in built.items():
        assert not [link for link in page.fetched if urlsplit(link).netloc], path
        for link in page.links:
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            place = path
            if target.path:
                place = (path.parent / unquote(target.path)).resolve()
            if place.is_dir():
                place /= 'index.html'
            assert place.is_file(), f'{link} in {path}'
            if target.fragment and place in built:
                names = built[place].names
                assert unquote(target.fragment) in names, f'{link} in {path}'
