"""Microphones that stand where another one should: found from how well a talker's sound fits the array's geometry.

If exchanging two microphones makes the phases fit a single direction better, and does so for a while, they are
swapped. Arrays have symmetries: an exchange that is the same as turning or mirroring the array cannot be seen (only
azimuths come out turned or mirrored then), and an exchange may look the same as another one.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from device.audio.array.doa import SteeredResponse

EVERY = 6
"""Stretches of speech between two checks."""
_CHECKS = 4
"""Checks that are averaged before anything is said: two seconds of speech."""
_BETTER = 0.1
"""By how much the steered response must rise for an exchange to be believed."""
_ALIKE = 0.03


class SwapFinder:
    """Looks for exchanged microphones of one array."""

    def __init__(self, finder: SteeredResponse, size: int) -> None:
        self._finder = finder
        self._pairs = list(combinations(range(size), 2)) if size > 2 else []
        self._sum = np.zeros(len(self._pairs))
        self._count = 0
        self._calls = 0
        self.pairs: list[tuple[int, int]] = []
        """Pairs that seem exchanged; of several only one is, and they cannot be told apart."""

    def add(self, transfer: NDArray[np.complex64], weight: NDArray[np.float32]) -> None:
        """Take in the talker's newest relative transfer functions, ``(bins, microphones)``."""
        self._calls += 1
        if not self._pairs or self._calls % EVERY:
            return
        straight = self._finder.of_transfer(transfer, weight).max()
        for index, (one, other) in enumerate(self._pairs):
            exchanged = transfer.copy()
            exchanged[:, [one, other]] = transfer[:, [other, one]]
            self._sum[index] += self._finder.of_transfer(exchanged, weight).max() - straight
        self._count += 1
        if self._count >= _CHECKS:
            gain = self._sum / self._count
            best = float(gain.max())
            near = [pair for pair, g in zip(self._pairs, gain, strict=True) if g > best - _ALIKE]
            self.pairs = near if best > _BETTER else []
            self._sum[:] = 0
            self._count = 0
