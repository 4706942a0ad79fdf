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
        self.stops = 0

    def began(self, start, speech_start):
        capacity = round(self.settings.max_utterance * SAMPLE_RATE)
        return Utterance(str(start), 0, None, start, speech_start, capacity)

    def grew(self, utterance):
        pass

    def paused(self, utterance):
        pass

    def ended(self, utterance):
        self.complete.append(utterance)

    def stopped(self):
        self.stops += 1


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


def voiced(hearing):
    return [int(np.count_nonzero(u.speech(u.length))) for u in hearing.notes.complete]


def test_who_is_cut_off_in_the_middle_of_a_word_is_heard_out(hearing):
    hearing.begin(hands_free=False)
    for _ in range(20):
        hearing.feed(LOUD)
    hearing.end(0.25)
    assert hearing.ending
    for number in range(12):
        hearing.feed(LOUD if number < 4 else QUIET)
    assert voiced(hearing) == [24]
    assert (hearing.notes.stops, hearing.ending) == (1, False)


def test_who_goes_on_talking_is_heard_out_for_so_long_only(hearing):
    hearing.begin(hands_free=False)
    for number in range(60):
        hearing.feed(LOUD)
        if number == 19:
            hearing.end(8 * FRAME / SAMPLE_RATE)
    assert (voiced(hearing), hearing.ending, hearing.notes.stops) == ([28], False, 1)


def test_in_silence_the_end_is_the_end(hearing):
    hearing.begin(hands_free=False)
    for number in range(40):
        hearing.feed(LOUD if number < 20 else QUIET)
    hearing.end(0.25)
    assert (voiced(hearing), hearing.ending, hearing.notes.stops) == ([20], False, 1)


def test_a_new_turn_ends_the_one_that_lingers(hearing):
    hearing.begin(hands_free=False)
    for _ in range(20):
        hearing.feed(LOUD)
    hearing.end(0.25)
    hearing.end()
    assert (voiced(hearing), hearing.ending, hearing.notes.stops) == ([20], False, 1)
