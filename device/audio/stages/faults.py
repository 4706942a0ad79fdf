"""Faults that a channel shows by itself: samples that are no numbers, clipping, and dropouts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.alerts import Fault

FULL_SCALE = 0.999
_CLIPPED_SHARE = 0.002
"""Share of a window at full scale from which it is called clipped."""
_DROPOUT = (64, 4000)
"""Samples of exact zero in a row, between sound, that are a gap and no silence: 4 to 250 ms."""
_EDGE = 0.3
"""A gap cuts sound off; silence is faded into. Share of the RMS that the samples beside a gap have at least."""
_SOUND = 1e-4
LIMIT = 1.0


def made_finite(block: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """Replace what is no number by 0 and hold the rest within full scale.

    Returns
    -------
    block
        The block itself where nothing had to be done.
    broken
        For each channel, whether it had samples that are no numbers; None when none had.
    """
    # One sum tells whether all is well: it is only finite if every sample is.
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.sum(block)
    if np.isfinite(total) and (not block.size or np.abs(block).max() <= LIMIT):
        return block, None
    finite = np.isfinite(block)
    broken = ~finite.all(axis=0)
    mended = np.clip(np.where(finite, block, np.float32(0)), -LIMIT, LIMIT)
    return np.asarray(mended, np.float32), np.asarray(broken) if broken.any() else None


def window_faults(window: NDArray[np.float32]) -> list[set[Fault]]:
    """Return the faults of each channel of a window of shape ``(samples, channels)``."""
    found: list[set[Fault]] = []
    for channel in window.T:
        faults: set[Fault] = set()
        if np.mean(np.abs(channel) >= FULL_SCALE) > _CLIPPED_SHARE:
            faults.add(Fault.CLIPPED)
        if _has_dropout(channel):
            faults.add(Fault.DROPOUT)
        found.append(faults)
    return found


def _has_dropout(channel: NDArray[np.float32]) -> bool:
    """Whether exact zeros interrupt sound that was not zero before and after."""
    level = float(np.sqrt(np.mean(channel**2)))
    sounding = np.flatnonzero(channel)
    if level < _SOUND or len(sounding) < 2:
        return False
    gaps = np.diff(sounding)
    wide = np.flatnonzero((gaps > _DROPOUT[0]) & (gaps < _DROPOUT[1]))
    beside = np.maximum(np.abs(channel[sounding[wide]]), np.abs(channel[sounding[wide + 1]]))
    return bool((beside > _EDGE * level).any())
