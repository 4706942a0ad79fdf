"""Whole utterances: what goes round in circles is heard again, and people who repeat themselves are believed."""

from __future__ import annotations

import numpy as np

from device.engines.asr_whole import WholeSession
from device.engines.protocols import Recognition
from device.events import SAMPLE_RATE, Samples

SOUND = np.full(4 * SAMPLE_RATE, 0.1, np.float32)
LOOP = "1 John 10, 1-8. 1 John 10, 1-8. 1 John 10, 1-8."


def test_a_loop_is_left_for_what_nearly_the_same_sound_says() -> None:
    heard: list[int] = []

    def decode(samples: Samples) -> Recognition:
        heard.append(len(samples))
        return Recognition(LOOP if len(samples) <= len(SOUND) else "Call me at 555.", "en")

    assert WholeSession(decode, "en", costly=False).recognize(SOUND, final=True).text == "Call me at 555."
    assert heard[0] == len(SOUND)


def test_a_loop_that_is_another_one_whenever_it_is_heard_was_not_said() -> None:
    def decode(samples: Samples) -> Recognition:
        said = "You can see me. " if len(samples) <= len(SOUND) else "And a bit older. "
        return Recognition(3 * said, "en")

    assert not WholeSession(decode, "en", costly=False).recognize(SOUND, final=True).text


def test_what_comes_before_a_loop_is_not_lost_with_it() -> None:
    def decode(samples: Samples) -> Recognition:
        loop = "You can see. " if len(samples) <= len(SOUND) else "A bit older. "
        return Recognition("Meet me at the station when the last train has left. " + 2 * loop, "en")

    assert "station" in WholeSession(decode, "en", costly=False).recognize(SOUND, final=True).text


def test_who_repeats_himself_is_believed() -> None:
    def decode(samples: Samples) -> Recognition:
        return Recognition("It was so cold. It was so cold.", "en")

    session = WholeSession(decode, "en", costly=False)
    assert session.recognize(SOUND, final=True).text == "It was so cold. It was so cold."
