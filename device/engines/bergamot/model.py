"""Runs a converted student: source piece ids in, the likeliest target ids out, one sentence at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.engines.bergamot.convert import (
    BIAS,
    DECODER,
    EMBEDDINGS,
    ENCODER,
    SHORTLIST,
    read_description,
)
from device.engines.bergamot.shortlist import Shortlist
from device.engines.sessions import open_session
from device.errors import DragomanError

LONGEST_SOURCE: Final = 192
"""Pieces, EOS included, of the longest sentence that a student is given; quality decays well before this."""

LENGTH_FACTOR: Final = 2.5
"""A translation is at most this many times as long as its source (Bergamot's max-length-factor)."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Target ids without EOS; ``log_probability`` is the sum over ``steps`` choices, EOS among them."""

    tokens: tuple[int, ...]
    log_probability: float
    steps: int


class Student:
    """The two graphs, the embeddings and the shortlist of one direction. Safe to use from several threads."""

    def __init__(self, folder: Path, threads: int, end: int) -> None:
        """Load the files that `convert` wrote to ``folder``; ``end`` is the id of EOS."""
        description = read_description(folder)
        self._end = end
        self._dim = int(description["dim"])
        self._layers = int(description["decoder_layers"])
        # Embeddings enter the network times sqrt(dim); int8 rows also have their scale.
        self._scale = np.float32(math.sqrt(self._dim) * description["embedding_scale"])
        self._shortlist = Shortlist(folder / SHORTLIST, int(description["vocabulary"]))
        try:
            self._embeddings = np.load(folder / EMBEDDINGS, mmap_mode="r")
            self._bias = np.load(folder / BIAS)
            self._encoder = open_session(folder / ENCODER, threads)
            self._decoder = open_session(folder / DECODER, threads)
        except Exception as error:  # onnxruntime's own exceptions share no base but this
            raise DragomanError(f"{folder}: damaged converted model ({_first_line(error)}); pull it again") from error
        self._positions = position_signals(math.ceil(LENGTH_FACTOR * LONGEST_SOURCE), self._dim)
        self._memory_names = [output.name for output in self._encoder.get_outputs()]
        self._states = [f"state{n}" for n in range(1, self._layers + 1)]
        self._fetches = ["index", "log_probability", *self._states]

    def translate(self, source: Sequence[int]) -> Hypothesis:
        """Translate greedily ``source``: at most `LONGEST_SOURCE` ids, the last of them EOS."""
        x = self._embeddings[source] * self._scale + self._positions[: len(source)]
        memory = self._encoder.run(None, {"x": x})
        candidates = self._shortlist.candidates(source)
        weights = self._embeddings[candidates].astype(np.float32)
        feed: dict[str, Any] = dict(zip(self._memory_names, memory, strict=True))
        feed["w"] = weights
        feed["b"] = self._bias[candidates]
        for n in range(1, self._layers + 1):
            feed[f"c{n}"] = np.zeros((1, self._dim), np.float32)
        # The first word is predicted from a zero embedding.
        feed["x"] = self._positions[:1]
        tokens: list[int] = []
        total = 0.0
        limit = math.ceil(LENGTH_FACTOR * len(source))
        for step in range(1, limit + 1):
            index, log_probability, *states = self._decoder.run(self._fetches, feed)
            total += float(log_probability)
            token = int(candidates[index])
            if token == self._end or step == limit:
                break
            tokens.append(token)
            feed["x"] = weights[index] * self._scale + self._positions[step : step + 1]
            for n, state in enumerate(states, 1):
                feed[f"c{n}"] = state
        return Hypothesis(tuple(tokens), total, step)


def position_signals(length: int, dim: int) -> NDArray[np.float32]:
    """Return Marian's sinusoidal positions ``(length, dim)``: all sines, then all cosines."""
    half = dim // 2
    rates = 10000.0 ** (-np.arange(half) / max(half - 1, 1))
    angles = np.arange(length)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
