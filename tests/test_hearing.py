"""From samples to utterances, with a detector that hears what it is told."""

import numpy as np
import pytest

from device.config import EndpointSettings
from device.engines.scheduler import Meter
from device.events import SAMPLE_RATE
from device.hearing import Hearing
from device.utterance import FRAME, Utterance
from tests.support.engines import ToneVad

LOUD = np.full(FRAME, 0.1, np.float32)
QUIET = np.zeros(FRAME, np.float32)


class Notes:
    """Notes what happens to utterances."""

    def __init__(self, settings):
        self.settings = settings
        self.complete = []

    def began(self, start, speech_start):
        capacity = round(self.settings.max_utterance * SAMPLE_RATE)
        return Utterance(str(start), 0, None, start, speech_start, capacity)

    def grew(self, utterance):
        pass

    def paused(self, utterance):
        pass

    def ended(self, utterance):
        self.complete.append(utterance)


@pytest.fixture
def hearing():
    settings = EndpointSettings(max_utterance=3.0)
    notes = Notes(settings)
    hearing = Hearing(ToneVad(), settings, Meter(), notes)
    hearing.notes = notes
    return hearing


@pytest.mark.parametrize("early", range(8))
def test_a_pause_that_begins_just_when_an_utterance_is_full_is_no_trouble(hearing, early):
    hearing.begin(hands_free=True)
    full = -(-3 * SAMPLE_RATE // FRAME)
    for number in range(2 * full):
        hearing.feed(LOUD if number < full - early else QUIET)
    hearing.end()
    assert sum(int(np.count_nonzero(u.speech(u.length))) for u in hearing.notes.complete) == full - early
    for before, after in zip(hearing.notes.complete, hearing.notes.complete[1:], strict=False):
        assert before.start + before.length <= after.start


def test_what_must_go_on_for_long_to_be_speech_is_heard_from_its_beginning():
    settings = EndpointSettings(min_speech=2.0, padding=1.0)
    notes = Notes(settings)
    hearing = Hearing(ToneVad(), settings, Meter(), notes)
    hearing.begin(hands_free=True)
    for frame in [QUIET] * 100 + [LOUD] * 90 + [QUIET] * 40:
        hearing.feed(frame)
    (utterance,) = notes.complete
    assert utterance.speech_start == 100 * FRAME
    assert utterance.start == 100 * FRAME - round(SAMPLE_RATE / FRAME) * FRAME
    assert np.count_nonzero(utterance.speech(utterance.length)) == 90


def test_a_thousand_turns_do_not_move_the_clock(hearing):
    block = np.full(1000, 0.1, np.float32)  # no whole number of frames: each turn ends inside one
    for _ in range(1000):
        hearing.begin(hands_free=False)
        for _ in range(9):
            hearing.feed(block)
        hearing.end()
    last = hearing.notes.complete[-1]
    assert len(hearing.notes.complete) == 1000
    assert abs(last.noticed - 9_000_000) < FRAME
    assert abs(last.speech_start - 8_991_000) < FRAME + 0.3 * SAMPLE_RATE


def test_the_last_samples_of_a_turn_belong_to_it(hearing):
    hearing.begin(hands_free=False)
    for _ in range(20):
        hearing.feed(LOUD)
    hearing.feed(np.full(FRAME - 1, 0.2, np.float32))
    hearing.end()
    (utterance,) = hearing.notes.complete
    assert utterance.audio(utterance.length)[-2] == np.float32(0.2)
