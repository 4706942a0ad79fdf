"""Who said it: tells the people of one conversation apart by their voices.

An utterance is divided where another person goes on without a pause, and every piece gets a number: people count from
1 in the order in which they are first heard to say something. The segmentation tells who talks when within an
utterance; where it hears one voice, pauses are where another may have gone on. Every stretch between them has a
voiceprint, and stretches whose voiceprints are alike are one person's (agglomerative clustering, average linkage by
cosine similarity). Whose they are is told by the mean voiceprints of those known so far, as in Wang et al., "Speaker
diarization with LSTM", 2018; two people of one utterance are never the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock

import numpy as np

from device.audio.endpoint import quietest_point
from device.engines.protocols import Segmenter, Voiceprints, VoiceTurn
from device.events import SAMPLE_RATE, Samples

SHORTEST = 0.25
"""Seconds below which nobody can be told by his voice."""
LONGEST, EDGE = 1.8, 0.5
"""A stretch of more seconds is divided at its quietest point, so far from both ends."""
ENOUGH = 6.0
"""Seconds of a stretch that a voiceprint is made of at most."""
ALIKE = 0.34
"""Mean cosine similarity from which stretches of one utterance are one person's …"""
HINT = 0.15
"""… which they are by so much more where the segmentation hears one voice, and less where it hears two."""
KNOWN, KNOWN_SHORT = 0.36, 0.28
"""Cosine similarity to a known person's mean from which a voice is his: of `LONG` seconds, and of next to none."""
LONG = 1.5
INTRODUCED = 0.8
"""Seconds from which a voice may be somebody new's, once anybody is known."""
REMEMBERED = 30.0
"""Seconds that a person's mean voiceprint weighs at most, so that it follows how the voice changes."""
MOST = 16
"""People who are remembered."""


@dataclass(slots=True, eq=False)
class Voice:
    """How somebody sounds in one utterance: a vector of length 1, and how many seconds of speech it was made of."""

    print: Samples
    seconds: float
    company: list[Voice] = field(default_factory=list)
    """All voices of the utterance, this one too."""
    person: int | None = None
    """Whose it is, once that is told."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an utterance, in seconds from its beginning, that one person says."""

    start: float
    end: float
    voice: Voice | None


class Speakers:
    """The people of one conversation. Safe to use from several threads.

    Parameters
    ----------
    segmenter, voiceprints
        Loaded models.
    most
        How many people there are at most; 0 where nobody knows.
    """

    def __init__(self, segmenter: Segmenter, voiceprints: Voiceprints, most: int = 0) -> None:
        self._segmenter, self._voiceprints = segmenter, voiceprints
        self._most = most
        self._lock = Lock()
        self._known: dict[int, tuple[Samples, float]] = {}
        self._count = 0
        self._numbers: dict[int, int] = {}

    def pieces(self, samples: Samples) -> list[Piece]:
        """Divide an utterance (16 kHz mono) where another person goes on; there is at least one piece."""
        whole = len(samples) / SAMPLE_RATE
        stretches = [part for turn in self._segmenter.turns(samples) for part in _stretches(samples, turn)]
        heard = [(turn, self._voice(samples, turn)) for turn in sorted(stretches, key=lambda turn: turn.start)]
        told = [(turn, voice) for turn, voice in heard if voice is not None]
        if not told:
            return [Piece(0.0, whole, self._voice(samples, VoiceTurn(0.0, whole, 0)))]
        groups = _groups(told)
        company: list[Voice] = []
        for group in groups:
            company.append(_together([told[number][1] for number in group], company))
        whose = {number: place for place, group in enumerate(groups) for number in group}
        spoken = _alternating([VoiceTurn(turn.start, turn.end, whose[n]) for n, (turn, _) in enumerate(told)])
        edges = [0.0, *((before.end + after.start) / 2 for before, after in pairwise(spoken)), whole]
        return [Piece(*edge, company[turn.voice]) for turn, edge in zip(spoken, pairwise(edges), strict=True)]

    def number(self, voice: Voice | None) -> int | None:
        """Tell whose voice it is, and remember it; nothing where there is none.

        Asked of voices in the order in which they spoke.
        """
        if voice is None:
            return None
        with self._lock:
            if voice.person is None:
                self._recognize(voice.company or [voice])
            assert voice.person is not None
            return self._numbers.setdefault(voice.person, len(self._numbers) + 1)

    def _recognize(self, company: Sequence[Voice]) -> None:
        """Tell whose the voices of one utterance are: the likeliest pairs first, nobody twice."""
        pairs = [
            (float(mean @ voice.print) / _length(mean), place, person)
            for person, (mean, _) in self._known.items()
            for place, voice in enumerate(company)
        ]
        for alike, place, person in sorted(pairs, reverse=True):
            voice = company[place]
            taken = {other.person for other in company}
            if voice.person is None and person not in taken and alike >= _known_from(voice.seconds):
                voice.person = person
                self._remember(voice)
        for place, voice in enumerate(company):
            if voice.person is None and self._may_be_new(voice):
                voice.person = self._count
                self._count += 1
                self._remember(voice)
            elif voice.person is None:  # it changes nobody's mean
                likely = [(alike, person) for alike, other, person in pairs if other == place]
                voice.person = max(likely)[1] if likely else next(iter(self._known))

    def _may_be_new(self, voice: Voice) -> bool:
        return not self._known or (voice.seconds >= INTRODUCED and not 0 < self._most <= len(self._known))

    def _remember(self, voice: Voice) -> None:
        assert voice.person is not None
        total, seconds = self._known.pop(voice.person, (np.zeros_like(voice.print), 0.0))
        keep = min(1.0, REMEMBERED / (seconds + voice.seconds))
        total = (total + voice.print * np.float32(voice.seconds)) * np.float32(keep)
        self._known[voice.person] = total, (seconds + voice.seconds) * keep
        while len(self._known) > MOST:  # a year of customers: whoever has been silent longest is a stranger again
            del self._known[next(iter(self._known))]

    def _voice(self, samples: Samples, turn: VoiceTurn) -> Voice | None:
        speech = samples[round(turn.start * SAMPLE_RATE) : round(turn.end * SAMPLE_RATE)]
        if len(speech) < SHORTEST * SAMPLE_RATE:
            return None
        found = self._voiceprints.voiceprint(speech[: round(ENOUGH * SAMPLE_RATE)])
        return None if found is None else Voice(found, len(speech) / SAMPLE_RATE)


def _length(vector: Samples) -> float:
    return max(float(np.linalg.norm(vector)), 1e-9)


def _known_from(seconds: float) -> float:
    """Return the likeness from which a voice of so many seconds is a known person's."""
    return KNOWN_SHORT + (KNOWN - KNOWN_SHORT) * min(1.0, seconds / LONG)


def _stretches(samples: Samples, turn: VoiceTurn) -> list[VoiceTurn]:
    """Divide a turn where it is quiet, until nothing is longer than `LONGEST`."""
    if turn.end - turn.start <= LONGEST:
        return [turn]
    first, last = round((turn.start + EDGE) * SAMPLE_RATE), round((turn.end - EDGE) * SAMPLE_RATE)
    middle = quietest_point(samples, first, last) / SAMPLE_RATE
    halves = VoiceTurn(turn.start, middle, turn.voice), VoiceTurn(middle, turn.end, turn.voice)
    return [part for half in halves for part in _stretches(samples, half)]


def _groups(told: Sequence[tuple[VoiceTurn, Voice]]) -> list[list[int]]:
    """Put the stretches of an utterance together that one person says: lists of their places, the earliest first."""
    prints = np.array([voice.print for _, voice in told])
    heard = np.array([turn.voice for turn, _ in told])
    weights = np.array([voice.seconds for _, voice in told])
    alike = prints @ prints.T + np.where(heard[:, None] == heard[None, :], HINT, -HINT)
    alike = alike * np.outer(weights, weights)
    groups = [[number] for number in range(len(told))]
    while len(groups) > 1:
        best, one, other = max(
            (float(alike[np.ix_(a, b)].sum() / (weights[a].sum() * weights[b].sum())), i, j)
            for i, a in enumerate(groups)
            for j, b in enumerate(groups[:i])
        )
        if best < ALIKE:
            break
        groups[other] += groups.pop(one)
    return sorted(groups, key=min)


def _together(voices: Sequence[Voice], company: list[Voice]) -> Voice:
    total = np.sum([voice.print * np.float32(voice.seconds) for voice in voices], axis=0)
    return Voice(total / np.float32(_length(total)), sum(voice.seconds for voice in voices), company)


def _alternating(turns: Sequence[VoiceTurn]) -> list[VoiceTurn]:
    """Return the turns of people who take turns: nobody follows himself, and what is said meanwhile is left out."""
    merged: list[VoiceTurn] = []
    for turn in turns:
        if merged and turn.end <= merged[-1].end:
            continue
        if merged and merged[-1].voice == turn.voice:
            merged[-1] = VoiceTurn(merged[-1].start, turn.end, turn.voice)
        else:
            merged.append(turn)
    return merged
