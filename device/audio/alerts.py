"""What the front end tells about damaged input."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What can be wrong with a channel."""

    MISSING = "missing"
    DEAD = "dead"
    LOW = "low"
    LOUD = "loud"
    INVERTED = "inverted"
    INCOHERENT = "incoherent"
    SWAPPED = "swapped"
    NOT_FINITE = "not_finite"
    CLIPPED = "clipped"
    DROPOUT = "dropout"


@dataclass(frozen=True, slots=True)
class Alert:
    """A fault that began or ended; channels are those of the capture device, from 0."""

    fault: Fault
    channel: int
    active: bool
    """False when the channel is well again."""
    text: str
    """One line for a person."""
