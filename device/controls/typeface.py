"""Text of any script as a picture: each stretch in an installed font that has its letters, wrapped to a width.

Shaping and the direction of a stretch are Raqm's, which Pillow carries; which fonts there are is fontconfig's to say.
"""

from __future__ import annotations

import shutil
import subprocess
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

NO_LETTER = "\U0010fffd"
"""A private code point that no font has: its picture is what a font shows for letters it lacks."""
PLAIN = ("Sans-Regular", "Sans", "Regular", "")
"""Parts of a file's name, the most wanted first."""
RIGHT_TO_LEFT = {"R", "AL"}
"""Bidirectional classes of letters (Unicode annex 9)."""


class Typeface:
    """Fonts of one size, found as they are needed.

    Parameters
    ----------
    size
        Height of the letters in pixels.
    preferred
        A font file to try first.
    """

    def __init__(self, size: int, preferred: Path | None = None) -> None:
        self.size = size
        self._fonts: list[Any] = [] if preferred is None else [ImageFont.truetype(str(preferred), size)]
        self._chosen: dict[str, Any] = {}
        self._font("a")  # signs must not bring a strange font in before the letters

    @cached_property
    def line_height(self) -> int:
        """Pixels from one line to the next."""
        return round(self.size * 1.25)

    def width(self, text: str) -> int:
        """Return how wide a line of text is, in pixels."""
        return sum(round(font.getlength(stretch)) for font, stretch in self._stretches(text))

    def wrap(self, text: str, width: int) -> list[str]:
        """Return the lines of a text that are at most so wide; a word that is wider, or has no spaces, is cut."""
        lines: list[str] = []
        line = ""
        for word in _words(text):
            if self.width((line + word).rstrip()) <= width:
                line += word
                continue
            if line.strip():
                lines.append(line.strip())
            line = word.lstrip()
            while self.width(line) > width:
                cut = self._fitting(line, width)
                lines.append(line[:cut])
                line = line[cut:]
        return [*lines, line.strip()] if line.strip() else lines

    def draw(self, picture: ImageDraw.ImageDraw, text: str, top: int, width: int, fill: Any) -> None:
        """Draw one line, at the left, or where it is written from right to left at the right."""
        stretches = list(self._stretches(text))
        backwards = is_right_to_left(text)
        at = width if backwards else 0
        baseline = top + self.size
        for font, stretch in stretches:
            length = round(font.getlength(stretch))
            at -= length if backwards else 0
            picture.text((at, baseline), stretch, font=font, fill=fill, anchor="ls")
            at += 0 if backwards else length

    def _fitting(self, text: str, width: int) -> int:
        """Return how many characters fit, at least one, with what combines with the last of them."""
        low, high = 1, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.width(text[:middle]) <= width else (low, middle - 1)
        while low < len(text) and unicodedata.category(text[low]).startswith("M"):
            low += 1
        return low

    def _stretches(self, text: str) -> Iterator[tuple[Any, str]]:
        """Yield the text in stretches of one font; spaces and marks stay with what stands before them."""
        font: Any = None
        fonts = []
        for letter in text:
            if font is None or not (letter.isspace() or unicodedata.category(letter)[0] in "MC"):
                font = self._font(letter)
            fonts.append(font)
        for _, pairs in groupby(zip(fonts, text, strict=True), key=lambda pair: id(pair[0])):
            stretch = list(pairs)
            yield stretch[0][0], "".join(letter for _, letter in stretch)

    def _font(self, letter: str) -> Any:
        if letter not in self._chosen:
            if len(self._chosen) > 10_000:
                self._chosen.clear()
            self._chosen[letter] = self._find(letter)
        return self._chosen[letter]

    def _find(self, letter: str) -> Any:
        for font in self._fonts:
            if _has(font, letter):
                return font
        for path in installed_fonts(letter):
            try:
                font = ImageFont.truetype(path, self.size)
            except OSError:
                continue
            if _has(font, letter):
                self._fonts.append(font)
                return font
        if not self._fonts:
            self._fonts.append(ImageFont.load_default(self.size))
        return self._fonts[0]  # which shows its box for letters it lacks


def installed_fonts(letter: str) -> list[str]:
    """Return the files of the fonts that have a letter, plain upright ones first; none without fontconfig."""
    program = shutil.which("fc-list")
    if program is None:
        return []
    command = [program, f":charset={ord(letter):x}:scalable=true", "file"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    paths = sorted({line.strip().rstrip(":") for line in listed.splitlines()})
    return sorted(paths, key=lambda path: next(i for i, part in enumerate(PLAIN) if part in Path(path).stem))


def is_right_to_left(text: str) -> bool:
    """Whether the first letter that has a direction is written from right to left."""
    classes = map(unicodedata.bidirectional, text)
    return next((c in RIGHT_TO_LEFT for c in classes if c in RIGHT_TO_LEFT or c == "L"), False)


def picture_of(lines: list[str], typeface: Typeface, size: tuple[int, int], mode: str) -> Image.Image:
    """Return lines of text as a picture, the first at the top, white on black."""
    image = Image.new(mode, size)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        typeface.draw(draw, line, number * typeface.line_height, size[0], "white")
    return image


def _words(text: str) -> Iterator[str]:
    """Yield words, each with the space before it."""
    start = 0
    for at in range(1, len(text)):
        if text[at].isspace() and not text[at - 1].isspace():
            yield text[start:at]
            start = at
    if text:
        yield text[start:]


def _has(font: Any, letter: str) -> bool:
    """Whether a font has a picture of its own for a letter."""
    if letter.isspace():
        return True
    return bytes(font.getmask(letter)) != bytes(font.getmask(NO_LETTER))
