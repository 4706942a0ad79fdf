"""Cuts what was said into captions: how much stands on the screen, where it breaks, and how long it stays.

The measures are those of broadcasters (BBC Subtitle Guidelines; Netflix Timed Text Style Guide): two lines of 42
characters, 17 characters a second, at least a second on the screen. Lines and captions end at the ends of sentences
and clauses, and not after an article or a preposition.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from device.events import SpokenWord
from device.text.caption_lines import glue, share_out, units_of
from device.text.rules import primary
from device.text.sentences import SPACELESS, split_sentences

_WIDE_LINE: Final = 0.4
"""Characters of a line in a language without spaces, where each is twice as wide."""
_MOST_ALIGNED: Final = 400
"""Words of the longest utterance whose words are looked up one by one."""


@dataclass(frozen=True, slots=True)
class CaptionStyle:
    """What a caption may be. Lengths are characters, times seconds."""

    line_length: int = 42
    lines: int = 2
    reading_speed: float = 17.0
    """Characters a second that people can read."""
    shortest: float = 1.0
    longest: float = 7.0
    gap: float = 0.08
    """Between two captions, so that the eye sees the change."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: its lines, and when it is on the screen."""

    start: float
    end: float
    lines: tuple[str, ...]
    language: str
    second_language: str | None = None
    """Of the lines from `second` on, where there are two languages."""
    second: int = 0
    speaker: int | None = None
    """Who says it, where that is known; nobody else says anything in it."""

    @property
    def text(self) -> str:
        """The lines, one under the other."""
        return "\n".join(self.lines)


@dataclass(frozen=True, slots=True)
class Said:
    """A text and when it was said."""

    text: str
    language: str
    start: float
    end: float
    words: tuple[SpokenWord, ...] = ()
    """With their times, where the recogniser told them; they need not be spelled as in the text."""
    speaker: int | None = None


def speaker_label(speaker: int) -> str:
    """Return what stands before the words of a speaker where people read it, whatever they read: a number."""
    return f"{speaker}: "


def captions(
    said: Said, style: CaptionStyle, translation: tuple[str, str] | None = None, *, label: str = ""
) -> list[Cue]:
    """Return the captions of one utterance, in order.

    Parameters
    ----------
    said
        What was said, or its translation: without words its time is shared out by the letters.
    style
        What a caption may be.
    translation
        A text and its language to stand under ``said`` in the same captions.
    label
        What stands before the first word; no line ends after it.
    """
    blocks = _blocks(said.text, said.language, style, label)
    if not blocks:
        return []
    under: list[str] = []
    if translation is not None:
        under = _blocks(translation[0], translation[1], style)
        count = max(len(blocks), len(under))
        blocks, under = _into(blocks, said, count, label), _into(under, Said(*translation, 0, 0), count)
    times = _times(blocks, said)
    cues = []
    for number, (block, (start, end)) in enumerate(zip(blocks, times, strict=True)):
        lines = wrap(block, said.language, style, "" if number else label)
        cue = Cue(start, end, lines, said.language, speaker=said.speaker)
        if translation is not None and number < len(under) and under[number]:
            more = wrap(under[number], translation[1], style)
            cue = dataclasses.replace(cue, lines=(*lines, *more), second_language=translation[1], second=len(lines))
        cues.append(cue)
    return cues


def fit(cues: Iterable[Cue], style: CaptionStyle) -> list[Cue]:
    """Return captions in the order of time, none over another, each as long on the screen as it takes to read.

    A caption stays on longer where there is time before the next one; where there is none it begins earlier, by
    half a second at most.
    """
    ordered = sorted(cues, key=lambda cue: cue.start)
    out: list[Cue] = []
    for number, cue in enumerate(ordered):
        following = ordered[number + 1].start if number + 1 < len(ordered) else math.inf
        free_from = out[-1].end + style.gap if out else 0.0
        start = max(cue.start, free_from) if out and cue.start < out[-1].end else cue.start
        end = max(cue.end, start + needed(cue, style))
        end = min(end, max(following - style.gap, start + 0.2))
        short = needed(cue, style) - (end - start)
        if short > 0:
            start = max(free_from, start - min(short, 0.5), 0.0)
        out.append(dataclasses.replace(cue, start=start, end=max(end, start + 0.1)))
    return out


def needed(cue: Cue, style: CaptionStyle) -> float:
    """Return the seconds it takes to read a caption; of two languages people read one."""
    first = sum(map(len, cue.lines[: cue.second or None]))
    second = sum(map(len, cue.lines[cue.second :])) if cue.second else 0
    return min(max(style.shortest, max(first, second) / style.reading_speed), style.longest)


def wrap(text: str, language: str, style: CaptionStyle, label: str = "") -> tuple[str, ...]:
    """Return ``text`` in lines, as few and as even as can be; a line is only longer where one word is.

    A ``label`` stands before the first word, and no line ends after it.
    """
    units = units_of(text, language)
    limit = line_length(language, style)
    if not units:
        return ()
    whole = label + glue(units, language)
    if len(whole) <= limit:
        return (whole,)
    total = len(label) + sum(map(len, units)) + len(units) - 1
    for count in range(max(2, math.ceil(total / limit)), len(units) + 1):
        first, *others = share_out(units, language, count, label)
        pieces = (label + first, *others)
        if all(len(piece) <= limit for piece in pieces):
            return pieces
    return (label + units[0], *units[1:])


def line_length(language: str, style: CaptionStyle) -> int:
    """Return how many characters stand in a line."""
    if primary(language) in SPACELESS:
        return max(4, round(style.line_length * _WIDE_LINE))
    return style.line_length


def _blocks(text: str, language: str, style: CaptionStyle, label: str = "") -> list[str]:
    """Cut a text into what stands on the screen at once, so that a label before the first word has room."""
    text = " ".join(text.split())
    out: list[str] = []
    for sentence in split_sentences(text, language):
        core = sentence.strip()
        if not core:
            continue
        before = label if len(out) < 2 else ""
        if out and len(before) + len(out[-1]) + len(core) < line_length(language, style):
            out[-1] = _join(out[-1], core, language)
            continue
        before = "" if out else label
        units = units_of(core, language)
        count = max(1, math.ceil(len(before + core) / (style.lines * line_length(language, style))))
        while count <= len(units):
            pieces = share_out(units, language, count, before)
            if all(_fits(p, language, style, "" if n else before) for n, p in enumerate(pieces)):
                break
            count += 1
        else:
            pieces = units
        out += pieces
    return out


def _fits(text: str, language: str, style: CaptionStyle, label: str = "") -> bool:
    room = style.lines * line_length(language, style)
    return len(label + text) <= room and len(wrap(text, language, style, label)) <= style.lines


def _into(blocks: Sequence[str], said: Said, count: int, label: str = "") -> list[str]:
    """Return a text in exactly ``count`` captions; the last ones are empty where it has too few words."""
    if len(blocks) == count:
        return list(blocks)
    units = units_of(" ".join(blocks), said.language)
    pieces = share_out(units, said.language, min(count, len(units)), label) if units else []
    return [*pieces, *[""] * (count - len(pieces))]


def _join(first: str, second: str, language: str) -> str:
    apart = primary(language) not in SPACELESS or (first[-1:].isascii() and second[:1].isascii())
    return first + " " * apart + second


def _times(blocks: Sequence[str], said: Said) -> list[tuple[float, float]]:
    """Return when each caption's words were said."""
    words = [unit for block in blocks for unit in units_of(block, said.language)] or [""]
    spans = _spans(words, said)
    out, first = [], 0
    for block in blocks:
        count = max(1, len(units_of(block, said.language)))
        last = min(first + count, len(spans)) - 1
        first = min(first, last)
        out.append((spans[first][0], spans[last][1]))
        first += count
    return out


def _spans(words: Sequence[str], said: Said) -> list[tuple[float, float]]:
    """Return when each of a text's words was said: as the recogniser told it, else by their letters."""
    known: dict[int, tuple[float, float]] = {}
    if said.words and len(words) <= _MOST_ALIGNED:
        ours, theirs = [_bare(w) for w in words], [_bare(w.text) for w in said.words]
        for match in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
            for offset in range(match.size):
                heard = said.words[match.b + offset]
                known[match.a + offset] = (heard.start, heard.end)
    out: list[tuple[float, float]] = []
    anchors = [(-1, said.start, said.start), *((n, *span) for n, span in sorted(known.items()))]
    anchors.append((len(words), max(said.end, anchors[-1][2]), math.inf))
    for (before, _, left), (after, right, _) in itertools.pairwise(anchors):
        if before >= 0:
            out.append(known[before])
        between = words[before + 1 : after]
        total = sum(len(w) + 1 for w in between) or 1
        now = left
        for word in between:
            share = max(0.0, right - left) * (len(word) + 1) / total
            out.append((now, now + share))
            now += share
    return out


def _bare(word: str) -> str:
    return re.sub(r"[^\w]", "", word).lower()
