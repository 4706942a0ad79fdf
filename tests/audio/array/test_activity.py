from __future__ import annotations

from device.audio.array.activity import HOLD, ONSET, TAIL, Gate, Lesson


def lessons(gate, numbers):
    return [lesson for number in numbers for lesson in gate.sort(number)]


def test_noise_waits_until_it_is_sure_that_nobody_spoke_up():
    gate = Gate()
    assert lessons(gate, range(HOLD)) == []
    assert lessons(gate, [HOLD, HOLD + 1]) == [(Lesson.NOISE, 0), (Lesson.NOISE, 1)]


def test_the_first_syllable_is_never_learnt_as_noise():
    gate = Gate()
    before = lessons(gate, range(10))
    gate.speech(True)
    after = lessons(gate, [10, 11])
    assert [number for lesson, number in after if lesson is Lesson.SPEECH] == [*range(10 - ONSET, 10), 10, 11]
    assert max(number for _, number in before) < 10 - HOLD + 1


def test_the_rooms_echo_after_speech_is_neither():
    gate = Gate()
    gate.speech(True)
    lessons(gate, range(3))
    gate.speech(False)
    assert [number for _, number in lessons(gate, range(3, 3 + TAIL + HOLD + 1))] == [3 + TAIL]


def test_sound_that_cannot_be_the_talker_is_noise_at_once():
    gate = Gate()
    gate.speech(True)
    assert gate.sort(1, certain_noise=True) == [(Lesson.NOISE, 1)]
