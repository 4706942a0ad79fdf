"""Removal of DC and rumble: a Butterworth high-pass filter of second order.

The filter is a recursion, which is slow in Python one sample at a time. As a linear system with two states it can be
run a block at a time instead: the output is one triangular matrix times the block plus one matrix times the state.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.events import SAMPLE_RATE, Samples

CUTOFF = 80.0
"""Hz, below any voice."""
_BLOCK = 160


class HighPass:
    """Takes one channel; nothing is held back."""

    name = "highpass"
    latency = 0
    frame = 1

    def __init__(self, cutoff: float = CUTOFF) -> None:
        # Bilinear transform of s²/(s² + √2 s + 1), in transposed direct form II.
        warped = np.tan(np.pi * cutoff / SAMPLE_RATE)
        scale = 1 + np.sqrt(2) * warped + warped**2
        b0 = 1 / scale
        a1, a2 = 2 * (warped**2 - 1) / scale, (1 - np.sqrt(2) * warped + warped**2) / scale
        step = np.array([[-a1, 1.0], [-a2, 0.0]])
        enter = np.array([-2 * b0 - a1 * b0, b0 - a2 * b0])
        powers = [np.eye(2)]
        for _ in range(_BLOCK):
            powers.append(step @ powers[-1])
        response = np.array([b0] + [powers[n][0] @ enter for n in range(_BLOCK - 1)])
        lag = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
        self._direct = np.where(lag >= 0, response[np.maximum(lag, 0)], 0.0)
        self._fade = np.array([power[0] for power in powers[:_BLOCK]])
        self._powers = powers
        self._enter = np.array([power @ enter for power in powers[:_BLOCK][::-1]]).T
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._state: NDArray[np.float64] = np.zeros(2)

    def process(self, samples: Samples) -> Samples:
        """Return the filtered block, of the same length."""
        out = np.empty(len(samples), np.float32)
        for start in range(0, len(samples), _BLOCK):
            block = samples[start : start + _BLOCK].astype(float)
            count = len(block)
            out[start : start + count] = self._direct[:count, :count] @ block + self._fade[:count] @ self._state
            self._state = self._powers[count] @ self._state + self._enter[:, _BLOCK - count :] @ block
        return out

    def flush(self) -> Samples:
        """Return nothing: nothing is held back."""
        return np.zeros(0, np.float32)
