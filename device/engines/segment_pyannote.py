"""Who talks when in a few seconds, by pyannote's segmentation network on onnxruntime.

pyannote/segmentation-3.0 (Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization",
2023) tells apart up to three people, and two of them talking at once. Its numbers for them hold within one call: the
same person may have another number in the next. A catalogue entry names the graph in ``options.files.model``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.protocols import VoiceTurn
from device.engines.sessions import open_session
from device.engines.sound import finite
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model

STEP = 270
"""Samples between two of its decisions."""
SHORTEST = 991
"""Samples that one decision is made of: with fewer there is none."""
BREATH = 0.08
"""Seconds of silence that are no end of a turn."""
_POWERSET = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]],
    np.bool_,
)
"""Who talks in each class that the network tells: nobody, one of three, two of three."""


class PyannoteSegmenter:
    """A loaded network; safe to use from several threads."""

    def __init__(self, path: Path, threads: int) -> None:
        self._session = open_session(path, threads)
        self._input = self._session.get_inputs()[0].name
        if self._session.get_outputs()[0].shape[-1] != len(_POWERSET):
            raise ValueError("not a segmentation of three people, two at once")

    def turns(self, samples: Samples) -> list[VoiceTurn]:
        """Return who talks when, in the order in which they begin."""
        if len(samples) < SHORTEST:
            return []
        scores = self._session.run(None, {self._input: finite(samples)[None, None, :]})[0][0]
        talking = _POWERSET[scores.argmax(axis=-1)]
        seconds = STEP / SAMPLE_RATE
        found = [
            VoiceTurn(first * seconds, min(last * seconds, len(samples) / SAMPLE_RATE), voice)
            for voice in range(talking.shape[1])
            for first, last in _runs(talking[:, voice], round(BREATH / seconds))
        ]
        return sorted(found, key=lambda turn: turn.start)


def _runs(on: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Return the stretches of true values, those with at most ``gap`` false ones between them as one."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], on, [False])).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if runs and first - runs[-1][1] <= gap:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    return runs


def load(model: Model, folder: Path, threads: int) -> PyannoteSegmenter:
    """Load a model of engine ``pyannote``.

    Raises
    ------
    DragomanError
        The file is missing, damaged, or another network.
    """
    refuse_unknown_options(model, ("files",))
    path = require_file(model, folder, str(model.options.get("files", {}).get("model", "model.onnx")))
    try:
        return PyannoteSegmenter(path, threads)
    except ValueError as error:
        raise DragomanError(f"model {model.id}: {path} is {error}") from None
    except Exception as error:
        raise DragomanError(f"model {model.id}: {path} cannot be read; run `dragoman models verify`") from error
