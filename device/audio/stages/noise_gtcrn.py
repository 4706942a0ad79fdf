"""Noise suppression by a small neural network, GTCRN, through sherpa-onnx.

Rong et al., "GTCRN: a speech enhancement model requiring ultralow computational resources", ICASSP 2024.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sherpa_onnx

from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples

_DELAY = 512
"""The network's window; its output comes in its place, but that much later."""
FILE = "gtcrn.onnx"
"""The file in the model's folder; the store makes it from the published one."""
_MIN_SIZE = 100_000


class GtcrnNoiseSuppressor:
    """Removes noise of any kind, steady or not.

    Parameters
    ----------
    model
        The ``.onnx`` file with sherpa-onnx's metadata, as the model store prepares it.

    Raises
    ------
    DragomanError
        The file is missing or is no model.
    """

    name = "noise"
    latency = _DELAY
    frame = 256

    def __init__(self, model: Path) -> None:
        # sherpa-onnx ends the process on a file that it does not understand, so look before.
        try:
            content = model.read_bytes()
        except OSError as error:
            raise DragomanError(
                f"cannot read the noise suppression model {model}: {error.strerror or error}"
            ) from error
        if len(content) < _MIN_SIZE or b"model_type" not in content or b"gtcrn" not in content:
            raise DragomanError(f"{model} is no GTCRN model for sherpa-onnx; run `dragoman models verify`")
        config = sherpa_onnx.OnlineSpeechDenoiserConfig()
        config.model.gtcrn.model = str(model)
        config.model.num_threads = 1
        self._native = sherpa_onnx.OnlineSpeechDenoiser(config)
        self.reset()

    def process(self, samples: Samples) -> Samples:
        """Take a block and return what can be given out."""
        if not len(samples):
            return np.zeros(0, np.float32)
        self._taken += len(samples)
        out = np.asarray(self._native.run(samples.tolist(), SAMPLE_RATE).samples, np.float32)
        self._given += len(out)
        return out

    def flush(self) -> Samples:
        """Return what is held back; the stream ends."""
        missing = self._taken - self._given
        tail = np.asarray(self._native.flush().samples, np.float32)[:missing]
        tail = np.pad(tail, (0, missing - len(tail)))
        self.reset()
        return tail

    def reset(self) -> None:
        """Begin a new stream."""
        self._native.reset()
        self._taken = self._given = 0
