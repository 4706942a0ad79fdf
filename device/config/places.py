"""Where each key of a TOML document stands, so that a wrong one can be shown with its line.

``tomllib`` keeps no positions. This walks a document that ``tomllib`` has already accepted, so it need not
check anything: it only has to step over values rightly (https://toml.io/en/v1.0.0).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

Path = tuple[str | int, ...]
"""Keys and list indexes from the document's root."""

_SPACE = re.compile(r"(?:[ \t]|\r?\n|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")' + r"|'''.*?'{3,5}(?!')" + r"""|"(?:\\.|[^"\\])*"|'[^']*'""", re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def key_lines(text: str) -> dict[Path, int]:
    """Map the path of every key, table and list element of a valid TOML document to its line, from 1."""
    text = text.replace("\r\n", "\n")
    newlines = [match.start() for match in re.finditer("\n", text)]
    lines: dict[Path, int] = {}
    line = 0
    for path, position in _Walker(text).document():
        while line < len(newlines) and newlines[line] < position:
            line += 1
        lines.setdefault(path, line + 1)
    return lines


class _Walker:
    """Steps through one document, telling where each path begins, in the order of the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tables: dict[Path, int] = {}  # how many elements each array of tables has so far

    def document(self) -> Iterator[tuple[Path, int]]:
        table: Path = ()
        while self._skip() < len(self._text):
            start = self._at
            if self._text.startswith("[", start):
                array = self._text.startswith("[[", start)
                self._at += 2 if array else 1
                table = self._header(self._key(), array)
                self._at += 2 if array else 1
                for depth in range(1, len(table) + 1):
                    yield table[:depth], start
            else:
                yield from self._pair(table)

    def _skip(self) -> int:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _key(self) -> list[str]:
        parts = []
        while match := _KEY.match(self._text, self._at):
            self._at = match.end()
            quoted = match[1][0] in "\"'"
            parts.append(tomllib.loads(f"k={match[1]}")["k"] if quoted else match[1])
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return parts

    def _header(self, keys: list[str], array: bool) -> Path:
        path: Path = ()
        for index, key in enumerate(keys):
            path = (*path, key)
            if array and index == len(keys) - 1:
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        return path

    def _pair(self, table: Path) -> Iterator[tuple[Path, int]]:
        start = self._at
        path = table
        for key in self._key():
            path = (*path, key)
            yield path, start
        self._at += 1  # the equals sign
        yield from self._value(path)

    def _value(self, path: Path) -> Iterator[tuple[Path, int]]:
        opening = self._text[self._skip()]
        if opening not in "[{":
            pattern = _STRING if opening in "\"'" else _SCALAR
            match = pattern.match(self._text, self._at)
            self._at = match.end() if match else len(self._text)
            return
        self._at += 1
        index = 0
        while self._text[self._skip()] not in "]}":
            if opening == "[":
                yield (*path, index), self._at
                yield from self._value((*path, index))
                index += 1
            else:
                yield from self._pair(path)
            if self._text[self._skip()] == ",":
                self._at += 1
        self._at += 1
