from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from device.audio.alerts import Fault
from device.audio.array.calibration import Calibration
from device.audio.array.doa import angle_between
from device.audio.array.geometry import load_geometry
from device.audio.frontend import Frontend, array_geometry
from device.config.frontend import (
    ArraySettings,
    EchoSettings,
    FrontendSettings,
    GainSettings,
    LookSettings,
    MicrophoneSettings,
    NoiseSettings,
)
from device.errors import DragomanError
from tests.audio.array.scenes import noise, plane_wave, scene, sisdr, snr, square, stream, voice

WEBRTC = importlib.util.find_spec("pywebrtc_audio") is not None
OFF = FrontendSettings(highpass=False)
EVERYTHING = FrontendSettings(
    echo=EchoSettings(enabled=True),
    noise=NoiseSettings(method="webrtc" if WEBRTC else "off"),
    gain=GainSettings(enabled=True),
)


def run(frontend, sound, block=512, played=None):
    outputs = []
    for start in range(0, len(sound), block):
        playback = None if played is None else played[start : start + block]
        outputs.append(frontend.process(sound[start : start + block], playback).samples)
    return np.concatenate([*outputs, frontend.flush()])


def test_with_everything_off_one_channel_is_the_very_same_samples():
    frontend = Frontend(OFF)
    block = voice(0.032)
    out = frontend.process(block)
    assert np.shares_memory(out.samples, block)
    np.testing.assert_array_equal(out.samples, block)
    assert frontend.passes_through
    assert frontend.latency == 0
    assert frontend.costs() == {}
    assert out.azimuth is None
    assert not out.alerts


def test_without_a_geometry_the_first_channel_is_taken():
    sound = np.stack([voice(0.5, 1), voice(0.5, 2)], 1)
    np.testing.assert_array_equal(run(Frontend(OFF, channels=2), sound), sound[:, 0])


@pytest.mark.parametrize("geometry", [None, square()], ids=["one channel", "array"])
@given(block=st.integers(1, 2500))
@settings(max_examples=5, deadline=None)
def test_the_size_of_the_blocks_makes_no_difference(geometry, block):
    sound = scene(square(), lead=0.3, seconds=0.7).mixture
    sound = sound if geometry else sound[:, :1]
    frontends = [Frontend(EVERYTHING, geometry, channels=sound.shape[1]) for _ in range(2)]
    np.testing.assert_allclose(run(frontends[0], sound, block), run(frontends[1], sound), atol=1e-6)


@pytest.mark.parametrize("geometry", [None, square()], ids=["one channel", "array"])
@pytest.mark.parametrize("configured", [OFF, FrontendSettings(), EVERYTHING], ids=["off", "default", "all"])
def test_as_much_comes_out_as_went_in_and_in_its_place(geometry, configured):
    spoken = voice(2.0)
    sound = plane_wave(geometry, spoken, 0.0) if geometry else spoken[:, None]
    out = run(Frontend(configured, geometry, channels=sound.shape[1]), sound)
    assert len(out) == len(sound)
    size = 2 * len(out)
    match = np.fft.irfft(np.fft.rfft(sound[:, 0], size).conj() * np.fft.rfft(out, size))
    assert int(np.argmax(np.roll(match, 5))) in range(2, 9)


@pytest.mark.parametrize(
    "configured",
    [FrontendSettings(), FrontendSettings(echo=EchoSettings(enabled=True), gain=GainSettings(enabled=True))],
)
def test_the_array_with_echo_canceller_and_gain_adds_at_most_32_ms(configured):
    frontend = Frontend(configured, square(), channels=4)
    given, held = 0, 0
    for fed in range(1, 3000):
        held = max(held, fed - given)
        given += len(frontend.process(np.full((1, 4), 1e-3, np.float32)).samples)
    assert held / 16000 <= 0.032
    assert held / 16000 <= frontend.latency + 1e-9


def test_another_sample_rate_is_taken():
    sound = voice(1.0)
    import soxr

    fast = soxr.resample(sound, 16000, 48000)
    out = run(Frontend(OFF, input_rate=48000), fast, 1536)
    assert len(out) == pytest.approx(len(sound), abs=2)
    assert sisdr(sound[: len(out)], out[: len(sound)]) > 15


def test_each_stage_reports_what_it_costs():
    frontend = Frontend(EVERYTHING, square(), channels=4)
    run(frontend, scene(square(), lead=0.5, seconds=0.5).mixture)
    costs = frontend.costs()
    assert set(costs) == {"input", "array", "highpass", "echo", "gain"} | ({"noise"} if WEBRTC else set())
    assert all(cost > 0 for cost in costs.values())


def test_azimuth_and_confidence_come_with_the_samples():
    heard = scene(square(), 75.0, 200.0)
    frontend = Frontend(FrontendSettings(), square(), channels=4)
    last = None

    def process(block):
        nonlocal last
        last = frontend.process(block)
        return last.samples

    before = frontend.process(heard.mixture[:512])
    assert before.azimuth is None
    stream(process, frontend.speech, heard.mixture[512:], heard.active[512:])
    assert angle_between(last.azimuth, 75.0) < 3
    assert last.confidence > 0.5


def test_the_look_tells_which_party_talks():
    looks = (LookSettings(azimuth=0, width=90), LookSettings(azimuth=180, width=90, direction=1))
    frontend = Frontend(FrontendSettings(array=ArraySettings(looks=looks)), square(), channels=4)
    heard = []
    for turn, azimuth in enumerate((0.0, 180.0)):
        spoken = np.concatenate([np.zeros(16000, np.float32), voice(2.0, turn)])
        sound = plane_wave(square(), spoken, azimuth)
        sound += (1e-4 * np.random.default_rng(turn).standard_normal(sound.shape)).astype(np.float32)
        active = np.arange(len(spoken)) >= 16000
        stream(lambda block: frontend.process(block).samples, frontend.speech, sound, active)
        heard.append(frontend.process(sound[-512:]).look)
    assert [looks[look].direction for look in heard] == [0, 1]


def test_the_arrays_own_loopback_channel_cancels_the_echo():
    geometry = load_geometry("respeaker-usb-4mic")
    played = voice(8.0, seed=4)
    echo = np.convolve(played, np.concatenate([np.zeros(100), [0.5, 0.2, -0.1]]))[: len(played)]
    block = np.zeros((len(played), 6), np.float32)
    block[:, list(geometry.channels)] = plane_wave(geometry, echo.astype(np.float32), 30.0)
    block[:, 5] = played
    frontend = Frontend(FrontendSettings(echo=EchoSettings(enabled=True), highpass=False), geometry, channels=6)
    out = run(frontend, block)
    assert snr(block[64000:, 1], out[64000:]) > 20


def test_the_array_does_not_take_the_devices_own_voice_for_the_room():
    geometry = square()
    played = voice(4.0, seed=4)
    sound = plane_wave(geometry, played, 200.0)
    sound += (1e-4 * np.random.default_rng(0).standard_normal(sound.shape)).astype(np.float32)
    frontend = Frontend(FrontendSettings(), geometry, channels=4)
    for start in range(0, len(sound), 512):
        out = frontend.process(sound[start : start + 512], played[start : start + 512])
        frontend.speech(True)
    assert out.azimuth is None


def test_a_microphone_that_calibration_found_dead_is_not_used(tmp_path):
    geometry = square()
    path = tmp_path / "square.toml"
    Calibration("square", (1.0,) * 4, (0.0,) * 4, dead=(0,)).save(path)
    configured = FrontendSettings(array=ArraySettings(calibration=path, beamformer="single"), highpass=False)
    heard = scene(geometry, lead=0.5, seconds=0.5)
    sound = heard.mixture.copy()
    sound[:, 0] = noise(1.0)[: len(sound)]
    out = run(Frontend(configured, geometry, channels=4), sound)
    np.testing.assert_allclose(out[2000:-2000], sound[2000:-2000, 1], atol=1e-4)


def test_a_calibration_for_another_array_is_refused(tmp_path):
    path = tmp_path / "pair.toml"
    Calibration("pair", (1.0,) * 4, (0.0,) * 4).save(path)
    configured = FrontendSettings(array=ArraySettings(calibration=path))
    with pytest.raises(DragomanError, match="for the array pair"):
        Frontend(configured, square(), channels=4)


def test_gtcrn_without_its_model_says_what_to_do():
    with pytest.raises(DragomanError, match="models pull denoise-gtcrn"):
        Frontend(FrontendSettings(noise=NoiseSettings(method="gtcrn")))


def test_webrtc_without_its_package_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(DragomanError, match="pywebrtc-audio"):
        Frontend(FrontendSettings(noise=NoiseSettings(method="webrtc")))


def test_a_block_with_other_channels_than_promised_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="3 channels, not 4"):
        Frontend(OFF, square(), channels=4).process(np.zeros((10, 3), np.float32))


def test_geometries_come_by_name_by_file_or_as_a_table():
    assert array_geometry(ArraySettings()) is None
    assert array_geometry(ArraySettings(geometry="uma-8")).size == 7
    own = ArraySettings(
        microphones=(
            MicrophoneSettings(channel=0, position=(0, 0, 0)),
            MicrophoneSettings(channel=2, position=(0.05, 0, 0)),
        ),
        loopback=(3,),
    )
    geometry = array_geometry(own)
    assert geometry.channels == (0, 2)
    assert geometry.loopback == (3,)


def test_two_geometries_at_once_are_refused():
    with pytest.raises(ValidationError, match="not both"):
        ArraySettings(geometry="uma-8", microphones=(MicrophoneSettings(channel=0, position=(0, 0, 0)),))


def test_a_reset_begins_a_new_stream_and_keeps_what_was_learnt():
    heard = scene(square())
    frontend = Frontend(FrontendSettings(highpass=False), square(), channels=4)
    stream(lambda block: frontend.process(block).samples, frontend.speech, heard.mixture, heard.active)
    frontend.reset()
    out = run(frontend, heard.mixture[32000:48000])
    assert len(out) == 16000
    assert (
        sisdr(heard.talker[32000:48000, 0], out)
        > sisdr(heard.talker[32000:48000, 0], heard.mixture[32000:48000, 0]) + 6
    )


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda sound: np.clip(sound * 100, -1, 1), Fault.CLIPPED),
        (lambda sound: np.where(np.arange(len(sound)) % 6000 < 300, 0, sound), Fault.DROPOUT),
        (lambda sound: np.where(np.arange(len(sound)) % 6000 == 7, np.nan, sound), Fault.NOT_FINITE),
    ],
)
def test_a_plain_microphone_is_watched_as_well(damage, fault):
    sound = damage(voice(2.0) + noise(2.0, rms=0.02)).astype(np.float32)
    frontend = Frontend(FrontendSettings())
    outputs = [frontend.process(sound[start : start + 512]) for start in range(0, len(sound), 512)]
    assert {(a.channel, a.fault) for out in outputs for a in out.alerts if a.active} == {(0, fault)}
    assert all(np.isfinite(out.samples).all() for out in outputs)


def test_pauses_of_digital_silence_are_no_dropouts():
    fade = np.concatenate([np.hanning(3200), np.zeros(1600)])
    sound = (voice(3.0) * np.resize(fade, 48000)).astype(np.float32)
    frontend = Frontend(FrontendSettings())
    alerts = [a for start in range(0, len(sound), 512) for a in frontend.process(sound[start : start + 512]).alerts]
    assert alerts == []
