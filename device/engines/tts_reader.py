"""Reads a script aloud: sound, and when each sentence, word and bookmark is heard.

Pace is the network's own, word by word. Pitch and loudness are changed afterwards, where the words are heard; a
sentence whose pitch changes has to be whole before its first sound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from device.engines.protocols import Pronounced, SpeechPiece, Synthesizer
from device.engines.tts_loudness import limited
from device.engines.tts_pitch import Curve, change_pitch, median_pitch
from device.engines.tts_voice import pause_after
from device.events import Samples
from device.text.sentences import SPACELESS
from device.text.ssml import Manner, Pause
from device.text.ssml_script import Script, ScriptWord, Sentence

WORD: Final = "WordBoundary"
PUNCTUATION: Final = "PunctuationBoundary"
SENTENCE: Final = "SentenceBoundary"
Kind = Literal["WordBoundary", "PunctuationBoundary", "SentenceBoundary"]
_TOKEN: Final = re.compile(r"\w+(?:[^\w\s]+\w+)*|[^\w\s]")
_RAMP: Final = 0.01
"""Seconds in which loudness or pitch changes from one word to the next."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound: mono float32 at ``rate``."""

    samples: Samples
    rate: int


@dataclass(frozen=True, slots=True)
class Boundary:
    """A word, a sign or a sentence. Times are seconds from the start of the sound."""

    kind: Kind
    text: str
    start: float
    duration: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A bookmark was reached."""

    name: str
    start: float


Spoken = Sound | Boundary | Mark


class Reader:
    """Reads one script; sentences may be read on any thread, one after the other.

    Parameters
    ----------
    voice_of
        Returns the voice for a manner.
    """

    def __init__(self, voice_of: Callable[[Manner], Synthesizer]) -> None:
        self._voice_of = voice_of
        self._samples: dict[int, int] = {}
        self._rate = 16_000
        self._quiet: float | None = None
        """Silence wanted before the next word; None before the first."""
        self._asked: float | None = None
        """The same, where the document asks for it by breaks."""
        self._tail = 0.0
        """Silence at the end of what was said last."""
        self._marks: list[str] = []
        self._begun = 0.0
        """Where the sentence began of which this is a part."""

    @property
    def duration(self) -> float:
        """Seconds of sound so far."""
        return sum(count / rate for rate, count in self._samples.items())

    def read(self, item: Script) -> Iterator[Spoken]:
        """Say the next item of the script."""
        if isinstance(item, Sentence):
            yield from self._sentence(item)
        elif isinstance(item, Pause):
            if self._marks:
                yield from self._reached(self.duration - self._tail)
            self._asked = (self._asked or 0.0) + item.seconds
        else:
            self._marks.append(item.name)

    def finish(self) -> Iterator[Spoken]:
        """Say what is left: the silence at the end, and bookmarks behind it."""
        wanted = self._asked if self._asked is not None else self._quiet
        if wanted is not None:
            yield from self._silence(wanted - self._tail)
        yield from self._reached(self.duration)

    def _sentence(self, sentence: Sentence) -> Iterator[Spoken]:
        voice = self._voice_of(sentence.manner)
        words = sentence.words
        said = [Pronounced(w.spoken, w.phonemes, w.manner.rate) for w in words]
        pieces: Iterator[SpeechPiece] = voice.speak(said)
        if any(word.manner.pitched for word in words):
            pieces = _pitched(list(pieces), voice.sample_rate, words)
        start = 0
        times: Sequence[tuple[float, float]] = ()
        loud = any(word.manner.volume != 1 for word in words)
        begun = False
        for piece in pieces:
            samples = piece.samples
            if not begun:
                begun, times = True, piece.words
                cut = yield from self._pause_before(piece.lead, voice.sample_rate)
                samples = samples[cut:]
                start = cut
                at = self.duration - cut / voice.sample_rate
                if sentence.first:
                    self._begun = at + times[0][0]
                yield from self._tell(sentence, times, at)
            if loud:
                samples = limited(samples * _gains(words, times, start, len(samples), voice.sample_rate))
            start += len(samples)
            if len(samples):
                yield self._sound(samples, voice.sample_rate)
            self._tail = piece.tail
        if begun:
            pace = float(np.mean([word.manner.rate for word in words]))
            self._quiet = pause_after(words[-1].text) / pace if sentence.pause is None else sentence.pause
            self._asked = None
            self._marks += [name for place, name in sentence.marks if place >= len(words)]

    def _pause_before(self, lead: float, rate: int) -> Generator[Spoken, None, int]:
        """Be silent for as long as is wanted between two words; return how many samples of ``lead`` are too many."""
        wanted = self._asked if self._asked is not None else self._quiet
        self._asked = self._quiet = None
        surplus = 0.0
        if wanted is not None:
            missing = wanted - self._tail - lead
            surplus = min(lead, max(0.0, -missing))
            self._rate = rate
            yield from self._silence(missing)
        return round(surplus * rate)

    def _silence(self, seconds: float) -> Iterator[Spoken]:
        if (count := round(seconds * self._rate)) > 0:
            yield self._sound(np.zeros(count, np.float32), self._rate)

    def _sound(self, samples: Samples, rate: int) -> Sound:
        self._rate = rate
        self._samples[rate] = self._samples.get(rate, 0) + len(samples)
        return Sound(samples, rate)

    def _reached(self, at: float) -> Iterator[Mark]:
        names, self._marks = self._marks, []
        for name in names:
            yield Mark(name, at)

    def _tell(self, sentence: Sentence, times: Sequence[tuple[float, float]], at: float) -> Iterator[Spoken]:
        """Tell, before they are heard, when the sentence, its words and the bookmarks in it come."""
        yield from self._reached(at + times[0][0])
        end = at + times[-1][1]
        if sentence.last:
            yield Boundary(SENTENCE, sentence.text, self._begun, end - self._begun)
        marks = list(sentence.marks)
        for number, (word, (begin, stop)) in enumerate(zip(sentence.words, times, strict=True)):
            while marks and marks[0][0] <= number:
                yield Mark(marks.pop(0)[1], at + begin)
            yield from _boundaries(word, at + begin, at + stop)


def _boundaries(word: ScriptWord, start: float, end: float) -> Iterator[Boundary]:
    """Tell the words and signs of one written word; where it holds several, by their letters."""
    text = word.text
    tokens = _TOKEN.findall(text)
    if word.spoken != text or word.phonemes:  # what is said otherwise is one word, but for the signs around it
        bare = text.strip(".,;:!?…\"'()«»“”¿¡")
        if bare:
            before, _, after = text.partition(bare)
            tokens = [*before, bare, *after]
    elif word.manner.language.split("-")[0].lower() in SPACELESS:
        tokens = [part for token in tokens for part in token]
    letters = sum(len(token) for token in tokens if _is_word(token)) or 1
    at = start
    for token in tokens:
        long = (end - start) * len(token) / letters if _is_word(token) else 0.0
        yield Boundary(WORD if _is_word(token) else PUNCTUATION, token, at, long)
        at += long


def _is_word(token: str) -> bool:
    return any(character.isalnum() for character in token) or len(token) > 1


def _pitched(pieces: list[SpeechPiece], rate: int, words: Sequence[ScriptWord]) -> Iterator[SpeechPiece]:
    """Change the pitch of a whole sentence as its words' manners ask."""
    if not pieces:
        return
    whole = np.concatenate([piece.samples for piece in pieces])
    usual = median_pitch(whole, rate) or 150.0
    factors = [_factor(word.manner, usual) for word in words]
    curve = _curve(factors, pieces[0].words, 0, len(whole), rate)
    for first, last in _contoured(words):
        points = words[first].manner.contour
        begin, end = pieces[0].words[first][0], pieces[0].words[last][1]
        places = begin + (end - begin) * np.array([where for where, _, _ in points])
        changes = np.array([factor + shift / usual for _, factor, shift in points])
        low, high = int(begin * rate), int(end * rate) + 1
        moved = np.interp(np.arange(len(whole))[low:high] / rate, places, changes)
        curve[low:high] *= moved[: len(curve[low:high])]
    changed = limited(change_pitch(whole, rate, np.clip(curve, 0.4, 2.5)))
    yield SpeechPiece(changed, pieces[0].words, pieces[0].lead, pieces[-1].tail)


def _factor(manner: Manner, usual: float) -> float:
    tone = manner.tone / usual if manner.tone else 1.0
    return tone * manner.pitch + manner.shift / usual


def _contoured(words: Sequence[ScriptWord]) -> Iterator[tuple[int, int]]:
    """Yield the first and last word of every stretch with one contour."""
    first = 0
    for number, word in enumerate(words):
        if word.manner.contour != words[first].manner.contour:
            first = number
        ends = number + 1 == len(words) or words[number + 1].manner.contour != word.manner.contour
        if word.manner.contour and ends:
            yield first, number


def _gains(
    words: Sequence[ScriptWord], times: Sequence[tuple[float, float]], start: int, count: int, rate: int
) -> Samples:
    return _curve([word.manner.volume for word in words], times, start, count, rate).astype(np.float32)


def _curve(values: Sequence[float], times: Sequence[tuple[float, float]], start: int, count: int, rate: int) -> Curve:
    """Return a value for each of ``count`` samples from ``start``: that of its word, with short ramps between."""
    joints = [(a[1] + b[0]) / 2 for a, b in pairwise(times)]
    at, value = [0.0], [values[0]]
    for joint, before, after in zip(joints, values, values[1:], strict=False):
        if before != after:
            at += [max(at[-1], joint - _RAMP / 2), joint + _RAMP / 2]
            value += [before, after]
    return np.interp(np.arange(start, start + count) / rate, at, value)
