"""One channel out of several, without what is loud in each of them cancelling in their mean.

Stereo with one channel inverted (a cable wired the wrong way round, a balanced line split in two, a "wide" effect)
has a mean of nearly nothing. So a channel that runs against the loudest one is turned round before the mean is taken.
What is inverted is decided block by block, from the correlation of about the last two seconds, and only a clear
sign counts: in ordinary recordings every channel is left as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.events import Samples

_MEMORY = 2.0
"""Seconds that count."""
_AGAINST = -0.5
"""Correlation with the loudest channel below which a channel counts as inverted …"""
_ALONG = 0.0
"""… and above which it is no longer."""


class Downmix:
    """Mixes a stream, block by block.

    Parameters
    ----------
    channels
        How many the blocks have.
    rate
        Sample rate in Hz.
    """

    def __init__(self, channels: int, rate: int) -> None:
        self._memory = _MEMORY * rate
        self._products: NDArray[np.float64] = np.zeros((channels, channels))
        self._signs: NDArray[np.float32] = np.ones(channels, np.float32)

    def mix(self, block: NDArray[np.float32]) -> Samples:
        """Return the mean of a block's channels, shape ``(frames, channels)``, inverted ones turned round."""
        if block.shape[1] == 1:
            return block[:, 0]
        before = self._signs
        self._listen(block)
        if np.array_equal(before, self._signs):
            mixed: Samples = (block * self._signs).mean(axis=1, dtype=np.float32)
            return mixed
        # From one mix to the other without a step; the first block of a stream has nothing to come from.
        start = 0.0 if self._heard_before else 1.0
        slide = np.linspace(start, 1.0, len(block), dtype=np.float32)[:, None]
        faded: Samples = (block * (before + (self._signs - before) * slide)).mean(axis=1, dtype=np.float32)
        return faded

    def _listen(self, block: NDArray[np.float32]) -> None:
        self._heard_before = bool(self._products.any())
        wide = block.astype(np.float64)
        self._products = np.exp(-len(block) / self._memory) * self._products + wide.T @ wide
        powers = np.diag(self._products)
        loudest = int(np.argmax(powers))
        against = self._products[loudest] / np.sqrt(np.maximum(powers * powers[loudest], 1e-20))
        # Against the loudest channel as it is used now, so that the mix never turns round as a whole.
        relative = self._signs * self._signs[loudest]
        relative = np.where(against < _AGAINST, -1, np.where(against > _ALONG, 1, relative)).astype(np.float32)
        self._signs = relative * self._signs[loudest]
