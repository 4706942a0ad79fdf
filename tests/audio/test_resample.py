"""Changing sample rates: nothing lost at either end, nothing moved, and speech left as it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audio.resample import Resampler

RATES = st.sampled_from([8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000])


def run(samples, resampler, sizes):
    out, at, i = [], 0, 0
    while at < len(samples):
        size = sizes[i % len(sizes)]
        out.append(resampler.process(samples[at : at + size]))
        at, i = at + size, i + 1
    out.append(resampler.flush())
    return np.concatenate(out)


@given(RATES, RATES, st.integers(0, 30_000), st.lists(st.integers(1, 5000), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_duration_is_kept_to_the_sample(rate_in, rate_out, length, sizes):
    out = run(np.zeros(length, np.float32), Resampler(rate_in, rate_out), sizes)
    assert abs(len(out) - length * rate_out / rate_in) <= 1


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_how_the_stream_is_cut_makes_no_difference(sizes):
    noise = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    whole = run(noise, Resampler(44100, 16000), [len(noise)])
    np.testing.assert_allclose(run(noise, Resampler(44100, 16000), sizes), whole, atol=1e-5)


@pytest.mark.parametrize("rate", [22050, 32000, 44100, 48000, 96000])
def test_speech_band_passes_unchanged_and_in_place(rate):
    seconds = np.arange(rate) / rate
    sweep = sum(np.sin(2 * np.pi * f * seconds + f) for f in (150, 900, 3400, 6800)).astype(np.float32) / 4
    out = run(sweep, Resampler(rate, 16000), [512])
    at = np.arange(16000) / 16000
    ideal = sum(np.sin(2 * np.pi * f * at + f) for f in (150, 900, 3400, 6800)) / 4
    middle = slice(800, -800)
    assert np.max(np.abs(out[middle] - ideal[middle])) < 0.01


def test_what_16_khz_cannot_hold_is_removed_not_folded_back():
    tone = np.sin(2 * np.pi * 12_000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.max(np.abs(run(tone, Resampler(48_000, 16_000), [480])[800:-800])) < 1e-3


@pytest.mark.parametrize("channels", [2, 4, 8])
def test_channels_stay_apart(channels):
    noise = np.random.default_rng(1).standard_normal((9_600, channels)).astype(np.float32)
    together = run(noise, Resampler(48_000, 16_000, channels), [1536])
    assert together.shape == (3_200, channels)
    for i in range(channels):
        alone = run(noise[:, i], Resampler(48_000, 16_000), [1536])
        np.testing.assert_allclose(together[:, i], alone, atol=1e-5)


def test_equal_rates_pass_through_untouched():
    block = np.ones(100, np.float32)
    resampler = Resampler(16_000, 16_000)
    assert resampler.process(block) is block
    assert len(resampler.flush()) == 0


def test_a_stream_begins_anew_after_its_end():
    resampler = Resampler(48_000, 16_000)
    noise = np.random.default_rng(2).standard_normal(4_800).astype(np.float32)
    np.testing.assert_array_equal(run(noise, resampler, [480]), run(noise, resampler, [480]))
