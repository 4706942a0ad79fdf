"""How lights show what the device does: by rhythm first, by colour only besides.

Each state has a rhythm of its own, so that a single plain LED, or an eye that sees no colours, tells them apart. The
colours are those of Okabe and Ito's palette for all kinds of colour vision (https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from device.events import State

Colour = tuple[float, float, float]
"""Red, green and blue from 0 to 1."""

OFF: Colour = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Pattern:
    """The light of one state: ``rhythm`` are the lengths (s) of on, off, on, ... of one period; no off is always on."""

    rhythm: tuple[float, ...]
    colour: Colour
    turning: bool = False
    """On a ring or strip one light at a time goes round instead."""

    def lit(self, time: float) -> bool:
        """Whether a light of this rhythm is on at a time in seconds."""
        if len(self.rhythm) == 1:
            return True
        phase = time % sum(self.rhythm)
        for index, length in enumerate(self.rhythm):
            if phase < length:
                return index % 2 == 0
            phase -= length
        return False

    def frame(self, time: float, count: int) -> list[Colour]:
        """Return the colours of a strip of ``count`` lights at a time."""
        if self.turning and count > 1:
            at = math.floor(time / sum(self.rhythm) * count) % count
            return [self.colour if index == at else OFF for index in range(count)]
        return [self.colour if self.lit(time) else OFF] * count


PATTERNS = {
    State.IDLE: Pattern((0.1, 2.9), (0.0, 0.45, 0.70)),  # blue: a sign of life now and then
    State.LISTENING: Pattern((1.0,), (0.34, 0.71, 0.91)),  # sky blue: as long as it is on, it listens
    State.TRANSLATING: Pattern((0.5, 0.5), (0.90, 0.62, 0.0), turning=True),  # orange: busy
    State.SPEAKING: Pattern((0.15, 0.15, 0.15, 0.55), (0.0, 0.62, 0.45)),  # green: two beats, as of speech
    State.MUTED: Pattern((1.5, 1.5), (0.80, 0.47, 0.65)),  # purple: slow
    State.ERROR: Pattern((0.1, 0.1), (0.84, 0.37, 0.0)),  # vermilion: fast
}
