"""What echo cancellers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from device.audio.stages.base import FRAME
from device.audio.stages.framed import Framed
from device.events import SAMPLE_RATE, Samples

_LONGEST = 2 * SAMPLE_RATE
"""Playback that waits for its capture; more means that nobody takes it."""

_WINDOW = 0.05
"""Share of the newest frame of 10 ms in the powers that are compared: 0.2 s …"""
_SMOOTHING = 0.02
"""… and of what they say in the reduction: half a second."""


class EchoCanceller(ABC):
    """Removes from the microphone what the device itself is playing, as a ``Stage``.

    The playback is told with ``played`` before the capture of the same time is processed; where it was not, silence
    is assumed.

    Parameters
    ----------
    delay
        Samples by which the output of ``_frame`` lags its input.
    """

    name = "echo"

    def __init__(self, delay: int) -> None:
        self._framed = Framed(self._frame, 2, delay)
        self._playback = Playback()
        self._reduction = Reduction()
        self.latency = delay
        self.frame = FRAME

    def played(self, samples: Samples) -> None:
        """Take what was played while the next samples were captured."""
        self._playback.add(samples)

    def speech(self, active: bool) -> None:
        """Take the verdict of the voice activity detector: only what nobody talked over tells how much is removed."""
        self._reduction.speech(active)

    @property
    def reduction_db(self) -> float:
        """How far the echo has been lowered of late; 0 as long as nothing is known."""
        return self._reduction.decibels

    def process(self, samples: Samples) -> Samples:
        """Take a block of the capture and return what can be given out."""
        return self._framed.process(samples, self._playback.take(len(samples)))

    def flush(self) -> Samples:
        """Return what is held back."""
        self._playback.clear()
        return self._framed.flush()

    def reset(self) -> None:
        """Begin a new stream."""
        self._framed.reset()
        self._playback.clear()

    @abstractmethod
    def _frame(self, captured: Samples, played: Samples) -> Samples:
        """Return a frame of the capture without the echo."""


class Reduction:
    """Measures how far an echo is lowered.

    Who talks meanwhile is in what is left as well as in what was captured, and makes the reduction seem less than it
    is, never more. So it rises with every stretch in which more is removed, but falls only while nobody talks. What is
    left of the echo may itself be taken for somebody who talks: without the first rule it would never be known.
    """

    def __init__(self) -> None:
        self._talking = False
        self.forget()

    def forget(self) -> None:
        """Know nothing any more."""
        self._captured = self._left = self.decibels = 0.0

    def speech(self, active: bool) -> None:
        """Take the verdict of the voice activity detector."""
        self._talking = active

    def add(self, captured: Samples, left: Samples) -> None:
        """Take a frame during which something was played, before and after."""
        self._captured += _WINDOW * (float(captured @ captured) - self._captured)
        self._left += _WINDOW * (float(left @ left) - self._left)
        if self._left <= 0:
            return
        now = max(0.0, 10 * float(np.log10(max(self._captured, 1e-20) / self._left)))
        if now > self.decibels or not self._talking:
            self.decibels += _SMOOTHING * (now - self.decibels)


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
