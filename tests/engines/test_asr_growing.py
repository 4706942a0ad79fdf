"""A long utterance is decoded piece by piece: nothing is lost, nothing comes twice, no piece is long."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from device.engines.asr_growing import FORCED, LONGEST, GrowingText, as_written, division, quietest
from device.events import SAMPLE_RATE, Samples

STEP = int(0.4 * SAMPLE_RATE)


def bursts(lengths: list[float], pause: float) -> Samples:
    """Sine bursts, each of its own pitch, between pauses of faint noise."""
    rng = np.random.default_rng(0)
    parts = []
    for number, seconds in enumerate(lengths):
        time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        parts += [0.3 * np.sin(2 * np.pi * (300 + 100 * number) * time), np.zeros(int(pause * SAMPLE_RATE))]
    out = np.concatenate(parts)
    return (out + 1e-4 * rng.standard_normal(len(out))).astype(np.float32)


class Listener:
    """Names the bursts that it hears by their pitch, and notes how much it was given."""

    def __init__(self) -> None:
        self.longest = 0

    def __call__(self, samples: Samples) -> str:
        self.longest = max(self.longest, len(samples))
        heard: list[int] = []
        for start in range(0, len(samples) - 1600, 1600):
            part = samples[start : start + 1600]
            if np.sqrt(np.mean(part**2)) > 0.1:
                pitch = round((np.argmax(np.abs(np.fft.rfft(part))) * 10 - 300) / 100)
                if not heard or heard[-1] != pitch:
                    heard.append(pitch)
        return " ".join(str(pitch) for pitch in heard)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.4, 2.5), min_size=5, max_size=12), st.floats(0.3, 0.8))
def test_every_word_is_there_once_and_decoding_stays_short(lengths: list[float], pause: float) -> None:
    samples = bursts(lengths, pause)
    listener = Listener()
    growing = GrowingText(listener)
    for length in range(STEP, len(samples) + STEP, STEP):
        text = growing.text(samples[:length])
    assert text.split() == [str(number) for number in range(len(lengths))]
    assert listener.longest <= FORCED + STEP


def test_speech_without_a_pause_is_divided_all_the_same() -> None:
    listener = Listener()
    growing = GrowingText(listener)
    samples = bursts([25.0], 0.0)
    for length in range(STEP, len(samples), STEP):
        growing.text(samples[:length])
    assert listener.longest <= FORCED + STEP


def test_short_utterance_is_never_divided() -> None:
    assert division(bursts([1.0] * 4, 0.4)[: LONGEST - 1]) == 0


def test_division_falls_into_a_pause() -> None:
    samples = bursts([2.0, 2.0, 2.5], 0.4)
    cut = division(samples)
    assert np.abs(samples[cut - 800 : cut + 800]).max() < 0.01


def test_quietest_point_is_found() -> None:
    samples = bursts([2.0, 2.0], 0.5)
    assert 2.0 <= quietest(samples, 0, 4 * SAMPLE_RATE) / SAMPLE_RATE <= 2.5


def test_text_keeps_the_punctuation_that_it_had_in_context() -> None:
    assert as_written("It was the best.", "It was the best, it was the worst.") == "It was the best,"
    assert as_written("It was a rest.", "It was the best, it was") == "It was a rest."
    assert as_written("", "anything") == ""
