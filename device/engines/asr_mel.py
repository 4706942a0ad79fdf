"""Log-mel spectrograms as Whisper was trained on.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (https://arxiv.org/abs/2212.04356):
80 (or 128) mel bands from 0 to 8 kHz, 25 ms windows, 10 ms hops, a range of 80 dB scaled to about [-1, 1].
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from device.events import SAMPLE_RATE, Samples

HOP = 160
"""Samples from one frame to the next."""
_WINDOW = 400
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_HZ_A_MEL = 200.0 / 3.0
_STEP = np.log(6.4) / 27.0
_RANGE = 8.0
"""Decades of power below the loudest that are kept."""


def log_mel(samples: Samples, bands: int) -> NDArray[np.float32]:
    """Return the log-mel spectrogram of ``samples``: ``[bands, len(samples) // HOP]``.

    The samples (at least 201) are mirrored at both ends, so that frame ``i`` is centred on sample ``i * HOP``.
    """
    padded = np.pad(samples, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][: len(samples) // HOP]
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32) ** 2
    logarithm = np.log10(np.maximum(mel_filters(bands) @ power.T, 1e-10))
    logarithm = np.maximum(logarithm, logarithm.max() - _RANGE)
    mel: NDArray[np.float32] = ((logarithm + 4.0) / 4.0).astype(np.float32)
    return mel


@lru_cache(maxsize=2)
def mel_filters(bands: int) -> NDArray[np.float32]:
    """Return triangular filters of equal area on Slaney's mel scale: ``[bands, 201]``.

    Slaney, "Auditory Toolbox" (1998): linear up to 1 kHz, logarithmic above.
    """
    bins = np.linspace(0.0, SAMPLE_RATE / 2, _WINDOW // 2 + 1)
    edges = _hertz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), bands + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    filters: NDArray[np.float32] = (np.maximum(triangles, 0.0) * 2.0 / (high - low)).astype(np.float32)
    return filters


def _mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _HZ_A_MEL
    return _BREAK_MEL + float(np.log(hertz / _BREAK_HZ)) / float(_STEP)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < _BREAK_MEL, mel * _HZ_A_MEL, _BREAK_HZ * np.exp(_STEP * (mel - _BREAK_MEL)))
