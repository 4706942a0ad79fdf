"""Who said it: tells the people of one conversation apart by their voices.

An utterance is divided where another person goes on without a pause, and every piece gets a number: people count from
1 in the order in which they first speak. The segmentation tells voices apart within an utterance; voiceprints tell
which of them are the same person's, and whose they are: online clustering by cosine similarity, as in Wang et al.,
"Speaker diarization with LSTM", 2018, where the mean of a person's voiceprints is what new ones are compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from device.engines.protocols import Segmenter, Voiceprints, VoiceTurn
from device.events import SAMPLE_RATE, Samples

SHORTEST = 0.25
"""Seconds below which nobody is believed to have said anything."""
ALIKE, ALIKE_SHORT = 0.42, 0.30
"""Cosine similarities from which two voiceprints are one person's: of `LONG` seconds, and of next to none."""
LONG = 1.5
STRANGERS = 0.6
"""Cosine similarity from which voices that the segmentation tells apart are one person's all the same."""
ENOUGH = 6.0
"""Seconds of somebody's speech that a voiceprint is made of at most."""
REMEMBERED = 30.0
"""Seconds of speech that a person's mean voiceprint weighs at most, so that it follows how the voice changes."""
MOST = 16
"""People who are told apart where nobody says how many there are."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How somebody sounds: a vector of length 1, and how many seconds of speech it was made of."""

    print: Samples
    seconds: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an utterance, in seconds from its beginning, that one person says."""

    start: float
    end: float
    voice: Voice | None


class Speakers:
    """The people of one conversation. `pieces` may be called from several threads; `number` from one at a time.

    Parameters
    ----------
    segmenter, voiceprints
        Loaded models.
    most
        How many people there are at most; 0 where nobody knows.
    """

    def __init__(self, segmenter: Segmenter, voiceprints: Voiceprints, most: int = 0) -> None:
        self._segmenter, self._voiceprints = segmenter, voiceprints
        self._most = most or MOST
        self._known: list[tuple[Samples, float]] = []

    def pieces(self, samples: Samples) -> list[Piece]:
        """Divide an utterance (16 kHz mono) where another person goes on; there is at least one piece."""
        whole = len(samples) / SAMPLE_RATE
        turns = [turn for turn in self._segmenter.turns(samples) if turn.end - turn.start >= SHORTEST]
        voices = self._voices(samples, turns)
        spoken = _alternating(turns, _same_people(voices))
        if not spoken:
            return [Piece(0.0, whole, self._voice(samples, [(0.0, whole)]))]
        edges = [0.0, *((before.end + after.start) / 2 for before, after in pairwise(spoken)), whole]
        return [
            Piece(start, end, voices.get(turn.voice))
            for turn, (start, end) in zip(spoken, pairwise(edges), strict=True)
        ]

    def number(self, voice: Voice | None) -> int | None:
        """Tell whose voice it is, and remember it; nothing where there is none."""
        if voice is None:
            return None
        alike = [float(mean @ voice.print) / max(float(np.linalg.norm(mean)), 1e-9) for mean, _ in self._known]
        best = int(np.argmax(alike)) if alike else -1
        is_known = bool(alike) and alike[best] >= _alike_from(voice.seconds)
        if not is_known and len(self._known) < self._most:
            self._known.append((voice.print * voice.seconds, voice.seconds))
            return len(self._known)
        if is_known:  # a stranger where nobody else is expected changes nobody's voice
            total, seconds = self._known[best]
            keep = np.float32(min(1.0, REMEMBERED / (seconds + voice.seconds)))
            self._known[best] = (total + voice.print * voice.seconds) * keep, (seconds + voice.seconds) * float(keep)
        return best + 1

    def _voices(self, samples: Samples, turns: Sequence[VoiceTurn]) -> dict[int, Voice]:
        found = {}
        for voice in sorted({turn.voice for turn in turns}):
            own = [(turn.start, turn.end) for turn in turns if turn.voice == voice]
            others = [(turn.start, turn.end) for turn in turns if turn.voice != voice]
            alone = _without(own, others)
            if sum(end - start for start, end in alone) < SHORTEST:
                alone = own
            if (heard := self._voice(samples, alone)) is not None:
                found[voice] = heard
        return found

    def _voice(self, samples: Samples, when: Iterable[tuple[float, float]]) -> Voice | None:
        parts = [samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] for start, end in when]
        speech = np.concatenate(parts)[: round(ENOUGH * SAMPLE_RATE)] if parts else samples[:0]
        if len(speech) < SHORTEST * SAMPLE_RATE:
            return None
        found = self._voiceprints.voiceprint(speech)
        return None if found is None else Voice(found, len(speech) / SAMPLE_RATE)


def _alike_from(seconds: float) -> float:
    """Return the similarity from which a voiceprint of so many seconds is a person's."""
    return ALIKE_SHORT + (ALIKE - ALIKE_SHORT) * min(1.0, seconds / LONG)


def _same_people(voices: dict[int, Voice]) -> dict[int, int]:
    """Tell which of an utterance's voices are one person's: each is given the number of the first of them."""
    people: dict[int, int] = {}
    for number, voice in voices.items():
        people[number] = next(
            (
                other
                for other in dict.fromkeys(people.values())
                if float(voices[other].print @ voice.print) >= STRANGERS
            ),
            number,
        )
    return people


def _alternating(turns: Sequence[VoiceTurn], people: dict[int, int]) -> list[VoiceTurn]:
    """Return the turns of people who take turns: nobody follows himself, and what is said meanwhile is left out."""
    merged: list[VoiceTurn] = []
    for turn in turns:
        if turn.voice not in people:
            continue
        who = people[turn.voice]
        if merged and turn.end <= merged[-1].end:
            continue
        if merged and merged[-1].voice == who:
            merged[-1] = VoiceTurn(merged[-1].start, turn.end, who)
        else:
            merged.append(VoiceTurn(turn.start, turn.end, who))
    return merged


def _without(own: Iterable[tuple[float, float]], others: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the times in ``own`` that are not in ``others``."""
    left = list(own)
    for start, end in others:
        left = [
            part
            for first, last in left
            for part in ((first, min(last, start)), (max(first, end), last))
            if part[1] > part[0]
        ]
    return left
