"""Spatial covariance matrices, and their running averages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.array.stft import BINS, Spectra

Covariance = NDArray[np.complex64]
"""Of shape ``(bins, microphones, microphones)``, Hermitian."""


def covariance(spectra: Spectra) -> Covariance:
    """Return the mean of x xᴴ over the frames of ``spectra``, shape ``(frames, microphones, bins)``."""
    frames, size, bins = spectra.shape
    out = np.empty((bins, size, size), np.complex64)
    conjugate = spectra.conj()
    for row in range(size):
        for column in range(row, size):
            mean = (spectra[:, row] * conjugate[:, column]).sum(0) / np.float32(frames)
            out[:, row, column] = mean
            if column > row:
                out[:, column, row] = mean.conj()
    return out


class RunningCovariance:
    """A mean that gives everything equal weight until ``memory`` seconds are known, and forgets exponentially then."""

    def __init__(self, size: int, memory: float) -> None:
        self.memory = memory
        self.seconds = 0.0
        """How much is known, at most ``memory``."""
        self.version = 0
        """Counts the changes."""
        self.value: Covariance = np.zeros((BINS, size, size), np.complex64)

    def add(self, value: Covariance, seconds: float) -> None:
        """Take in the mean covariance of ``seconds`` of sound."""
        self.seconds = min(self.seconds + seconds, self.memory)
        self.value += np.float32(seconds / self.seconds) * (value - self.value)
        self.version += 1

    def doubt(self, seconds: float) -> None:
        """Let the next sounds count as if no more than ``seconds`` were known so far."""
        self.seconds = min(self.seconds, seconds)


def loaded(value: Covariance, loading: float) -> Covariance:
    """Return ``value`` with diagonal loading relative to its own mean power, so that it can be inverted."""
    size = value.shape[-1]
    power = np.trace(value, axis1=-2, axis2=-1).real / size
    ridge = (loading * power + 1e-12).astype(np.float32)
    return np.asarray(value + ridge[:, None, None] * np.eye(size, dtype=np.float32), np.complex64)
