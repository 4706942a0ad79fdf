"""The speaker: no gap, no click, quiet at once when asked, and going on without a device."""

import threading
import time
from pathlib import Path

import numpy as np
import pyaudio
import pytest
import soundfile
import soxr

from device.audio import outputs
from device.audio import playback as module
from device.audio.playback import Player
from device.audio.portaudio import portaudio
from device.audio.reports import Happening
from device.config import AudioSettings
from tests.audio.pulse import PATIENCE, Watch, likeness, until


def tone(seconds, rate=22_050, frequency=440.0):
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def playing(watch):
    """Starts players that are closed when the test ends."""
    started = []

    def start(output, **how):
        player = Player(AudioSettings(output=output), on_playing=watch.on_playing, on_event=watch.on_report, **how)
        player.start()
        started.append(player)
        return player

    yield start
    for player in started:
        player.close()


def test_chunks_follow_each_other_without_a_gap(tmp_path, playing, watch):
    path = tmp_path / "said.wav"
    player = playing(f"file:{path}")
    whole = tone(1.0)
    for part in np.array_split(whole, 9):
        player.play(part, 22_050)
    assert player.playing
    assert player.wait(60)
    player.close()
    said, rate = soundfile.read(path, dtype="float32")
    sound = said[: np.flatnonzero(np.abs(said) > 1e-3)[-1] + 1]
    assert len(sound) / rate == pytest.approx(1.0, abs=0.01)
    assert np.abs(np.diff(sound)).max() < 1.2 * 0.5 * 2 * np.pi * 440 / rate
    assert watch.playing == [True, False]


def test_a_listener_that_fails_does_not_leave_the_device_speaking_for_ever(caplog):
    told = []

    def on_playing(playing):
        told.append(playing)
        raise ValueError("no lamp")

    player = Player(AudioSettings(output="null"), on_playing=on_playing)
    player.start()
    for _ in range(2):
        player.play(tone(0.1), 22_050)
        assert player.wait(60)
        until(lambda: told[-1] is False)
    player.close()
    assert told == [True, False] * 2
    assert [r.message for r in caplog.records if r.exc_info] == ["a listener of the speaker failed"] * 4


def test_voices_of_different_rates_keep_their_pitch(tmp_path, playing):
    path = tmp_path / "said.wav"
    player = playing(f"file:{path}")
    for rate in (16_000, 22_050, 24_000):
        player.play(tone(0.4, rate), rate)
    assert player.wait(60)
    player.close()
    said, rate = soundfile.read(path, dtype="float32")
    for at in (0.05, 0.45, 0.85):
        part = said[round(at * rate) : round((at + 0.3) * rate)]
        assert np.argmax(np.abs(np.fft.rfft(part))) / 0.3 == pytest.approx(440, abs=4)


def test_stop_fades_within_50_ms_and_forgets_the_rest(tmp_path, playing, watch):
    path = tmp_path / "said.wav"
    player = playing(f"file:{path}")
    player.play(tone(5.0), 22_050)
    player.play(tone(5.0), 22_050)
    until(lambda: path.exists() and path.stat().st_size > 10_000)
    player.stop()
    length = path.stat().st_size
    assert player.wait(60)
    player.close()
    assert (path.stat().st_size - length) / 2 / outputs.CLOCK_RATE <= 0.05
    said, rate = soundfile.read(path, dtype="float32")
    assert said[-1] == 0
    # No click: nowhere a step that the tone itself does not have.
    assert np.abs(np.diff(said)).max() < 1.2 * 0.5 * 2 * np.pi * 440 / rate
    assert watch.playing == [True, False]


def test_after_a_stop_the_next_thing_is_said(tmp_path, playing):
    path = tmp_path / "said.wav"
    player = playing(f"file:{path}")
    player.play(tone(5.0), 22_050)
    player.stop()
    player.play(tone(0.3, frequency=880), 22_050)
    assert player.wait(60)
    player.close()
    said, rate = soundfile.read(path, dtype="float32")
    assert np.argmax(np.abs(np.fft.rfft(said[-rate // 5 :]))) / 0.2 == pytest.approx(880, abs=10)


def test_volume_changes_without_a_step(tmp_path, playing):
    path = tmp_path / "said.wav"
    player = playing(f"file:{path}", volume=0.5)
    player.play(tone(1.0), 22_050)
    until(lambda: path.exists() and path.stat().st_size > 10_000)
    player.volume = 0.0
    assert player.wait(60)
    player.close()
    said, rate = soundfile.read(path, dtype="float32")
    assert np.abs(said).max() == pytest.approx(0.25, abs=0.01)
    assert not said[-rate // 10 :].any()
    assert np.abs(np.diff(said)).max() < 2 * 0.25 * 2 * np.pi * 440 / rate


def test_null_output_keeps_the_time_of_a_real_one(playing, watch):
    player = playing("null")
    watch.until_reported(Happening.FOUND)
    began = time.monotonic()
    player.play(tone(0.4), 22_050)
    assert player.wait(60)
    assert time.monotonic() - began >= 0.35


def test_without_a_speaker_speech_is_dropped_and_reported(playing, watch, monkeypatch):
    monkeypatch.setattr(outputs, "list_devices", list)
    player = playing(None)
    assert "no speaker" in watch.until_reported(Happening.LOST).text
    player.play(tone(2.0), 22_050)
    assert player.wait(60)
    assert watch.until_reported(Happening.DROPPED).seconds == pytest.approx(2.0)
    assert watch.playing == []


def test_too_much_speech_is_refused_not_hoarded(playing, watch, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 1.0)
    player = playing("null")
    watch.until_reported(Happening.FOUND)
    for _ in range(5):
        player.play(tone(0.9), 22_050)
    assert watch.until_reported(Happening.DROPPED).seconds >= 0.9
    player.stop()
    assert player.wait(60)


def test_a_quiet_speaker_rests_and_wakes_to_speak(tmp_path, playing, watch, monkeypatch):
    monkeypatch.setattr(module, "REST_AFTER", 0.1)
    path = tmp_path / "said.wav"
    player = playing(f"file:{path}")
    watch.until_reported(Happening.FOUND)
    until(lambda: player._resting and player._output is None)
    player.play(tone(0.3), 22_050)
    assert player.wait(60)
    until(lambda: player._resting)
    monkeypatch.setattr(module, "REST_AFTER", 60)
    player.prime()
    until(lambda: player._output is not None)
    player.play(tone(0.3), 22_050)
    assert player.wait(60)
    player.close()
    assert soundfile.info(path).duration >= 0.55
    assert watch.playing == [True, False, True, False]
    assert [report.kind for report in watch.reports] == [Happening.FOUND]


def test_a_speaker_with_a_tap_never_rests(watch, monkeypatch):
    monkeypatch.setattr(module, "REST_AFTER", 0.05)
    tapped = threading.Semaphore(0)
    player = Player(
        AudioSettings(output="null"), on_event=watch.on_report, tap=lambda _samples, _rate: tapped.release()
    )
    player.start()
    try:
        watch.until_reported(Happening.FOUND)
        for _ in range(50):  # a second, many times what another speaker rests after
            assert tapped.acquire(timeout=60)
        assert not player._resting
    finally:
        player.close()


def test_an_unwritable_file_is_reported(tmp_path, playing, watch):
    playing(f"file:{tmp_path / 'missing' / 'said.wav'}")
    assert "cannot be written" in watch.until_reported(Happening.LOST).text


def test_closing_twice_leaves_no_thread(playing, watch):
    player = playing("null")
    player.start()
    watch.until_reported(Happening.FOUND)
    player.play(tone(3.0), 22_050)
    player.close()
    player.close()
    player.play(tone(1.0), 22_050)
    assert not player.playing
    assert not {thread.name for thread in threading.enumerate()} & {"player", "clock-output"}


@pytest.mark.e2e
def test_the_speaker_says_what_was_played(virtual_mic, playing, watch, tmp_path, recordings):
    speech, rate = soundfile.read(recordings.clips("en")[0][0], dtype="float32")
    player = playing("virtual_speaker")
    watch.until_reported(Happening.FOUND)
    recorder = virtual_mic.record_speaker(tmp_path / "heard.wav")
    until(lambda: (tmp_path / "heard.wav").exists() and (tmp_path / "heard.wav").stat().st_size > 4096)
    player.play(speech, rate)
    assert player.wait(60)
    size = (tmp_path / "heard.wav").stat().st_size
    until(lambda: (tmp_path / "heard.wav").stat().st_size > size + 48_000)
    virtual_mic.finish(recorder)
    heard, heard_rate = soundfile.read(tmp_path / "heard.wav", dtype="float32")
    assert likeness(heard, soxr.resample(speech, rate, heard_rate)) > 0.8
    assert watch.playing == [True, False]


@pytest.mark.e2e
def test_a_cut_reaches_the_ear_within_50_ms(virtual_mic, playing, watch):
    """What a device has been given cannot be taken back: one period, what is buffered, and the fade."""
    player = playing("virtual_speaker")
    watch.until_reported(Happening.FOUND)
    assert module.PERIOD + player._output.latency + outputs.FADE <= 0.05


@pytest.mark.e2e
def test_a_device_that_is_not_fed_in_time_is_given_more_to_hold(virtual_mic, playing, watch):
    player = playing("virtual_speaker")
    watch.until_reported(Happening.FOUND)
    player.play(tone(30.0), 22_050)
    watch.until(lambda: watch.playing == [True], "the beginning")
    before, output = player._period, player._output
    until(lambda: not output._feed.empty)
    for _ in range(module._STRAINED_AFTER):
        output._callback(None, 64, None, pyaudio.paOutputUnderflow)
    assert watch.until_reported(Happening.UNDERRUN).count >= module._STRAINED_AFTER
    assert player._output is output  # not while it speaks
    player.stop()
    until(lambda: player._period > before and player._output not in {None, output})
    player.play(tone(0.2), 22_050)
    watch.until(lambda: watch.playing == [True, False, True, False], "speech afterwards")


@pytest.mark.e2e
def test_a_speaker_that_vanishes_is_found_again(virtual_mic, playing, watch):
    player = playing("virtual_speaker")
    watch.until_reported(Happening.FOUND)
    player.play(tone(30.0), 22_050)
    watch.until(lambda: watch.playing == [True], "the beginning")
    virtual_mic.kill()
    assert "virtual_speaker" in watch.until_reported(Happening.LOST).text
    assert player.wait(60)
    assert watch.until_reported(Happening.DROPPED).seconds > 1
    virtual_mic.start()
    watch.until_reported(Happening.FOUND, 2)
    player.play(tone(0.3), 22_050)
    assert player.wait(60)
    assert watch.playing == [True, False, True, False]


@pytest.mark.e2e
def test_looking_for_a_microphone_waits_until_the_speaker_is_quiet(virtual_mic, playing, watch):
    player = playing("virtual_speaker")
    watch.until_reported(Happening.FOUND)
    player.play(tone(30.0), 22_050)
    watch.until(lambda: watch.playing == [True], "the beginning")
    assert not portaudio.rescan(urgent=True)
    player.stop()
    assert player.wait(60)
    assert portaudio.rescan(urgent=True)
    player.play(tone(0.3), 22_050)
    watch.until(lambda: watch.playing == [True, False, True, False], "speech after the search")


def test_pieces_that_come_one_by_one_sound_like_one(tmp_path: Path) -> None:
    whole = (0.3 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)).astype(np.float32)
    path = tmp_path / "pieces.wav"
    player = Player(AudioSettings(output=f"file:{path}"))
    player.start()
    for start in range(0, len(whole), 5000):
        player.play(whole[start : start + 5000], 22050)
        until(player._mail.empty)
    assert player.wait(PATIENCE)
    player.close()
    heard, rate = soundfile.read(path, dtype="float32")
    steady = heard[int(0.1 * rate) : int(0.9 * rate)]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)))) ** 2
    peak = int(np.argmax(spectrum))
    assert spectrum[peak - 4 : peak + 5].sum() > 0.99999 * spectrum.sum()
