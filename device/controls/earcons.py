"""Earcons: short sounds that tell what the device does to somebody who does not look at it; generated, not recorded.

Up means that it listens, down that it no longer does; mute is low and error is twice (Blattner, Sumikawa and
Greenberg, "Earcons and Icons", 1989: families of sounds by pitch and rhythm).
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from device.events import Samples

RATE = 24_000
LEVEL = 0.2
EDGE = 0.008
"""Seconds of fade at the ends of a tone, so that it does not click."""


class Earcon(Enum):
    """A sound: its tones as pairs of a frequency (Hz, 0 is silence) and a length (s)."""

    LISTEN = ((880.0, 0.05), (1318.5, 0.06))
    DONE = ((1318.5, 0.05), (880.0, 0.06))
    MUTED = ((440.0, 0.08), (330.0, 0.12))
    UNMUTED = ((330.0, 0.08), (440.0, 0.12))
    ERROR = ((220.0, 0.12), (0.0, 0.06), (220.0, 0.12))

    @property
    def samples(self) -> Samples:
        """The sound, mono float32 at `RATE`."""
        return np.concatenate([_tone(frequency, length) for frequency, length in self.value])


def _tone(frequency: float, length: float) -> Samples:
    time = np.arange(round(length * RATE)) / RATE
    edges = np.minimum(1.0, np.minimum(time, time[::-1]) / EDGE)
    tone: Samples = (LEVEL * edges * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
    return tone
