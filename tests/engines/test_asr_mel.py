"""Whisper's features have the shape and the scale that the model was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from device.engines.asr_mel import HOP, log_mel, mel_filters
from device.events import SAMPLE_RATE
from tests.engines.speech import noise


@pytest.mark.parametrize("bands", [80, 128])
def test_one_frame_a_hop_and_one_row_a_band(bands: int) -> None:
    mel = log_mel(noise(1.0, 0.1), bands)
    assert mel.shape == (bands, SAMPLE_RATE // HOP)
    assert mel.dtype == np.float32


def test_range_is_eighty_decibels() -> None:
    mel = log_mel(np.concatenate([noise(0.5, 0.5), np.zeros(8000, np.float32)]), 80)
    assert mel.max() - mel.min() == pytest.approx(2.0, abs=1e-3)


def test_tone_lies_in_its_band() -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    rows = [log_mel(np.sin(2 * np.pi * f * time).astype(np.float32), 80)[:, 50].argmax() for f in (200, 1000, 4000)]
    # Slaney's scale: 15 mel at 1 kHz, 45.2 mel at 8 kHz, 82 edges
    assert rows == [pytest.approx(3 / 45.245 * 81 - 1, abs=1), pytest.approx(15 / 45.245 * 81 - 1, abs=1),
                    pytest.approx((15 + 27 * np.log(4) / np.log(6.4)) / 45.245 * 81 - 1, abs=1)]  # fmt: skip


def test_filters_have_equal_area() -> None:
    area = mel_filters(80).sum(axis=1) * (SAMPLE_RATE / 400)
    assert area[20:] == pytest.approx(1.0, abs=0.15)  # the lowest are narrower than the bins


def test_silence_is_finite() -> None:
    assert np.isfinite(log_mel(np.zeros(SAMPLE_RATE, np.float32), 80)).all()
