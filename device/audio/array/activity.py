"""Deciding what each stretch of sound teaches: noise, the talker, or nothing.

The verdict of a voice activity detector comes late, after the first sounds of an utterance have been processed. So a
stretch waits until nobody has spoken up for a while before it counts as noise, and the last stretches before speech
was noticed count as speech.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Generic, TypeVar

HOLD = 5
"""Stretches that wait before they count as noise: 0.4 s."""
ONSET = 2
"""Waiting stretches that count as speech when speech is noticed; what is older is dropped."""
TAIL = 3
"""Stretches after speech that count as nothing: the room still sounds."""

T = TypeVar("T")


class Lesson(Enum):
    """What a stretch is used for."""

    NOISE = "noise"
    SPEECH = "speech"


class Gate(Generic[T]):
    """Sorts stretches of sound in the light of a voice activity detector's verdicts."""

    def __init__(self) -> None:
        self.active = False
        """Whether somebody talks, as last heard."""
        self._waiting: deque[T] = deque()
        self._tail = 0
        self._onset: list[T] = []

    def speech(self, active: bool) -> None:
        """Take the detector's verdict on the newest sound."""
        if active and not self.active:
            self._onset = list(self._waiting)[-ONSET:]
            self._waiting.clear()
        elif self.active and not active:
            self._tail = TAIL
        self.active = active

    def sort(self, stretch: T, *, certain_noise: bool = False) -> list[tuple[Lesson, T]]:
        """Take the newest stretch and return what can be learnt now, oldest first.

        ``certain_noise`` is for sound that cannot be the talker, from an excluded sector say: it is learnt at once.
        """
        lessons = [(Lesson.SPEECH, waited) for waited in self._onset]
        self._onset = []
        if certain_noise:
            lessons.append((Lesson.NOISE, stretch))
        elif self.active:
            lessons.append((Lesson.SPEECH, stretch))
        elif self._tail:
            self._tail -= 1
        else:
            self._waiting.append(stretch)
            if len(self._waiting) > HOLD:
                lessons.append((Lesson.NOISE, self._waiting.popleft()))
        return lessons
