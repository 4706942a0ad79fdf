"""Changes the pitch of speech and leaves its length and its vowels as they are.

The fundamental frequency is found by YIN (de Cheveigné and Kawahara, JASA 2002); periods are then laid closer together
or farther apart (TD-PSOLA: Moulines and Charpentier, Speech Communication 1990), so that formants stay in place.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.events import Samples

LOWEST, HIGHEST = 50.0, 420.0
"""Fundamental frequencies of speech in Hz."""
_STEP: Final = 0.005
_WINDOW: Final = 0.03
_THRESHOLD: Final = 0.2
"""How far from periodic a voiced frame may be (YIN's d')."""
_QUIET: Final = 10 ** (-40 / 20)
_LEAST: Final = 0.002
"""A smaller change of pitch is none."""
_UNVOICED_PERIOD: Final = 0.006
_BLOCK: Final = 400
"""Frames looked at together: a few megabytes."""

Curve = NDArray[np.float64]


def fundamental(samples: Samples, rate: int) -> tuple[Curve, Curve]:
    """Return the times of frames in seconds, and the fundamental frequency in each; 0 where nothing is voiced."""
    shortest, longest = int(rate / HIGHEST), int(rate / LOWEST)
    width, step = round(_WINDOW * rate), round(_STEP * rate)
    padded = np.concatenate((np.zeros(width // 2), samples, np.zeros(width + longest))).astype(np.float64)
    starts = np.arange(0, len(samples), step)
    loudest = float(np.abs(samples).max(initial=0.0))
    found = np.zeros(len(starts))
    for low in range(0, len(starts), _BLOCK):
        rows = starts[low : low + _BLOCK, None] + np.arange(width + longest)
        found[low : low + _BLOCK] = _yin(padded[rows], width, shortest, longest, rate, loudest * _QUIET)
    return starts / rate, _smoothed(found)


def median_pitch(samples: Samples, rate: int) -> float:
    """Return the usual fundamental frequency in Hz; 0 where nothing is voiced."""
    _, found = fundamental(samples, rate)
    voiced = found[found > 0]
    return float(np.median(voiced)) if len(voiced) else 0.0


def change_pitch(samples: Samples, rate: int, factor: Curve | float) -> Samples:
    """Return ``samples`` with the fundamental frequency multiplied by ``factor``, as long and as loud as before.

    Parameters
    ----------
    samples, rate
        Speech, mono.
    factor
        A number, or one for each sample; between 0.4 and 2.5.
    """
    if not len(samples):
        return samples
    factors = np.broadcast_to(np.asarray(factor, np.float64), len(samples))
    if not (np.abs(factors - 1) > _LEAST).any():
        return samples
    times, pitch = fundamental(samples, rate)
    marks, periods, voiced = _marks(samples.astype(np.float64), rate, times, pitch)
    if len(marks) < 3:
        return samples
    made = np.zeros(len(samples) + 2 * rate // 20)
    weight = np.zeros_like(made)
    source = np.concatenate((np.zeros(rate // 20), samples, np.zeros(rate // 20))).astype(np.float64)
    offset = rate // 20
    at = float(marks[0])
    while at < len(samples):
        near = int(np.clip(np.searchsorted(marks, at), 1, len(marks) - 1))
        near -= at - marks[near - 1] < marks[near] - at
        half = int(min(periods[near], offset - 1))
        window = np.hanning(2 * half + 1)
        here, there = round(at) + offset, int(marks[near]) + offset
        made[here - half : here + half + 1] += source[there - half : there + half + 1] * window
        weight[here - half : here + half + 1] += window
        change = float(factors[min(len(factors) - 1, int(at))]) if voiced[near] else 1.0
        at += periods[near] / change
    # Where windows overlap less than they should, the sound is not lifted above what was taken.
    changed = made / np.maximum(weight, 0.7)
    changed = changed[offset : offset + len(samples)]
    first, last = int(marks[0]), int(marks[-1])
    changed[:first] = np.where(weight[offset : offset + first] > 0.7, changed[:first], samples[:first])
    changed[last:] = np.where(weight[offset + last : offset + len(samples)] > 0.7, changed[last:], samples[last:])
    asked = np.abs(factors - 1) > _LEAST
    before, after = float(np.sum(samples.astype(np.float64)[asked] ** 2)), float(np.sum(changed[asked] ** 2))
    changed *= np.sqrt(before / after) if after else 1.0
    # What nobody asked to change is passed on as it was, with short joints.
    share = np.convolve(
        np.pad(asked.astype(np.float64), rate // 200, "edge"), np.ones(rate // 200) / (rate // 200), "same"
    )
    share = share[rate // 200 : rate // 200 + len(samples)]
    return np.asarray(share * changed + (1 - share) * samples, np.float32)


def _yin(frames: Curve, width: int, shortest: int, longest: int, rate: int, quiet: float) -> Curve:
    """Return the fundamental frequency of each frame (rows), 0 where it is not voiced."""
    size = 1 << (frames.shape[1] + width - 1).bit_length()
    head = frames[:, :width]
    product = np.fft.irfft(np.fft.rfft(frames, size) * np.conj(np.fft.rfft(head, size)), size)[:, : longest + 1]
    energy = np.cumsum(np.concatenate((np.zeros((len(frames), 1)), frames**2), axis=1), axis=1)
    shifted = energy[:, width : width + longest + 1] - energy[:, : longest + 1]
    difference = np.maximum(shifted[:, :1] + shifted - 2 * product, 0.0)
    total = np.cumsum(difference[:, 1:], axis=1)
    normal = difference[:, 1:] * np.arange(1, longest + 1) / np.maximum(total, 1e-12)
    normal = np.concatenate((np.ones((len(frames), 1)), normal), axis=1)
    found = np.zeros(len(frames))
    loud = np.sqrt(shifted[:, 0] / width) > quiet
    for row in np.flatnonzero(loud):
        curve = normal[row]
        below = np.flatnonzero(curve[shortest:longest] < _THRESHOLD)
        if not len(below):
            continue
        lag = int(below[0]) + shortest
        while lag + 1 < longest and curve[lag + 1] < curve[lag]:
            lag += 1
        a, b, c = curve[lag - 1], curve[lag], curve[lag + 1]
        bend = a - 2 * b + c
        found[row] = rate / (lag + (0.5 * (a - c) / bend if bend > 1e-12 else 0.0))
    return found


def _smoothed(pitch: Curve) -> Curve:
    """Take back single frames that jump, and voiced ones that stand alone."""
    if len(pitch) < 5:
        return pitch
    around = np.lib.stride_tricks.sliding_window_view(np.pad(pitch, 2), 5)
    enough = (around > 0).sum(axis=1) >= 3
    middle = np.array([np.median(row[row > 0]) if (row > 0).any() else 0.0 for row in around])
    jumps = np.abs(pitch - middle) > 0.2 * np.maximum(middle, 1.0)
    return np.where(enough & (pitch > 0), np.where(jumps, middle, pitch), 0.0)


def _marks(samples: Curve, rate: int, times: Curve, pitch: Curve) -> tuple[NDArray[np.int64], Curve, NDArray[np.bool_]]:
    """Return one place in each period, the period there in samples, and whether it is voiced.

    A place is where the sound is most like that around the place before, one period on.
    """
    frames = times * rate
    marks: list[int] = []
    periods: list[float] = []
    voiced: list[bool] = []
    at = 0
    while at < len(samples):
        frame = min(len(pitch) - 1, int(np.searchsorted(frames, at)))
        if pitch[frame] <= 0:
            step = _UNVOICED_PERIOD * rate
            marks.append(at)
            periods.append(step)
            voiced.append(False)
            at += round(step)
            continue
        period = rate / pitch[frame]
        if not voiced or not voiced[-1]:  # a voiced stretch begins: at its highest peak within one period
            reach = samples[at : at + max(1, round(period))]
            at += int(np.argmax(np.abs(reach))) if len(reach) else 0
        else:
            at = marks[-1] + _best_shift(samples, marks[-1], period)
        marks.append(at)
        periods.append(period)
        voiced.append(True)
        at += max(1, round(period))
    return np.array(marks, np.int64), np.array(periods), np.array(voiced)


def _best_shift(samples: Curve, mark: int, period: float) -> int:
    """Return how far on the sound repeats, within a sixth of ``period``."""
    half, slack = round(period / 2), max(1, round(period / 6))
    low, high = round(period) - slack, round(period) + slack
    if mark < half or mark + high + half >= len(samples):
        return round(period)
    pattern = samples[mark - half : mark + half]
    stretch = samples[mark + low - half : mark + high + half]
    likeness = np.correlate(stretch, pattern, "valid")
    windows = np.lib.stride_tricks.sliding_window_view(stretch, len(pattern))[: len(likeness)]
    likeness = likeness / np.sqrt(np.maximum((windows**2).sum(axis=1), 1e-12))
    return low + int(np.argmax(likeness))
