"""Loudness and true peak as broadcasters measure them (ITU-R BS.1770-5, EBU R 128), for mono sound."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from device.events import Samples

_BLOCK, _STEP = 0.4, 0.1
_ABSOLUTE_GATE, _RELATIVE_GATE = -70.0, -10.0
_OVERSAMPLING = 4

# The standard gives the two filters for 48 kHz; these are the analogue ones that it was made from
# (Brecht De Man, "Evaluation of implementations of the EBU R128 loudness measurement", AES 145, 2018).
_SHELF = {"f": 1681.974450955533, "gain": 3.999843853973347, "q": 0.7071752369554196}
_HIGHPASS = {"f": 38.13547087602444, "q": 0.5003270373238773}


def integrated_loudness(samples: Samples, rate: int) -> float:
    """Return the gated loudness of ``samples`` in LUFS; minus infinity where all of it is silent."""
    weighted = _k_weighted(samples, rate)
    block, step = round(_BLOCK * rate), round(_STEP * rate)
    if len(weighted) < block:
        weighted = np.concatenate((weighted, np.zeros(block - len(weighted))))
    total = np.concatenate(([0.0], np.cumsum(weighted**2)))
    starts = np.arange(0, len(weighted) - block + 1, step)
    power = (total[starts + block] - total[starts]) / block
    power = power[power > 10 ** ((_ABSOLUTE_GATE + 0.691) / 10)]
    if not len(power):
        return -np.inf
    power = power[power > power.mean() * 10 ** (_RELATIVE_GATE / 10)]
    return _lufs(float(power.mean()))


def true_peak(samples: Samples, rate: int) -> float:
    """Return the highest peak in dBTP, also between the samples; minus infinity for silence."""
    if not len(samples):
        return -np.inf
    over = soxr.resample(np.asarray(samples, np.float64), rate, rate * _OVERSAMPLING)
    peak = max(float(np.abs(over).max(initial=0.0)), float(np.abs(samples).max()))
    return 20 * float(np.log10(peak)) if peak else -np.inf


def _lufs(power: float) -> float:
    return -0.691 + 10 * float(np.log10(max(power, 1e-20)))


def _k_weighted(samples: Samples, rate: int) -> NDArray[np.float64]:
    """Filter as the ear weighs: both filters at once on the spectrum, with room for what they ring on."""
    length = len(samples) + rate // 4
    size = 1 << (length - 1).bit_length()
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
    response = _response(*_shelf(rate), z) * _response(*_highpass(rate), z)
    found: NDArray[np.float64] = np.fft.irfft(np.fft.rfft(samples, size) * response, size)[: len(samples)]
    return found


def _response(b: tuple[float, ...], a: tuple[float, ...], z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return (b[0] + b[1] * z + b[2] * z**2) / (a[0] + a[1] * z + a[2] * z**2)


def _shelf(rate: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    k = np.tan(np.pi * _SHELF["f"] / rate)
    high = 10 ** (_SHELF["gain"] / 20)
    band, q = high**0.4996667741545416, _SHELF["q"]
    return (
        (high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k),
        (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k),
    )


def _highpass(rate: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    k = np.tan(np.pi * _HIGHPASS["f"] / rate)
    q = _HIGHPASS["q"]
    return (1.0, -2.0, 1.0), (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k)
