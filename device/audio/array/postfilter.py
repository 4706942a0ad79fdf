"""A Wiener filter behind the beamformer, from the noise that is known to be left.

Ephraim & Malah, "Speech enhancement using a minimum mean-square error short-time spectral amplitude estimator", IEEE
TASSP 1984: the decision-directed estimate of the signal-to-noise ratio, here with the noise that the beamformer's
weights let through.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.array.stft import BINS

_SMOOTHING = 0.96
FLOOR = 0.5
"""Noise is lowered by 6 dB at most; more of it costs words, for a recogniser likes even noise better than holes."""


class PostFilter:
    """Lowers what is left of the noise, bin by bin."""

    def __init__(self) -> None:
        self.noise: NDArray[np.float32] = np.zeros(BINS, np.float32)
        """Power of the noise in each bin of the beamformer's output."""
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._speech = np.zeros(BINS, np.float32)

    def gains(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return the factors for spectra of shape ``(frames, bins)``, of the same shape."""
        out = np.empty(spectra.shape, np.float32)
        noise = self.noise + np.float32(1e-20)
        for index, frame in enumerate(spectra):
            power = frame.real**2 + frame.imag**2
            now = np.maximum(power / noise - 1, 0)
            ratio = _SMOOTHING * self._speech / noise + (1 - _SMOOTHING) * now
            gain = np.maximum(ratio / (1 + ratio), FLOOR).astype(np.float32)
            self._speech = gain**2 * power
            out[index] = gain
        return out
