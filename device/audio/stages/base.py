"""What every single-channel stage promises."""

from __future__ import annotations

from typing import Protocol

from device.events import Samples


class Stage(Protocol):
    """Takes a stream block by block; blocks of any size give the same output.

    All that came out, joined, begins with the sample that belongs to the first sample in: a stage holds samples back,
    but never shifts them.
    """

    name: str
    latency: int
    """Samples held back by the algorithm, waiting for whole frames not counted."""
    frame: int
    """Samples that it takes at a time; a stream that comes in whole frames does not wait."""

    def process(self, samples: Samples) -> Samples:
        """Take a block and return what can be given out."""
        ...

    def flush(self) -> Samples:
        """Return what is held back; the stream ends."""
        ...

    def reset(self) -> None:
        """Begin a new stream."""
        ...


FRAME = 160
"""Samples in 10 ms, the frame of WebRTC's processing."""
