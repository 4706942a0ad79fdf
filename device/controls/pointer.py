"""Where a ring of lights points: at whoever talks, without jumping, and nowhere when that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from device.controls.patterns import Colour

if TYPE_CHECKING:
    from device.audio.array.geometry import Geometry
    from device.config import LedSettings

CONFIDENT = 0.15
"""A direction less certain than this is not shown."""
HOLD = 0.8
"""Seconds for which the light stays after the last new direction: the pauses between words."""
TURN = 360.0
"""Degrees a second at which the light goes round to somebody else."""
FADE = 5.0
"""Of full brightness a second."""
STICKY = 0.15
"""Widths of a light by which a direction must be past the middle of two before the other one shines."""
DIMMED = 0.15
"""What is left of the other lights' brightness."""
WHITE: Colour = (1.0, 1.0, 1.0)


def ring(settings: LedSettings, geometry: Geometry | None) -> tuple[float, ...]:
    """Return the azimuth of every light; empty where they are no ring round the array.

    ``leds.first_azimuth`` and ``leds.clockwise`` win over what the array's geometry says of its own lights.
    """
    own = geometry.ring if geometry is not None else None
    first = own.first if settings.first_azimuth is None and own is not None else settings.first_azimuth
    if first is None or geometry is None or settings.kind not in ("apa102", "ws2812") or settings.count < 2:
        return ()
    clockwise = own.clockwise if settings.clockwise is None and own is not None else bool(settings.clockwise)
    step = (-360.0 if clockwise else 360.0) / settings.count
    return tuple((first + step * index) % 360 for index in range(settings.count))


class Pointer:
    """The light nearest to a direction; not safe for use by several threads at once.

    Parameters
    ----------
    azimuths
        Where the lights are, in degrees, evenly round a circle.
    """

    def __init__(self, azimuths: Sequence[float]) -> None:
        self._azimuths = tuple(azimuths)
        self._step = 360.0 / len(self._azimuths)
        self._target: int | None = None
        self._told: tuple[float, float] | None = None
        self._told_at = float("-inf")
        self._at = 0.0
        self._strength = 0.0
        self._time = 0.0

    @property
    def resting(self) -> bool:
        """Whether nothing is shown, nor will be until it is pointed."""
        return self._target is None and self._strength == 0

    def point(self, azimuth: float | None, confidence: float, time: float) -> None:
        """Take what is known of the talker's direction at ``time`` (seconds).

        The array measures while somebody talks; the same figures over again mean that nobody does.
        """
        known = None if azimuth is None else (azimuth, confidence)
        if known == self._told:
            return
        self._told = known
        if azimuth is None or confidence < CONFIDENT:
            self._target = None
            return
        self._told_at = time
        if self.resting:
            self._time = time
        if self._target is None or abs(_turn(self._azimuths[self._target], azimuth)) > (0.5 + STICKY) * self._step:
            self._target = min(range(len(self._azimuths)), key=lambda i: abs(_turn(self._azimuths[i], azimuth)))

    def over(self, colours: Sequence[Colour], time: float) -> list[Colour]:
        """Return the lights of a state with the talker's own in white, and the rest dimmed, at ``time``."""
        self._advance(time)
        dimming = 1 - (1 - DIMMED) * self._strength
        out = []
        for azimuth, colour in zip(self._azimuths, colours, strict=True):
            share = self._strength * max(0.0, 1 - abs(_turn(self._at, azimuth)) / self._step)
            red, green, blue = (share * w + (1 - share) * dimming * c for w, c in zip(WHITE, colour, strict=True))
            out.append((red, green, blue))
        return out

    def _advance(self, time: float) -> None:
        """Turn and fade by as much as has gone by."""
        if time - self._told_at > HOLD:
            self._target = None
        passed, self._time = max(0.0, time - self._time), time
        if self._target is None:
            self._strength = max(0.0, self._strength - FADE * passed)
            return
        goal = self._azimuths[self._target]
        if self._strength == 0:
            self._at = goal  # it comes up where it belongs
        left = _turn(self._at, goal)
        self._at = (self._at + max(-TURN * passed, min(TURN * passed, left))) % 360
        self._strength = min(1.0, self._strength + FADE * passed)


def _turn(here: float, there: float) -> float:
    """Return the way from one azimuth to another by the shorter arc, -180 to 180 degrees."""
    return (there - here + 180) % 360 - 180
