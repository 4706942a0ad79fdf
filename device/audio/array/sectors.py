"""Directions that matter: where the talkers sit, and where sound is never meant for the device."""

from __future__ import annotations

from dataclasses import dataclass

from device.audio.array.doa import Direction, angle_between

CONFIDENT = 0.25
"""A direction less certain than this excludes nobody."""


@dataclass(frozen=True, slots=True)
class Sector:
    """An arc of azimuths around its middle, in degrees."""

    azimuth: float
    width: float

    def __contains__(self, azimuth: float) -> bool:
        return angle_between(azimuth, self.azimuth) <= self.width / 2


class Sectors:
    """Tells whose sector a direction falls into.

    ``looks`` are the sectors of the talkers, one for each party of a conversation; with none, everybody everywhere is
    one talker. ``excluded`` wins over a look.
    """

    def __init__(self, looks: tuple[Sector, ...] = (), excluded: tuple[Sector, ...] = ()) -> None:
        self.looks = looks
        self.excluded = excluded

    @property
    def trivial(self) -> bool:
        """Whether no direction makes a difference."""
        return not self.looks and not self.excluded

    def unwanted(self, direction: Direction) -> bool:
        """Whether sound from there is noise, even if it is speech."""
        if direction.confidence < CONFIDENT:
            return False
        if any(direction.azimuth in sector for sector in self.excluded):
            return True
        return bool(self.looks) and self.look(direction) is None

    def look(self, direction: Direction) -> int | None:
        """Return the index of the look that the direction falls into; the nearest where looks overlap."""
        inside = [i for i, look in enumerate(self.looks) if direction.azimuth in look]
        return min(inside, key=lambda i: angle_between(direction.azimuth, self.looks[i].azimuth), default=None)
