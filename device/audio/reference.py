"""What the speaker plays, lined up with what the microphone hears: the reference of an echo canceller.

Both devices run on clocks of their own, and sound comes back later than it was sent, by the latencies of both
devices. The canceller's filter is long enough for that delay, as long as it stays the same. So the reference is a queue
that is filled and emptied at the same pace, and its length is corrected only when the clocks have drifted far apart.
"""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from device.audio.resample import Resampler
from device.events import SAMPLE_RATE, Samples

LONGEST = 0.2
"""Seconds that may wait; more means that the clocks have drifted, or that nobody took any."""
USUAL = 0.05
"""Seconds that are left waiting then."""


class PlaybackReference:
    """A queue from the speaker's thread to the microphone's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._played: deque[tuple[Samples, int]] = deque()
        self._resampler: Resampler | None = None
        self._ready = np.zeros(0, np.float32)

    def played(self, samples: Samples, rate: int) -> None:
        """Take what is being played, silence too. Costs next to nothing: speakers call this when they must not wait."""
        with self._lock:
            self._played.append((samples, rate))

    def take(self, count: int) -> Samples | None:
        """Return the next ``count`` samples at 16 kHz, or None while nothing is played."""
        with self._lock:
            played, self._played = self._played, deque()
        for samples, rate in played:
            if self._resampler is None or self._resampler.rate_in != rate:
                self._resampler = Resampler(rate, SAMPLE_RATE)
            self._ready = np.concatenate((self._ready, self._resampler.process(samples)))
        if not len(self._ready):
            return None
        if len(self._ready) > count + LONGEST * SAMPLE_RATE:
            self._ready = self._ready[-count - round(USUAL * SAMPLE_RATE) :]
        taken, self._ready = self._ready[:count], self._ready[count:]
        if len(taken) < count:
            taken = np.concatenate((np.zeros(count - len(taken), np.float32), taken))
        return taken
