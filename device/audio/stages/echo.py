"""What echo cancellers have in common."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from device.audio.stages.base import Stage
from device.events import SAMPLE_RATE, Samples

_LONGEST = 2 * SAMPLE_RATE
"""Playback that waits for its capture; more means that nobody takes it."""

_REDUCTION_SMOOTHING = 0.01
"""Share of the newest frame of 10 ms: about a second counts."""


class EchoCanceller(Stage, Protocol):
    """Removes from the microphone what the device itself is playing.

    The playback is told with ``played`` before the capture of the same time is processed; where it was not, silence
    is assumed.
    """

    def played(self, samples: Samples) -> None:
        """Take what was played while the next samples were captured."""
        ...

    def speech(self, active: bool) -> None:
        """Take the verdict of the voice activity detector: only what nobody talked over tells how much is removed."""
        ...

    @property
    def reduction_db(self) -> float:
        """How far the echo has been lowered of late; 0 as long as nothing is known."""
        ...


class Reduction:
    """Measures how far an echo is lowered."""

    def __init__(self) -> None:
        self._captured = self._left = 0.0
        self._talking = False

    def speech(self, active: bool) -> None:
        """Measure nothing while somebody talks."""
        self._talking = active

    def add(self, captured: Samples, left: Samples) -> None:
        """Take a frame during which something was played, before and after."""
        if not self._talking:
            self._captured += _REDUCTION_SMOOTHING * (float(captured @ captured) - self._captured)
            self._left += _REDUCTION_SMOOTHING * (float(left @ left) - self._left)

    @property
    def decibels(self) -> float:
        """The reduction, never below 0."""
        if self._left <= 0 or self._captured <= self._left:
            return 0.0
        return float(10 * np.log10(self._captured / self._left))


class Playback:
    """What was played and waits for the capture of the same time."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget it."""
        self._samples = np.zeros(0, np.float32)

    def add(self, samples: Samples) -> None:
        """Take what was played next."""
        self._samples = np.concatenate([self._samples, samples])[-_LONGEST:]

    def take(self, count: int) -> Samples:
        """Return the next ``count`` samples, silence where there are no more."""
        taken, self._samples = self._samples[:count], self._samples[count:]
        return np.pad(taken, (0, count - len(taken))).astype(np.float32)
