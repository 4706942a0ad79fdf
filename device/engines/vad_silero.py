"""Silero's voice activity detector on sherpa-onnx.

Silero VAD (https://github.com/snakers4/silero-vad), versions 4 and 5. It gives a speech probability per 32 ms
frame and keeps its own recurrent state, so every conversation has an instance of its own.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime
import sherpa_onnx

from device.config import EndpointSettings
from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.protocols import VoiceActivity
from device.engines.sound import finite
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model

FRAME = 512
FILE = "silero_vad.onnx"
_STATE_INPUTS = ({"state"}, {"h", "c"})
"""Names of the recurrent inputs of versions 5 and 4; sherpa-onnx ends the process on any other model."""


class SileroVad:
    """One conversation's speech detector.

    A frame is speech when its probability rises above the threshold, and stays so until the probability falls
    0.15 below it. That is the only hysteresis: no minimum duration of speech or silence is applied here.
    """

    frame = FRAME

    def __init__(self, path: Path, threshold: float) -> None:
        config = sherpa_onnx.VadModelConfig()
        config.silero_vad.model = str(path)
        config.silero_vad.threshold = threshold
        config.silero_vad.min_silence_duration = 0.0
        config.silero_vad.min_speech_duration = 0.0
        config.sample_rate = SAMPLE_RATE
        config.num_threads = 1
        self._model = sherpa_onnx.VadModel.create(config)
        # Version 5 wants the end of the frame before in front of the new samples; version 4 wants none.
        self._context = self._model.window_size() - FRAME
        self._window = np.zeros(self._context + FRAME, np.float32)
        self._lock = threading.Lock()

    def is_speech(self, frame: Samples) -> bool:
        """Whether speech is going on in this frame of 512 samples.

        Samples that are not finite count as silence: one of them would stay in the recurrent state for good.

        Raises
        ------
        ValueError
            The frame has another length.
        """
        if frame.shape != (FRAME,):
            raise ValueError(f"a frame is {FRAME} samples, not {frame.shape}")
        with self._lock:
            window = self._window
            window[: self._context] = window[FRAME:].copy()
            window[self._context :] = finite(frame)
            return bool(self._model.is_speech(window))

    def reset(self) -> None:
        """Forget what was heard."""
        with self._lock:
            self._window[:] = 0.0
            self._model.reset()


def load(model: Model, folder: Path, settings: EndpointSettings) -> VoiceActivity:
    """Make the detector of one conversation.

    Raises
    ------
    DragomanError
        The file is missing, damaged, or not a Silero model of version 4 or 5.
    """
    refuse_unknown_options(model, ())
    path = require_file(model, folder, FILE)
    try:
        inputs = _inputs(path, path.stat().st_mtime_ns)
    except Exception as error:
        raise DragomanError(f"model {model.id}: {path} cannot be read; run `dragoman models verify`") from error
    if not any(names <= inputs for names in _STATE_INPUTS):
        raise DragomanError(f"model {model.id}: {path} is not a Silero VAD of version 4 or 5")
    return SileroVad(path, settings.threshold)


@lru_cache(maxsize=4)
def _inputs(path: Path, _changed: int) -> frozenset[str]:
    """Return the names of a model's inputs; read once, for every conversation makes a detector of its own."""
    return frozenset(item.name for item in onnxruntime.InferenceSession(str(path)).get_inputs())
