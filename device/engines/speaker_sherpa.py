"""Voiceprints by sherpa-onnx: the same person's are alike, whatever is said.

Any model of sherpa-onnx's speaker embedding extractor will do (WeSpeaker, 3D-Speaker, NeMo TitaNet). Those of WeSpeaker
need ``feature_normalize_type = "global-mean"`` in the graph's metadata, which sherpa-onnx's own copies lack: without it
the voiceprints of all people are alike. A catalogue entry names the graph in ``options.files.model``.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np
import sherpa_onnx

from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.sound import finite
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model


class SherpaVoiceprints:
    """A loaded network; safe to use from several threads, one call at a time."""

    def __init__(self, path: Path, threads: int) -> None:
        config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(path), num_threads=max(1, threads))
        if not config.validate():
            raise ValueError("no speaker embedding model that sherpa-onnx knows")
        self._native = sherpa_onnx.SpeakerEmbeddingExtractor(config)
        self._lock = Lock()

    def voiceprint(self, samples: Samples) -> Samples | None:
        """Return the voice in ``samples`` as a vector of length 1; nothing where they are too few."""
        with self._lock:
            stream = self._native.create_stream()
            stream.accept_waveform(SAMPLE_RATE, finite(samples))
            stream.input_finished()
            if not self._native.is_ready(stream):
                return None
            vector = np.asarray(self._native.compute(stream), np.float32)
        length = float(np.linalg.norm(vector))
        return vector / length if length > 0 and np.isfinite(length) else None


def load(model: Model, folder: Path, threads: int) -> SherpaVoiceprints:
    """Load a model of engine ``sherpa-speaker``.

    Raises
    ------
    DragomanError
        The file is missing, damaged, or another network.
    """
    refuse_unknown_options(model, ("files",))
    path = require_file(model, folder, str(model.options.get("files", {}).get("model", "model.onnx")))
    try:
        return SherpaVoiceprints(path, threads)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise DragomanError(
            f"model {model.id} in {folder} cannot be loaded ({reason}); run `dragoman models verify`"
        ) from error
