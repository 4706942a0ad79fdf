"""What all voices have in common, whatever network speaks: clean text, short pieces, even loudness, known silence.

Clauses join well: every one begins with speech, has the loudness of all others and of all other voices, and ends
with the pause that its punctuation asks for.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from device.engines.protocols import Pronounced, SpeechPiece
from device.engines.tts_loudness import CALIBRATION, limited, measured_gain, sentence_gain
from device.events import Samples
from device.modelstore.catalogue import Model
from device.text.sentences import split_sentences
from device.text.verbalize import verbalize

LONGEST_PIECE: Final = 150
"""Characters made at once: working memory grows with the length, by 0.9 MB a character."""
_SENTENCE_SIGNS: Final = ".!?…।؟"
_WIDE_SENTENCE_SIGNS: Final = "。\uff01\uff1f"
_CLAUSE_SIGNS: Final = ",;:—\u2013،؛"
_WIDE_CLAUSE_SIGNS: Final = "、\uff0c\uff1b\uff1a"
PAUSES: Final = {
    **dict.fromkeys(_SENTENCE_SIGNS + _WIDE_SENTENCE_SIGNS, 0.25),
    **dict.fromkeys(_CLAUSE_SIGNS + _WIDE_CLAUSE_SIGNS, 0.12),
}
PLAIN_PAUSE: Final = 0.04
"""Seconds of silence after a piece of text, by its last sign, and where it has none."""

_SILENCE: Final = 10 ** (-45 / 20)
_EDGE: Final = 0.03
_FADE: Final = 0.01
_FRAMES: Final = 200
"""Frames a second in which silence is looked for."""
_SPEAKABLE: Final = {"L", "N"}
_SILENT: Final = {"So", "Sk", "Cf", "Co", "Cn", "Cs"}
_KEPT: Final = "°\u200c\u200d"
_SENTENCE_END: Final = re.compile(rf"(?<=[{_SENTENCE_SIGNS}])\s+|(?<=[{_WIDE_SENTENCE_SIGNS}])|\n+")
_CLAUSE_END: Final = re.compile(rf"(?<=[{_CLAUSE_SIGNS}])\s+|(?<=[{_WIDE_CLAUSE_SIGNS}])")


@dataclass(frozen=True, slots=True)
class Raw:
    """What a network makes of one sentence.

    Attributes
    ----------
    sound
        In pieces, in order.
    words
        When each word begins and ends, in seconds from the first sample; empty where the network does not tell.
    """

    sound: Iterator[Samples]
    words: tuple[tuple[float, float], ...] = ()


class Voice(ABC):
    """A voice that speaks sentences; adapters say how one is made."""

    sample_rate: int

    def __init__(self, model: Model, name: str, language: str) -> None:
        self.model_id = model.id
        self.language = language
        self.voice = name
        self.gain = 0.0
        """What makes it as loud as all voices, in dB."""

    @abstractmethod
    def _make(self, words: Sequence[Pronounced]) -> Raw:
        """Speak one sentence of at most `LONGEST_PIECE` characters, as the network does it."""

    def stream(self, text: str, *, rate: float = 1.0) -> Iterator[Samples]:
        """Speak ``text`` piece by piece, the first one soon: mono float32 within [-1, 1]."""
        for piece in self._pieces(text):
            tail = None
            for part in self.speak([Pronounced(piece, rate=rate)]):
                yield part.samples
                tail = part.tail
            if tail is not None:
                yield np.zeros(round(pause_after(piece) / rate * self.sample_rate), np.float32)

    def _pieces(self, text: str) -> Iterator[str]:
        for sentence in split_sentences(speakable(text), self.language):
            yield from pieces(verbalize(sentence, self.language))

    def synthesize(self, text: str) -> Samples:
        """Speak ``text`` in one piece; empty where there is nothing to say."""
        parts = list(self.stream(text))
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def settle(self, gain: float | None) -> None:
        """Say something once, so that the first real sentence does not wait; measure the gain where it is not known."""
        if gain is None:
            self.calibrate()
        else:
            self.gain = gain
            self.synthesize("1, 2.")

    def calibrate(self) -> float:
        """Measure how loud the voice is, and speak as loud as all others from now on; return the gain in dB."""
        self.gain = low = -20.0  # far from what the limiter bends
        spoken = [part.samples for text in CALIBRATION for part in self.speak([Pronounced(text)])]
        self.gain = low + measured_gain(np.concatenate([np.zeros(0, np.float32), *spoken]), self.sample_rate)
        return self.gain

    def speak(self, words: Sequence[Pronounced]) -> Iterator[SpeechPiece]:
        """Speak one sentence or clause: silence around it cut, its loudness even, its edges faded.

        Silence is what stays 45 dB below the loudest frame so far; `_EDGE` seconds of it are kept on either side.
        """
        raw = self._make(words)
        hop = max(1, self.sample_rate // _FRAMES)
        edge, fade = round(_EDGE * self.sample_rate), round(_FADE * self.sample_rate)
        gain = loudest = 0.0
        power, heard = 0.0, 0  # of the speech so far: the sum of its squares, and its samples
        held = np.zeros(0, np.float32)
        for piece in raw.sound:
            held = np.concatenate((held, np.nan_to_num(piece, posinf=0.0, neginf=0.0)))
            level = _level(held, hop)
            loudest = max(loudest, float(level.max(initial=0.0)))
            loud = np.flatnonzero(level > max(loudest * _SILENCE, 1e-6))
            if not len(loud):
                continue
            ready = int(loud[-1] + 1) * hop  # what comes after may be the silence at the end: it stays back
            times: tuple[tuple[float, float], ...] = ()
            lead = 0.0
            start = 0 if gain else int(loud[0]) * hop
            power, heard = power + float(np.sum(held[start:ready] ** 2)), heard + ready - start
            before, gain = gain, sentence_gain(power / heard, self.gain)
            if not before:
                before = gain
                first = max(0, int(loud[0]) * hop - edge)
                lead = (int(loud[0]) * hop - first) / self.sample_rate
                held, ready = held[first:], ready - first
                held[:fade] *= np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)[: len(held)]
                times = _shifted(raw.words, first / self.sample_rate, lead) or _estimated(
                    words, lead, ready / self.sample_rate
                )
            yield SpeechPiece(limited(held[:ready] * _ramp(before, gain, fade * 5, ready)), times, lead)
            held = held[ready:]
        if gain:
            held = held[:edge] * gain
            held *= np.linspace(1.0, 0.0, len(held), dtype=np.float32)
            yield SpeechPiece(limited(held), tail=len(held) / self.sample_rate)


def _ramp(before: float, after: float, length: int, count: int) -> Samples:
    """Return ``count`` factors that go from one gain to the next within ``length`` samples."""
    return np.interp(np.arange(count), [0, length], [before, after]).astype(np.float32)


def pause_after(text: str) -> float:
    """Return the seconds of silence that the last sign of ``text`` asks for."""
    bare = text.rstrip("\"'’”»›)]}」』】》〉） ")  # noqa: RUF001
    return PAUSES.get(bare[-1:], PLAIN_PAUSE)


def speakable(text: str) -> str:
    """Return ``text`` without what no voice can say: control characters, emoji, symbols that only show.

    Letters, digits, punctuation, marks, currency and mathematical signs stay. Brackets go, because piper
    takes ``[[…]]`` for phonemes.
    """
    kept = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if character not in _KEPT and (category in _SILENT or "\ufe00" <= character <= "\ufe0f"):
            continue
        kept.append(" " if category == "Cc" and character != "\n" else character)
    return "".join(kept).replace("[", " ").replace("]", " ").strip()


def pieces(text: str) -> list[str]:
    """Split ``text`` into sentences, and those that are too long at clauses, else between words.

    Returns
    -------
    list of str
        Pieces of at most `LONGEST_PIECE` characters that hold a letter or a digit, in order.
    """
    found: list[str] = []
    for sentence in _SENTENCE_END.split(text):
        if len(sentence) <= LONGEST_PIECE:
            found.append(sentence)
            continue
        rest = ""
        for clause in _CLAUSE_END.split(sentence):
            for word in clause.split():
                for start in range(0, len(word), LONGEST_PIECE):
                    part = word[start : start + LONGEST_PIECE]
                    if len(rest) + 1 + len(part) > LONGEST_PIECE:
                        found.append(rest)
                        rest = part
                    else:
                        rest = f"{rest} {part}".strip()
            if len(rest) > LONGEST_PIECE // 2:
                found.append(rest)
                rest = ""
        found.append(rest)
    return [piece.strip() for piece in found if any(unicodedata.category(c)[0] in _SPEAKABLE for c in piece)]


def _level(samples: Samples, hop: int) -> Samples:
    """Return the root mean square of every ``hop`` samples."""
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    level: Samples = np.sqrt(np.mean(frames**2, axis=1)) if len(frames) else np.zeros(0, np.float32)
    return level


def _shifted(words: Sequence[tuple[float, float]], by: float, lead: float) -> tuple[tuple[float, float], ...]:
    """Return word times after ``by`` seconds were cut off; the first word begins where it is heard."""
    times = [(max(0.0, start - by), max(0.0, end - by)) for start, end in words]
    if times:
        times[0] = (min(lead, times[0][1]), times[0][1])
    return tuple(times)


def _estimated(words: Sequence[Pronounced], begin: float, end: float) -> tuple[tuple[float, float], ...]:
    """Return word times by the letters before each, for networks that do not tell."""
    weights = [len(word.phonemes or word.text) + 1.0 for word in words]
    times = begin + (end - begin) * np.concatenate(([0.0], np.cumsum(weights))) / sum(weights)
    return tuple((float(a), float(b)) for a, b in pairwise(times))
