"""What capture and playback tell about their devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Happening(StrEnum):
    """What happened to a device."""

    FOUND = "found"
    """It works, for the first time or again; ``rate`` and ``channels`` hold from here on."""
    LOST = "lost"
    """It cannot be used. It is looked for until it is found; one report, however long that takes."""
    OVERRUN = "overrun"
    """Audio came faster than it was taken; what was lost was replaced by as much silence."""
    UNDERRUN = "underrun"
    """The speaker was not given samples in time, and paused."""
    DROPPED = "dropped"
    """Speech was not played: there is no speaker, or far too much is waiting."""
    ENDED = "ended"
    """The file that stands in for the microphone is over; silence follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioReport:
    """Something about a device that a person may want to know."""

    kind: Happening
    text: str
    """One line for a person."""
    device: str = ""
    rate: int = 0
    channels: int = 0
    count: int = 0
    """Overruns or underruns since the last such report."""
    seconds: float = 0.0
    """Audio lost since the last such report."""


OnReport = Callable[[AudioReport], None]
"""Receives reports, on the audio thread; must return quickly and must not raise."""


def ignore(report: AudioReport) -> None:
    """Receive a report and do nothing."""
