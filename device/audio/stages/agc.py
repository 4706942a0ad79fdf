"""Automatic gain: speech is brought to one level, slowly, and only while somebody talks.

The gain does not move in pauses, so noise is never pumped up between two sentences, and it moves by few dB a second,
so nobody hears it move. A limiter keeps what the slow gain lets through below full scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.stages.base import FRAME
from device.events import Samples

TARGET_DB = -24.0
"""RMS of speech after the gain, dB below full scale."""
MAX_GAIN_DB = 24.0
MIN_GAIN_DB = -12.0
_RISE_DB, _FALL_DB = 0.04, 0.12
"""Most that the gain changes in a frame of 10 ms."""
_AVERAGING = 0.01
"""Share of the newest frame in the level of speech: about a second."""
_SPEECH_RANGE_DB = 15.0
"""Frames this far below the level of speech are pauses between words."""
_CEILING = 0.97


class AutomaticGain:
    """Takes one channel; nothing is held back."""

    name = "gain"
    latency = 0
    frame = 1

    def __init__(self, target_db: float = TARGET_DB) -> None:
        self._target = target_db
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._gain_db = 0.0
        self._power = 0.0
        self._active = False
        self._sum = 0.0
        self._count = 0
        self._from = self._to = 1.0

    @property
    def gain_db(self) -> float:
        """The gain now."""
        return self._gain_db

    def speech(self, active: bool) -> None:
        """Take the verdict of the voice activity detector."""
        self._active = active

    def process(self, samples: Samples) -> Samples:
        """Return the block with the gain, of the same length."""
        out = np.empty(len(samples), np.float32)
        start = 0
        while start < len(samples):
            count = min(FRAME - self._count, len(samples) - start)
            block = samples[start : start + count]
            # The gain slides from one frame's value to the next, a frame late, so that no step can be heard.
            place = (self._count + np.arange(1, count + 1)) / FRAME
            out[start : start + count] = _limited(block * (self._from + (self._to - self._from) * place))
            self._sum += float(block.astype(float) @ block)
            self._count += count
            start += count
            if self._count == FRAME:
                self._frame_done(self._sum / FRAME)
                self._sum, self._count = 0.0, 0
        return out

    def flush(self) -> Samples:
        """Return nothing: nothing is held back."""
        return np.zeros(0, np.float32)

    def _frame_done(self, power: float) -> None:
        if self._active and power > 1e-9 and power > self._power * 10 ** (-_SPEECH_RANGE_DB / 10):
            first = self._power == 0
            self._power = power if first else self._power + _AVERAGING * (power - self._power)
            wanted = float(np.clip(self._target - 10 * np.log10(self._power), MIN_GAIN_DB, MAX_GAIN_DB))
            self._gain_db += float(np.clip(wanted - self._gain_db, -_FALL_DB, _RISE_DB))
        self._from, self._to = self._to, 10 ** (self._gain_db / 20)


def _limited(samples: NDArray[np.floating]) -> Samples:
    """Bend what exceeds two thirds of full scale, so that nothing exceeds the ceiling."""
    knee = 2 / 3
    over = np.abs(samples) - knee
    if not (over > 0).any():
        return samples.astype(np.float32)
    room = _CEILING - knee
    bent = knee + room * np.tanh(np.maximum(over, 0) / room)
    return np.where(over > 0, np.sign(samples) * bent, samples).astype(np.float32)
