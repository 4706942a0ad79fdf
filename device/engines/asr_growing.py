"""Partial results of a growing utterance from a model that decodes everything each time.

Decoding costs grow with the length, so what lies before a pause is decoded once more and then kept; later
calls decode only what follows it. The pieces of a model that writes punctuation are joined as the model wrote
them when it still heard both sides of the pause.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from device.events import SAMPLE_RATE, Samples

LONGEST = 6 * SAMPLE_RATE
"""A tail longer than this is divided where it pauses."""
FORCED = 11 * SAMPLE_RATE
"""A tail longer than this is divided at its quietest point, pause or not."""
SHORTEST_PIECE = 2 * SAMPLE_RATE
KEPT = 2 * SAMPLE_RATE
"""Sound that stays in the tail, so that its words still have a context."""
_PAUSE = int(0.2 * SAMPLE_RATE)
_HOP = SAMPLE_RATE // 100
_WIDTH = _PAUSE // _HOP
_PAUSE_DEPTH = 20.0
"""dB below the loudest 0.2 s that make a pause."""


class GrowingText:
    """Text of one utterance that grows from call to call.

    Parameters
    ----------
    decode
        Recognises samples and returns their text.
    """

    def __init__(self, decode: Callable[[Samples], str]) -> None:
        self._decode = decode
        self._kept = ""
        self._end = 0
        self._tail = ""

    def text(self, samples: Samples) -> str:
        """Return the text of ``samples``: the utterance so far, of which earlier calls passed a beginning."""
        tail = samples[self._end :]
        cut = division(tail)
        if cut:
            piece = self._decode(tail[:cut])
            self._kept = join(self._kept, as_written(piece, self._tail))
            self._end += cut
            tail = tail[cut:]
        self._tail = self._decode(tail)
        return join(self._kept, self._tail)


def division(tail: Samples) -> int:
    """Return where to divide ``tail``: the middle of its last pause that leaves enough on both sides, or 0."""
    if len(tail) < LONGEST:
        return 0
    level = _levels(tail)
    first, last = (SHORTEST_PIECE - _PAUSE // 2) // _HOP, (len(tail) - KEPT - _PAUSE // 2) // _HOP
    inside = level[first:last]
    pauses = np.flatnonzero(inside < level.max() - _PAUSE_DEPTH)
    if len(pauses):
        run = pauses[pauses > pauses[-1] - _WIDTH]
        best = int(run[np.argmin(inside[run])])
    elif len(tail) >= FORCED:
        best = int(np.argmin(inside))
    else:
        return 0
    return (first + best) * _HOP + _PAUSE // 2


def quietest(samples: Samples, first: int, last: int) -> int:
    """Return the middle of the quietest 0.2 s between samples ``first`` and ``last``."""
    return first + int(np.argmin(_levels(samples[first:last]))) * _HOP + _PAUSE // 2


def _levels(samples: Samples) -> NDArray[np.float64]:
    """Level in dB of every window of 0.2 s, one each 10 ms."""
    hops = len(samples) // _HOP
    power = np.mean(np.asarray(samples[: hops * _HOP], np.float64).reshape(hops, _HOP) ** 2, axis=1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    level: NDArray[np.float64] = 10 * np.log10((total[_WIDTH:] - total[:-_WIDTH]) / _WIDTH + 1e-12)
    return level


def as_written(piece: str, whole: str) -> str:
    """Return the beginning of ``whole`` that has the words of ``piece``, or ``piece`` where it has others."""
    words, written = piece.split(), whole.split()
    if len(words) <= len(written) and all(bare(a) == bare(b) for a, b in zip(words, written, strict=False)):
        return " ".join(written[: len(words)])
    return piece


def bare(text: str) -> str:
    """Return the letters and digits of ``text`` in lower case."""
    return re.sub(r"\W", "", text.lower())


def join(kept: str, tail: str) -> str:
    """Join the texts of two pieces."""
    return f"{kept} {tail}".strip()
