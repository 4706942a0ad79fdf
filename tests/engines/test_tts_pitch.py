"""Pitch changes by what was asked, and neither length nor vowels nor loudness do."""

import numpy as np
import pytest

from device.engines.tts_pitch import change_pitch, fundamental, median_pitch

RATE = 22_050


def vowel(hertz, seconds=1.0, formants=((700, 80), (1200, 90), (2500, 120))):
    """Sing: a pulse a period through three resonances (frequency and bandwidth)."""
    pulses = np.zeros(round(seconds * RATE))
    at = 0.0
    while at < len(pulses):
        pulses[int(at)] = 1.0
        at += RATE / hertz
    sound = pulses
    for centre, width in formants:
        t = np.arange(1200) / RATE
        sound = np.convolve(sound, np.exp(-np.pi * width * t) * np.sin(2 * np.pi * centre * t))[: len(pulses)]
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def centre_of_gravity(samples, low=400, high=3000):
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    band = (hertz > low) & (hertz < high)
    return float((hertz[band] * power[band]).sum() / power[band].sum())


@pytest.mark.parametrize("hertz", [90.0, 130.0, 210.0, 300.0])
def test_the_pitch_is_found(hertz):
    assert median_pitch(vowel(hertz), RATE) == pytest.approx(hertz, rel=0.01)


@pytest.mark.parametrize("hertz", [110.0, 200.0])
@pytest.mark.parametrize("factor", [0.7, 0.9, 1.1, 1.3, 1.6])
def test_the_pitch_changes_by_the_factor_and_the_rest_stays(hertz, factor):
    sound = vowel(hertz)
    changed = change_pitch(sound, RATE, factor)
    assert median_pitch(changed, RATE) == pytest.approx(hertz * factor, rel=0.03)
    assert len(changed) == len(sound)
    assert centre_of_gravity(changed) == pytest.approx(centre_of_gravity(sound), rel=0.15)
    assert np.sqrt(np.mean(changed**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=0.02)


def test_the_pitch_may_move():
    sound = vowel(120, 2.0)
    times, pitch = fundamental(change_pitch(sound, RATE, np.linspace(0.8, 1.4, len(sound))), RATE)
    middle = (times > 0.2) & (times < 1.8)
    expected = 120 * np.interp(times[middle], [0, 2], [0.8, 1.4])
    assert np.median(np.abs(pitch[middle] / expected - 1)) < 0.03


def test_what_is_not_to_change_is_passed_on_as_it_was():
    sound = vowel(120, 2.0)
    factor = np.ones(len(sound))
    factor[RATE:] = 1.3
    changed = change_pitch(sound, RATE, factor)
    assert np.array_equal(changed[: RATE - 300], sound[: RATE - 300])
    assert median_pitch(changed[RATE + 500 :], RATE) == pytest.approx(156, rel=0.03)
    assert change_pitch(sound, RATE, 1.0) is sound


def test_noise_and_silence_pass_unharmed():
    noise = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    for sound in (noise, np.zeros(RATE, np.float32), np.zeros(0, np.float32), noise[:50]):
        changed = change_pitch(sound, RATE, 1.3)
        assert len(changed) == len(sound)
        assert np.isfinite(changed).all()
    assert median_pitch(noise, RATE) == 0
