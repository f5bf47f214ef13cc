"""Read a page as a browser would."""
import re
from html.parser import HTMLParser

VOID = {'meta', 'img', 'br', 'link', 'input', 'hr'}


class Page(HTMLParser):
    """Tags, tables and words of a page; fails where tags do not close in order.

    Attributes:
        tags: name and attributes of each.
        tables: by the text before each, a list of lines of cells. A number is
            the exact one.
        words: all visible text.
    """

    def __init__(self, text):
        super().__init__()
        self.tags, self.tables, self.headings = [], {}, []
        self._open, self._said, self._named = [], [], {}
        self._rows, self._exact = [], None
        self.feed(text)
        self.close()
        assert not self._open
        self.words = ' '.join(' '.join(self._said).split())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag not in VOID:
            self._open.append((tag, attrs, []))
        if tag == 'table':
            self._rows = self.tables.setdefault(
                self._named[attrs['aria-labelledby']], [])
        elif tag == 'tr':
            self._rows.append([])

    def handle_data(self, data):
        for tag, _, said in self._open:
            if tag not in ('style', 'title'):
                said.append(data)
        if self._open and self._open[-1][0] not in ('style', 'title'):
            self._said.append(data)

    def handle_endtag(self, tag):
        opened, attrs, said = self._open.pop()
        assert tag == opened, f'{tag} closes {opened}'
        text = ' '.join(''.join(said).split())
        if tag == 'p' and 'id' in attrs:
            self._named[attrs['id']] = text
        elif tag in ('td', 'th'):
            self._rows[-1].append(text if self._exact is None else self._exact)
            self._exact = None
        elif tag == 'data':
            self._exact = float(attrs['value'])
        elif re.fullmatch(r'h\d', tag):
            self.headings.append(int(tag[1]))

    def all(self, tag):
        """Attributes of every tag of a name."""
        return [attrs for name, attrs in self.tags if name == tag]

    def figures(self, title):
        """Lines of a table by their names, without the heading."""
        return {name: cells for name, *cells in self.tables[title][1:]}
