"""What the device says, in the order in which it was to be said."""

import numpy as np

from device.config import AudioSettings, Settings
from device.events import Speech
from device.voice import Voice


def speech(number):
    return Speech(
        emitted=0.0, utterance=f"utterance-{number}", index=0, text="", language="pt", voice="Beep",
        sample_rate=16_000, duration=0.01, samples=np.full(160, number, np.float32),
    )  # fmt: skip


def test_what_is_said_while_held_speech_is_let_go_comes_after_it(monkeypatch):
    voice = Voice(Settings(audio=AudioSettings(output="null")), lambda: None, lambda _report: None)
    played = []

    def play(samples, _rate):
        played.append(int(samples[0]))
        if len(played) == 1:  # as another thread may, just then
            voice.say(speech(4))

    monkeypatch.setattr(voice.player, "play", play)
    voice.hold_back()
    for number in (1, 2, 3):
        voice.say(speech(number))
    assert played == []
    voice.go_on()
    voice.say(speech(5))
    assert played == [1, 2, 3, 4, 5]


def test_silence_while_held_speech_is_let_go_ends_it(monkeypatch):
    voice = Voice(Settings(audio=AudioSettings(output="null")), lambda: None, lambda _report: None)
    played = []

    def play(samples, _rate):
        played.append(int(samples[0]))
        voice.silence()

    monkeypatch.setattr(voice.player, "play", play)
    voice.hold_back()
    for number in (1, 2, 3):
        voice.say(speech(number))
    voice.go_on()
    assert played == [1]
