import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from device.audio.endpoint import Change, Endpointer, Phase, quietest_point
from device.events import SAMPLE_RATE

FRAME = 0.032


def endpointer(**changes):
    return Endpointer(**({"frame": FRAME, "min_speech": 0.25, "silence": 0.6, "pause": 0.16} | changes))


def run(machine, pattern):
    """Step through ``#`` (speech) and ``.`` (none); return (frame, change) of every change."""
    changes = [(i, machine.step(mark == "#")) for i, mark in enumerate(pattern)]
    return [(i, change) for i, change in changes if change is not Change.NONE]


def test_speech_begins_after_its_shortest_duration_and_ends_after_the_silence():
    machine = endpointer()
    changes = run(machine, "." * 10 + "#" * 30 + "." * 30)
    assert [c for _, c in changes] == [Change.BEGAN, Change.PAUSED, Change.ENDED]
    assert changes[0][0] == 10 + 8 - 1
    assert changes[1][0] == 40 + 5 - 1
    assert changes[2][0] == 40 + 19 - 1
    assert (machine.start, machine.end) == (10, 40)


def test_short_sounds_are_not_speech():
    assert run(endpointer(), "." * 5 + "#" * 7 + "." * 40) == []


def test_clicks_far_apart_never_add_up_to_speech():
    assert run(endpointer(), ("##" + "." * 8) * 40) == []


def test_a_word_with_a_short_gap_is_speech():
    changes = run(endpointer(), "####..####" + "." * 10)
    assert changes[0] == (9, Change.BEGAN)


def test_speech_after_a_pause_resumes_the_utterance():
    machine = endpointer()
    changes = [c for _, c in run(machine, "#" * 10 + "." * 8 + "#" * 10 + "." * 30)]
    assert changes == [Change.BEGAN, Change.PAUSED, Change.RESUMED, Change.PAUSED, Change.ENDED]
    assert (machine.start, machine.end) == (0, 28)


@given(st.lists(st.booleans(), max_size=400))
def test_changes_always_come_in_an_order_that_makes_sense(decisions):
    machine = endpointer()
    follows = {
        None: {Change.BEGAN},
        Change.BEGAN: {Change.PAUSED},
        Change.PAUSED: {Change.RESUMED, Change.ENDED},
        Change.RESUMED: {Change.PAUSED},
        Change.ENDED: {Change.BEGAN},
    }
    last = None
    for number, voiced in enumerate(decisions, 1):
        change = machine.step(voiced)
        if change is not Change.NONE:
            assert change in follows[last]
            last = change
        assert machine.start <= machine.end <= number
        assert machine.paused == (machine.phase is Phase.PAUSE)


def test_the_cut_falls_into_the_gap_between_words():
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 0.1, 10 * SAMPLE_RATE).astype(np.float32)
    gap = slice(int(7.0 * SAMPLE_RATE), int(7.2 * SAMPLE_RATE))
    samples[gap] *= 0.01
    cut = quietest_point(samples, 6 * SAMPLE_RATE, 10 * SAMPLE_RATE)
    assert gap.start <= cut <= gap.stop


def test_the_cut_of_too_short_a_stretch_is_its_end():
    assert quietest_point(np.ones(1000, np.float32), 100, 900) == 900
