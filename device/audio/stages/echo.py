"""What echo cancellers have in common."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from device.audio.stages.base import Stage
from device.events import SAMPLE_RATE, Samples

_LONGEST = 2 * SAMPLE_RATE
"""Playback that waits for its capture; more means that nobody takes it."""


class EchoCanceller(Stage, Protocol):
    """Removes from the microphone what the device itself is playing.

    The playback is told with ``played`` before the capture of the same time is processed; where it was not, silence
    is assumed.
    """

    def played(self, samples: Samples) -> None:
        """Take what was played while the next samples were captured."""
        ...


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
