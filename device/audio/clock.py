"""Telling how much audio never came, from when the rest of it did."""

from __future__ import annotations

_WINDOW = 0.5
_TOLERANCE = 0.06


class AudioClock:
    """Tells how much audio is missing, from when blocks arrive.

    A block arrives late by chance, but never early: over half a second the least late one tells how much
    audio there should have been. What is missing beyond that of the half second before was lost; a little
    is the drift between the device's clock and ours, and is followed.
    """

    def __init__(self) -> None:
        self._least: float | None = None
        self._window_least = 0.0
        self._window_end: float | None = None

    def missing(self, arrived: float, seconds: float) -> float:
        """Return the seconds of audio lost before this block; 0 nearly always.

        Parameters
        ----------
        arrived
            When the block arrived, on the monotonic clock.
        seconds
            Audio since the start, with this block.
        """
        lateness = arrived - seconds
        if self._window_end is None:
            self._window_end, self._window_least = arrived + _WINDOW, lateness
            return 0.0
        self._window_least = min(self._window_least, lateness)
        if arrived < self._window_end:
            return 0.0
        least, self._window_end = self._window_least, None
        lost = 0.0 if self._least is None else least - self._least
        if lost > _TOLERANCE:
            return lost
        self._least = least
        return 0.0

    def behind(self, now: float, seconds: float) -> float:
        """Return how much audio should have come by now, but did not."""
        least = self._least if self._least is not None else self._window_least
        return max(0.0, now - seconds - least)

    def restart(self) -> None:
        """Begin a window anew: another stream, whose blocks may come with another delay."""
        self._window_end = None
