"""Makes all voices equally loud (EBU R 128), with no need to hear a sentence to its end first.

How loud a voice is by itself is measured once, on numbers, which every language has. From then on its gain is known
before it speaks; half of what a sentence, as far as it was heard, is louder or softer than others is taken back too.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from device.audio.loudness import integrated_loudness
from device.events import Samples

TARGET: Final = -20.0
"""Integrated loudness of all speech in LUFS: what EBU R 128 s2 recommends at least where people stream."""
CALIBRATION: Final = ("1, 2, 3, 4, 5.", "16, 27, 38, 49, 50.", "61, 72, 83, 94, 100.", "6, 7, 8, 9, 10, 11, 12, 13.")
"""What a voice says to be measured."""
_REFERENCE: Final = -20.0
"""Level in dB of a sentence that is not corrected for itself."""
_KNEE: Final = 0.7
_CEILING: Final = 0.86
"""Samples never exceed it, so that the true peak stays below -1 dBTP (0.891)."""


def sentence_gain(power: float, voice_gain: float) -> float:
    """Return the factor for a sentence.

    Parameters
    ----------
    power
        Mean square of what was heard of it so far.
    voice_gain
        From `measured_gain`, in dB.
    """
    own = 10 * float(np.log10(max(power, 1e-18)))
    return float(10 ** ((voice_gain - (own - _REFERENCE) / 2) / 20))


def measured_gain(spoken: Samples, rate: int) -> float:
    """Return by how many dB a voice that said `CALIBRATION` so must be louder to be at `TARGET`."""
    loudness = integrated_loudness(spoken, rate)
    return TARGET - loudness if np.isfinite(loudness) else 0.0


def limited(samples: Samples) -> Samples:
    """Bend what exceeds `_KNEE` so that it never reaches `_CEILING`; nothing else changes."""
    over = np.abs(samples) > _KNEE
    if over.any():
        room = _CEILING - _KNEE
        samples = samples.copy()
        samples[over] = np.sign(samples[over]) * (_KNEE + room * np.tanh((np.abs(samples[over]) - _KNEE) / room))
    return samples
