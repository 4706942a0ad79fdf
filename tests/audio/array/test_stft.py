from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audio.array.stft import FRAME, HOP, Analysis, Synthesis


def through(sound, sizes):
    analysis, synthesis = Analysis(1), Synthesis()
    outputs, at = [], 0
    for size in sizes:
        outputs.append(synthesis.push(analysis.push(sound[at : at + size, None])[:, 0]))
        at += size
    return np.concatenate(outputs)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 900), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_every_sample_comes_back_in_its_place_whatever_the_blocks(seed, sizes):
    sound = np.random.default_rng(seed).standard_normal(sum(sizes)).astype(np.float32)
    out = through(sound, sizes)
    assert sum(sizes) - 2 * HOP < len(out) <= sum(sizes)
    np.testing.assert_allclose(out, sound[: len(out)], atol=2e-5)


def test_no_sample_is_held_back_longer_than_32_ms():
    analysis, synthesis = Analysis(2), Synthesis()
    given, lags = 0, []
    for fed in range(1, 3 * FRAME):
        lags.append(fed - given)
        spectra = analysis.push(np.zeros((1, 2), np.float32))
        given += len(synthesis.push(spectra[:, 0]))
    assert max(lags) <= 0.032 * 16000
    assert max(lags) == 2 * HOP


@given(st.lists(st.integers(1, 700), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_the_spectra_do_not_depend_on_the_blocks(sizes):
    sound = np.random.default_rng(1).standard_normal((sum(sizes), 3)).astype(np.float32)
    whole = Analysis(3).push(sound)
    analysis, parts, at = Analysis(3), [], 0
    for size in sizes:
        parts.append(analysis.push(sound[at : at + size]))
        at += size
    np.testing.assert_array_equal(np.concatenate(parts), whole)
