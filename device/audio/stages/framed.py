"""Running a library that wants whole frames and delays them, so that it looks like any other stage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from device.audio.stages.base import FRAME
from device.events import Samples


class Framed:
    """Cuts a stream into frames of 10 ms for ``run``, and takes back the delay that ``run`` adds.

    Parameters
    ----------
    run
        Takes and gives one frame of each stream.
    streams
        How many streams go in together; one comes out.
    delay
        Samples by which the output of ``run`` lags its input.
    """

    def __init__(self, run: Callable[..., Samples], streams: int, delay: int) -> None:
        self._run = run
        self._streams = streams
        self._delay = delay
        self.latency = delay
        self.frame = FRAME
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._waiting = [np.zeros(0, np.float32) for _ in range(self._streams)]
        self._skip = self._delay
        self._taken = self._given = 0

    def process(self, *samples: Samples) -> Samples:
        """Take blocks of the same length, one a stream, and return what can be given out."""
        joined = [np.concatenate([old, new]) for old, new in zip(self._waiting, samples, strict=True)]
        self._taken += len(samples[0])
        whole = len(joined[0]) // FRAME * FRAME
        self._waiting = [stream[whole:] for stream in joined]
        frames = [
            self._run(*(np.ascontiguousarray(stream[at : at + FRAME]) for stream in joined))
            for at in range(0, whole, FRAME)
        ]
        if not frames:
            return np.zeros(0, np.float32)
        out = np.concatenate(frames)
        dropped = min(self._skip, len(out))
        self._skip -= dropped
        out = out[dropped:]
        self._given += len(out)
        return out

    def flush(self) -> Samples:
        """Return what is held back; the stream ends."""
        missing = self._taken - self._given
        silence = np.zeros(self._delay + FRAME, np.float32)
        tail = self.process(*([silence] * self._streams))[:missing]
        self.reset()
        return tail
