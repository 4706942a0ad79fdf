"""Loudness is measured as EBU Tech 3341 asks of a meter, here for one channel."""

import numpy as np
import pytest

from device.audio.loudness import integrated_loudness, true_peak

RATES = [16_000, 22_050, 24_000, 48_000]


def sine(level, seconds, rate, hertz=997.0):
    return (10 ** (level / 20) * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level", [-40.0, -23.0, 0.0])
def test_a_tone_of_one_kilohertz_is_three_below_its_peak(rate, level):
    assert integrated_loudness(sine(level, 10, rate), rate) == pytest.approx(level - 3.01, abs=0.12)


SOFT = [(-36, 10), (-23, 60), (-36, 10)]


@pytest.mark.parametrize("parts", [SOFT, [(-72, 10), *SOFT, (-72, 10)]])
def test_soft_passages_are_gated_out(parts):
    sound = np.concatenate([sine(level, seconds, 16_000) for level, seconds in parts])
    assert integrated_loudness(sound, 16_000) == pytest.approx(-26.0, abs=0.15)


def test_silence_has_no_loudness():
    assert integrated_loudness(np.zeros(16_000, np.float32), 16_000) == -np.inf
    assert integrated_loudness(np.zeros(0, np.float32), 16_000) == -np.inf
    assert true_peak(np.zeros(0, np.float32), 16_000) == -np.inf


@pytest.mark.parametrize("rate", RATES)
def test_a_peak_between_the_samples_is_found(rate):
    between = 0.5 * np.sin(np.pi / 2 * np.arange(rate) + np.pi / 4)  # no sample is above 0.354
    assert true_peak(between.astype(np.float32), rate) == pytest.approx(-6.0, abs=0.3)
