"""Earcons are short, quiet, free of clicks, and told apart."""

import numpy as np
import pytest

from device.controls.earcons import RATE, Earcon


def pitch(samples):
    return np.argmax(np.abs(np.fft.rfft(samples, RATE)))


@pytest.mark.parametrize("earcon", Earcon)
def test_an_earcon_is_short_and_does_not_click(earcon):
    samples = earcon.samples
    assert samples.dtype == np.float32
    assert len(samples) <= 0.35 * RATE
    assert 0.15 < np.abs(samples).max() < 0.3
    assert abs(samples[0]) < 0.01
    assert abs(samples[-1]) < 0.01


def test_listening_goes_up_and_done_goes_down():
    half = len(Earcon.LISTEN.samples) // 2
    assert pitch(Earcon.LISTEN.samples[:half]) < pitch(Earcon.LISTEN.samples[half:])
    assert pitch(Earcon.DONE.samples[:half]) > pitch(Earcon.DONE.samples[half:])
    assert pitch(Earcon.MUTED.samples) < pitch(Earcon.DONE.samples)
