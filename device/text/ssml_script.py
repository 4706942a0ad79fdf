"""Turns what a document says into sentences of words, each with its own manner: what a voice speaks in one breath.

A change of pace or pitch in the middle of a sentence does not cut it; a change of voice, a break and the end of a
paragraph do.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from device.text.sentences import split_sentences
from device.text.ssml import Bookmark, End, Manner, Part, Pause, Say
from device.text.verbalize import spoken_words

LONGEST: Final = 150
"""Characters of a sentence as it is spoken; a longer one is cut at a comma, else between words."""
PARAGRAPH_PAUSE: Final = 0.6
_SENTENCE_PAUSE: Final = 0.25
_OPAQUE: Final = "\ue000"
"""Stands for what is said otherwise while sentences are looked for: its full stops end none."""
_CLAUSE_END: Final = re.compile(r"[,;:—、，；：]$")  # noqa: RUF001
_SPOKEN: Final = re.compile(r"\w")
_ATTACHED: Final = re.compile(r"^[^\w\s]+$")


@dataclass(frozen=True, slots=True)
class ScriptWord:
    """One word of a script."""

    text: str
    """As it is written, with its punctuation."""
    spoken: str
    """As it is said."""
    manner: Manner
    phonemes: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said in one breath by one voice.

    Attributes
    ----------
    text
        As it is written.
    words
        At least one, and something of it can be said.
    marks
        Bookmarks, each with the number of the word that it stands before.
    pause
        Seconds of silence that the text asks for after it; None leaves it to its last sign.
    first, last
        Whether it begins and ends a sentence of the text; a long one is cut.
    """

    text: str
    words: tuple[ScriptWord, ...]
    marks: tuple[tuple[int, str], ...] = ()
    pause: float | None = None
    first: bool = True
    last: bool = True

    @property
    def manner(self) -> Manner:
        """Whose voice it is, and in which language."""
        return self.words[0].manner


Script = Sentence | Pause | Bookmark


@dataclass(slots=True)
class _Run:
    """What one voice says without a break."""

    language: str
    says: list[tuple[int, Say]] = field(default_factory=list)
    marks: deque[tuple[int, str]] = field(default_factory=deque)
    length: int = 0

    def add(self, say: Say) -> None:
        if self.length and not say.glued:
            self.length += 1
        self.says.append((self.length, say))
        self.length += len(say.text)

    def texts(self) -> tuple[str, str]:
        """Return the text, and the same with a letter for all that is said otherwise."""
        text: list[str] = []
        hidden: list[str] = []
        done = 0
        for at, say in self.says:
            space = " " * (at - done)
            text += [space, say.text]
            hidden += [space, _OPAQUE * len(say.text) if say.spoken or say.phonemes else say.text]
            done = at + len(say.text)
        return "".join(text), "".join(hidden)


def write_script(parts: Iterable[Part], language_of: Callable[[Manner], str]) -> Iterator[Script]:
    """Yield the sentences, breaks and bookmarks of a document, in order.

    Parameters
    ----------
    parts
        From `device.text.ssml.parse_ssml`.
    language_of
        Tells which language is spoken in a manner: that of the voice.
    """
    held: Sentence | None = None  # until it is known whether a paragraph ends after it
    for item in _cut_up(parts, language_of):
        if isinstance(item, End):
            if held is not None and (held.pause is None or held.manner.sentence_pause is None):
                held = _paused(held, PARAGRAPH_PAUSE)
            continue
        if held is not None:
            yield held
        held = item if isinstance(item, Sentence) else None
        if not isinstance(item, Sentence):
            yield item
    if held is not None:
        yield held


def _cut_up(parts: Iterable[Part], language_of: Callable[[Manner], str]) -> Iterator[Script | End]:
    """Yield sentences, breaks, bookmarks, and the ends of paragraphs."""
    run: _Run | None = None
    voice: tuple[str, str, str] | None = None
    for part in parts:
        if isinstance(part, Say):
            who = (part.manner.voice, part.manner.gender, part.manner.language)
            if run is not None and who != voice and run.says:
                yield from _sentences(run)
                run = None
            if run is None or not run.says:
                marks = run.marks if run else deque[tuple[int, str]]()
                run = _Run(language_of(part.manner), marks=marks)
            voice = who
            run.add(part)
        elif isinstance(part, Bookmark):
            if run is None:
                yield part
            else:
                run.marks.append((run.length, part.name))
        else:
            if run is not None:
                yield from _sentences(run, ended=isinstance(part, End))
                run = None
            if isinstance(part, Pause) or part.paragraph:
                yield part
    if run is not None:
        yield from _sentences(run)


def _sentences(run: _Run, *, ended: bool = False) -> Iterator[Script]:
    """Yield the sentences of a run; the last one ends as a sentence does where the document says so (``ended``)."""
    marks = run.marks
    whole, hidden = run.texts()
    start = first = 0
    made: list[Sentence] = []
    for text in split_sentences(hidden, run.language):
        stop = start + len(text)
        while first < len(run.says) - 1 and run.says[first + 1][0] <= start:
            first += 1
        words, places = _words(run, first, whole, start, stop)
        own: list[tuple[int, str]] = []
        while marks and (marks[0][0] < stop or stop >= len(whole)):
            place, name = marks.popleft()
            own.append((sum(at <= place for at in places), name))
        if words:
            made += _cut(whole[start:stop].strip(), words, own)
        else:
            yield from made
            made = []
            yield from (Bookmark(name) for _, name in own)
        start = stop
    for number, sentence in enumerate(made):
        asked = sentence.manner.sentence_pause
        if asked is None and ended and number == len(made) - 1:
            asked = _SENTENCE_PAUSE
        yield sentence if asked is None or not sentence.last else _paused(sentence, asked)
    yield from (Bookmark(name) for _, name in marks)


def _paused(sentence: Sentence, pause: float) -> Sentence:
    return Sentence(sentence.text, sentence.words, sentence.marks, pause, sentence.first, sentence.last)


def _words(run: _Run, first: int, whole: str, start: int, stop: int) -> tuple[list[ScriptWord], list[int]]:
    """Return the words between two places of a run, and where each ends; ``first`` is what is said at ``start``."""
    found: list[ScriptWord] = []
    places: list[int] = []
    for at, say in islice(run.says, first, None):
        low, high = max(at, start), min(at + len(say.text), stop)
        if at >= stop:
            break
        if low >= high:
            continue
        text = whole[low:high]
        otherwise = say.spoken or (text if say.phonemes else "")
        pairs = [(text, otherwise)] if otherwise else spoken_words(text, run.language)
        place = low
        for written, spoken in pairs:
            place = whole.find(written, place, high) + len(written)
            if (
                found and say.glued and place - len(written) == at and _ATTACHED.match(written)
            ):  # a sign that follows what is said otherwise
                before = found[-1]
                found[-1] = ScriptWord(before.text + written, before.spoken + written, before.manner, before.phonemes)
                places[-1] = place
            else:
                for number, part in enumerate(_short(spoken)):  # only the first part stands for what is written
                    found.append(ScriptWord("" if number else written, part, say.manner, say.phonemes))
                    places.append(place)
    if not any(_SPOKEN.search(word.spoken) or word.phonemes for word in found):
        return [], []
    return found, places


def _short(spoken: str) -> list[str]:
    """Cut what is said for one word so that each part can be spoken at once."""
    if len(spoken) <= LONGEST:
        return [spoken]
    parts = [""]
    for word in spoken.split():
        for piece in (word[i : i + LONGEST] for i in range(0, len(word), LONGEST)):
            if len(parts[-1]) + len(piece) >= LONGEST:
                parts.append("")
            parts[-1] = f"{parts[-1]} {piece}".strip()
    return [part for part in parts if part]


def _cut(text: str, words: list[ScriptWord], marks: list[tuple[int, str]]) -> list[Sentence]:
    """Cut a sentence that is too long to be spoken at once, best after a comma."""
    groups: list[list[ScriptWord]] = [[]]
    length = 0
    for word in words:
        if groups[-1] and length + len(word.spoken) + 1 > LONGEST:
            groups.append([])
            length = 0
        groups[-1].append(word)
        length += len(word.spoken) + 1
        if length > LONGEST // 2 and _CLAUSE_END.search(word.spoken) and word is not words[-1]:
            groups.append([])
            length = 0
    groups = [group for group in groups if group]
    made, first = [], 0
    for number, group in enumerate(groups):
        last = number == len(groups) - 1
        own = tuple((i - first, name) for i, name in marks if first <= i < first + len(group) or (last and i >= first))
        made.append(Sentence(text, tuple(group), own, None, number == 0, last))
        first += len(group)
    return made
