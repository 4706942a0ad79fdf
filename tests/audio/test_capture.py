"""The microphone: every channel as it was, the clock true, and going on after every trouble."""

import threading
import time

import numpy as np
import pyaudio
import pytest
import soundfile

from device.audio import capture as module
from device.audio.capture import Capture, FileCapture, open_capture
from device.audio.portaudio import portaudio
from device.audio.reports import Happening
from device.config import AudioSettings
from device.errors import DragomanError
from tests.audio.pulse import Watch, likeness, until

FOUR = AudioSettings(input="virtual_mic", channels=4, rate=48_000)


def noise(seconds, channels=4, rate=48_000):
    return (0.1 * np.random.default_rng(0).standard_normal((int(seconds * rate), channels))).astype(np.float32)


def tone(frequency, seconds=1.5, rate=48_000):
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def pitch(samples, rate):
    return np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * rate / len(samples)


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def capturing(watch):
    """Starts captures that are stopped when the test ends."""
    started = []

    def start(settings, **how):
        capture = open_capture(settings, watch.on_block, watch.on_report, **how)
        capture.start()
        started.append(capture)
        return capture

    yield start
    for capture in started:
        capture.stop()


@pytest.mark.e2e
def test_each_of_four_channels_arrives_with_its_own_sound(virtual_mic, capturing, watch):
    capturing(FOUR)
    found = watch.until_reported(Happening.FOUND)
    assert (found.rate, found.channels) == (48_000, 4)
    watch.until_heard(4_800)
    played = noise(1.5)
    virtual_mic.play(played)
    watch.until_heard(24_000)
    heard = watch.audio
    for i in range(4):
        for j in range(4):
            same = likeness(heard[:, i], played[:, j])
            assert same > 0.95 if i == j else same < 0.1, (i, j)


@pytest.mark.e2e
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 4), (44_100, 2), (96_000, 8), (None, None)])
def test_any_rate_and_channels_can_be_had(virtual_mic, capturing, watch, rate, channels):
    capture = capturing(AudioSettings(input="virtual", rate=rate, channels=channels))
    found = watch.until_reported(Happening.FOUND)
    assert (capture.rate, capture.channels) == (found.rate, found.channels)
    assert (found.rate, found.channels) == (rate or found.rate, channels or found.channels)
    watch.until_heard(found.rate // 10)
    virtual_mic.play(tone(440), wait=False)
    watch.until(lambda: np.any(np.abs(watch.blocks[-1]) > 0.1), "the tone")
    watch.until_heard(found.rate // 5)
    begin = watch.frames
    watch.until_heard(found.rate // 2)
    heard = watch.audio[begin : begin + found.rate // 2]
    assert heard.shape[1] == found.channels
    assert pitch(heard[:, 0], found.rate) == pytest.approx(440, abs=4)


@pytest.mark.e2e
def test_a_slow_receiver_loses_no_time(virtual_mic, monkeypatch, watch):
    monkeypatch.setattr(module, "QUEUE_SECONDS", 0.3)
    hold, held = threading.Event(), threading.Event()

    def slow(block):
        if watch.frames > 48_000 and not hold.is_set():
            held.set()
            hold.wait()
        watch.on_block(block)

    capture = Capture(FOUR, slow, watch.on_report)
    capture.start()
    try:
        assert held.wait(60)
        began = time.monotonic()
        until(lambda: capture._intake._dropped >= 48_000)
        away = time.monotonic() - began
        before = watch.frames
        hold.set()
        report = watch.until_reported(Happening.OVERRUN)
        # One second at least was dropped, and silence of that length stands in its place.
        assert report.seconds >= 0.95
        assert capture.overruns >= 1
        watch.until_heard(4_800)
        assert (watch.frames - before) / 48_000 >= away - 0.1
    finally:
        hold.set()
        capture.stop()


@pytest.mark.e2e
def test_many_overruns_are_counted_and_reported_once_a_second(virtual_mic, capturing, watch):
    capture = capturing(FOUR)
    watch.until_reported(Happening.FOUND)
    watch.until_heard(4_800)
    block = np.zeros((48, 4), np.float32).tobytes()
    began = time.monotonic()
    for _ in range(50):
        capture._intake.callback(block, 48, None, pyaudio.paInputOverflow)
    watch.until(lambda: sum(report.count for report in watch.of(Happening.OVERRUN)) >= 50, "50 overruns")
    assert capture.overruns >= 50
    assert len(watch.of(Happening.OVERRUN)) <= 2 + (time.monotonic() - began) / module.REPORT_EVERY


@pytest.mark.e2e
def test_a_microphone_that_vanishes_is_found_again_and_the_clock_stays_true(virtual_mic, capturing, watch):
    capturing(FOUR)
    watch.until_reported(Happening.FOUND)
    watch.until_heard(48_000)
    before, began = watch.frames, time.monotonic()
    virtual_mic.kill()
    lost = watch.until_reported(Happening.LOST)
    assert "virtual_mic" in lost.text
    watch.until_heard(9_600)  # silence, so that what was being said can end
    virtual_mic.start()
    watch.until_reported(Happening.FOUND, 2)
    watch.until_heard(48_000)
    elapsed = time.monotonic() - began
    assert (watch.frames - before) / 48_000 == pytest.approx(elapsed, abs=0.3)
    assert len(watch.of(Happening.LOST)) == 1
    played = noise(1.0)
    virtual_mic.play(played)
    watch.until_heard(24_000)
    assert likeness(watch.audio[-120_000:, 2], played[:, 2]) > 0.9


@pytest.mark.e2e
def test_a_search_for_other_devices_costs_the_microphone_only_a_moment(virtual_mic, capturing, watch):
    capturing(FOUR)
    watch.until_reported(Happening.FOUND)
    watch.until_heard(48_000)
    assert not portaudio.rescan(urgent=False)  # no card has come or gone: not worth an interruption
    before, began = watch.frames, time.monotonic()
    assert portaudio.rescan(urgent=True)
    watch.until_reported(Happening.FOUND, 2)
    watch.until_heard(48_000)
    assert (watch.frames - before) / 48_000 == pytest.approx(time.monotonic() - began, abs=0.3)
    assert not watch.of(Happening.LOST)


@pytest.mark.e2e
def test_a_microphone_plugged_in_late_is_found(virtual_mic, capturing, watch):
    virtual_mic.kill()
    capturing(FOUR)
    assert "no microphone" in watch.until_reported(Happening.LOST).text
    virtual_mic.start()
    watch.until_reported(Happening.FOUND)
    watch.until_heard(4_800)


@pytest.mark.e2e
def test_what_a_device_cannot_do_is_said(virtual_mic, capturing, watch):
    capturing(AudioSettings(input="nobody's"))
    text = watch.until_reported(Happening.LOST).text
    assert '"nobody\'s"' in text
    assert "virtual_mic" in text


@pytest.mark.e2e
def test_starting_and_stopping_twice_is_harmless(virtual_mic, watch):
    capture = Capture(FOUR, watch.on_block, watch.on_report)
    for count in (1, 2):
        capture.start()
        capture.start()
        watch.until_reported(Happening.FOUND, count)
        watch.until_heard(4_800)
        capture.stop()
        capture.stop()
        frames = watch.frames
        assert not [thread for thread in threading.enumerate() if thread.name == "capture"]
        assert watch.frames == frames


# A file in place of the microphone


def test_a_file_plays_as_a_microphone_at_its_own_pace(tmp_path, capturing, watch):
    path = tmp_path / "array.wav"
    sound = noise(0.5, rate=16_000)
    soundfile.write(path, sound, 16_000, subtype="FLOAT")
    began = time.monotonic()
    capture = capturing(AudioSettings(input=f"file:{path}"))
    assert isinstance(capture, FileCapture)
    assert (capture.rate, capture.channels) == (16_000, 4)
    watch.until_reported(Happening.ENDED)
    assert time.monotonic() - began >= 0.5
    np.testing.assert_allclose(watch.audio[: len(sound)], sound, atol=1e-6)
    watch.until_heard(1_600)  # silence follows, as in a quiet room
    assert not watch.audio[len(sound) :].any()


def test_a_receiver_that_fails_on_one_block_gets_the_next_ones(tmp_path, caplog):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(440, 0.5), 48_000)
    heard, enough = [], threading.Event()

    def receive(block):
        heard.append(len(block))
        if len(heard) > 6:
            enough.set()
        if len(heard) in (2, 3, 5):
            raise ValueError("odd block")

    capture = open_capture(AudioSettings(input=f"file:{path}"), receive)
    capture.start()
    assert enough.wait(30)
    capture.stop()
    assert [r.message for r in caplog.records if r.exc_info] == ["a block from the microphone was not taken"] * 2


def test_a_file_in_place_of_the_microphone_must_be_a_recording(tmp_path, capturing):
    with pytest.raises(DragomanError, match="no such file"):
        capturing(AudioSettings(input=f"file:{tmp_path / 'missing.wav'}"))
