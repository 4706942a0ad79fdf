"""One conversation after another: what was said in the one before is answered, whatever changes meanwhile."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from device.config import (
    AudioSettings,
    ControlSettings,
    DirectionSettings,
    MqttSettings,
    Settings,
    TextSettings,
    Trigger,
)
from device.daemon import Daemon
from device.engines.registry import Engines
from device.events import SAMPLE_RATE, Final, State
from tests.support.engines import SmallEngines, silence, speak


class DeviceEngines(SmallEngines):
    """The small engines, and what else a device asks them for."""

    def preload(self, settings):
        pass

    def installed(self, task):
        return []


@pytest.fixture
def device(monkeypatch, tmp_path):
    monkeypatch.setattr(Engines, "open", lambda _settings: DeviceEngines())
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, silence(0.1), SAMPLE_RATE)
    finals = []
    settings = Settings(
        audio=AudioSettings(input=f"file:{quiet}", output="null"),
        mqtt=MqttSettings(enabled=False),
        controls=ControlSettings(pins="none"),
        text=TextSettings(fluent=False, numbers=False, punctuation=False),
        directions=(DirectionSettings(targets=("pt",)), DirectionSettings(targets=("es",))),
    )
    device = Daemon(settings, [lambda event: finals.append(event) if isinstance(event, Final) else None])
    device.finals = finals
    return device


def test_what_was_said_before_a_change_of_language_survives_a_stop(device):
    device.start()
    device._microphone.stop()
    device.engines.asr.gate.clear()
    device.interpreter.begin_turn()
    device.interpreter.feed(np.concatenate([silence(0.5), speak("one two three four five"), silence(0.2)]))
    changing = threading.Thread(target=device.redirect, args=(0,), kwargs={"targets": ("fr",)})
    before = device.interpreter
    changing.start()
    while device.interpreter is before:
        changing.join(0.01)
    threading.Timer(0.3, device.engines.asr.gate.set).start()  # while it stops
    device.stop()
    changing.join(60)
    assert [final.text for final in device.finals] == ["one two three four five"]


@pytest.mark.parametrize("late", [True, False])
def test_a_microphone_that_is_opened_in_the_middle_of_a_turn_stays_open(device, late):
    device.start()
    told, ended = threading.Event(), device.controller._on_turn_end

    def turn_ended():
        if late:  # the controller's thread may come to it only when the new mode is set
            assert told.wait(30)
        ended()
        told.set()

    device.controller._on_turn_end = turn_ended
    assert device.controller.begin(0)
    while not device.interpreter.listening:
        told.wait(0.01)
    device.set_mode(Trigger.OPEN)
    told.set()
    device.controller.close()  # everything has been told then
    assert device.interpreter.listening
    assert device.state is State.LISTENING
    device.stop()


def test_the_watchdog_hears_of_a_microphone_whose_sound_goes_nowhere(device, monkeypatch):
    fed = threading.Semaphore(0)

    def feed(_samples, _azimuth):
        fed.release()
        raise ValueError("nothing can be heard")

    with device:
        monkeypatch.setattr(device.interpreter, "feed", feed)
        assert fed.acquire(timeout=30)
        device._listening.beaten = False
        for _ in range(5):
            assert fed.acquire(timeout=30)
        assert not device._listening.beaten


def test_two_who_change_different_ways_at_once_both_get_what_they_asked_for(device, monkeypatch):
    both = threading.Barrier(2)

    def preload(_settings):
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)  # they meet here where nobody waits for the other

    with device:
        monkeypatch.setattr(device.engines, "preload", preload)
        with ThreadPoolExecutor(2) as people:
            list(people.map(lambda way: device.redirect(way[0], targets=(way[1],)), [(0, "fr"), (1, "it")]))
        assert [way.targets for way in device.settings.directions] == [("fr",), ("it",)]


def test_the_last_state_that_is_told_is_the_last_there_was(device):
    class Display:
        def __init__(self):
            self.shown = []
            self.showing, self.go_on, self.both = threading.Event(), threading.Event(), threading.Event()

        def show(self, state):
            self.showing.set()
            assert state is not State.MUTED or self.go_on.wait(30)
            self.shown.append(state)
            if len(self.shown) == 2:
                self.both.set()

    device.start()
    device._microphone.stop()
    device.display = display = Display()
    device._muted = True
    telling = threading.Thread(target=device.changed)
    telling.start()
    assert display.showing.wait(30)
    device.alert("microphone", "it is gone")
    display.go_on.set()
    assert display.both.wait(30)
    telling.join(30)
    device.display = None
    device.stop()
    assert display.shown == [State.MUTED, State.ERROR]
