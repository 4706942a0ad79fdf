"""What every single-channel stage promises, and what each does."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audio.stages.agc import MAX_GAIN_DB, AutomaticGain
from device.audio.stages.echo_kalman import KalmanEchoCanceller
from device.audio.stages.echo_webrtc import WebRtcEchoCanceller
from device.audio.stages.faults import made_finite
from device.audio.stages.highpass import HighPass
from device.audio.stages.noise_gtcrn import FILE, GtcrnNoiseSuppressor
from device.audio.stages.noise_webrtc import WebRtcNoiseSuppressor
from device.errors import DragomanError
from tests.audio.array.scenes import noise, snr, voice

WEBRTC = pytest.mark.skipif(
    importlib.util.find_spec("pywebrtc_audio") is None, reason="pywebrtc-audio is not installed"
)
STAGES = [
    HighPass,
    AutomaticGain,
    KalmanEchoCanceller,
    pytest.param(WebRtcEchoCanceller, marks=WEBRTC),
    pytest.param(WebRtcNoiseSuppressor, marks=WEBRTC),
]


def run(stage, sound, block=512, played=None):
    outputs = []
    for start in range(0, len(sound), block):
        if played is not None:
            stage.played(played[start : start + block])
        outputs.append(stage.process(sound[start : start + block]))
    return np.concatenate([*outputs, stage.flush()])


def lag(one, other):
    """Return by how many samples ``other`` lags ``one``."""
    size = 2 * len(one)
    match = np.fft.irfft(np.fft.rfft(one, size).conj() * np.fft.rfft(other, size))
    at = int(np.argmax(match))
    return at if at < len(one) else at - size


@pytest.mark.parametrize("stage", STAGES)
@given(blocks=st.lists(st.integers(1, 1000), min_size=1, max_size=10))
@settings(max_examples=10, deadline=None)
def test_the_size_of_the_blocks_makes_no_difference(stage, blocks):
    sound = voice(sum(blocks) / 16000 + 0.01)[: sum(blocks)]
    whole = run(stage(), sound, len(sound))
    cut, at, parts = stage(), 0, []
    for size in blocks:
        parts.append(cut.process(sound[at : at + size]))
        at += size
    parts.append(cut.flush())
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("count", [1, 159, 160, 5000])
def test_as_much_comes_out_as_went_in(stage, count):
    assert len(run(stage(), voice(1.0)[:count])) == count


@pytest.mark.parametrize("stage", STAGES)
def test_every_sample_stays_in_its_place(stage):
    sound = voice(3.0)
    assert abs(lag(sound, run(stage(), sound))) <= 1


@pytest.mark.parametrize("stage", STAGES)
def test_silence_stays_silent(stage):
    assert np.abs(run(stage(), np.zeros(16000, np.float32))).max() < 1e-6


@pytest.mark.parametrize("stage", STAGES)
def test_no_sample_is_held_back_longer_than_promised(stage):
    held, one = 0, stage()
    given = 0
    for fed in range(1, 3000):
        held = max(held, fed - 1 - given)
        given += len(one.process(np.full(1, 0.01, np.float32)))
    assert held <= one.latency + one.frame


@given(st.integers(0, 1000), st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_the_high_pass_is_linear(seed, factor):
    random = np.random.default_rng(seed)
    one, other = (random.standard_normal(800).astype(np.float32) for _ in range(2))
    summed = HighPass().process((one + np.float32(factor) * other).astype(np.float32))
    apart = HighPass().process(one) + np.float32(factor) * HighPass().process(other)
    np.testing.assert_allclose(summed, apart, atol=1e-4)


@pytest.mark.parametrize(
    ("frequency", "at_most_db", "at_least_db"), [(0, -60, -400), (20, -20, -60), (200, 0.1, -0.6), (3000, 0.01, -0.01)]
)
def test_rumble_goes_and_voices_stay(frequency, at_most_db, at_least_db):
    tone = 0.5 * np.cos(2 * np.pi * frequency * np.arange(32000) / 16000).astype(np.float32)
    out = run(HighPass(), tone)[16000:]
    level = 20 * np.log10(max(np.sqrt(np.mean(out**2)), 1e-20) / np.sqrt(np.mean(tone[16000:] ** 2)))
    assert at_least_db <= level <= at_most_db


def steady_noise_and_voice():
    hiss = noise(6.0, rms=0.01)
    spoken = np.concatenate([np.zeros(48000, np.float32), voice(3.0)])
    return hiss, spoken


@WEBRTC
def test_webrtc_lowers_noise_and_keeps_the_voice():
    hiss, spoken = steady_noise_and_voice()
    out = run(WebRtcNoiseSuppressor(2), hiss + spoken)
    assert snr(out[32000:47000], hiss[32000:47000]) < -8
    assert snr(out[50000:], spoken[50000:]) > -3


@pytest.mark.models
def test_gtcrn_lowers_noise_and_keeps_the_voice(model_dir, recordings):
    import soundfile
    import soxr

    model = model_dir("denoise-gtcrn") / FILE
    read, rate = soundfile.read(recordings / "two_cities.wav", dtype="float32")
    spoken = soxr.resample(read[rate : 6 * rate], rate, 16000)
    spoken = np.concatenate([np.zeros(32000, np.float32), spoken])
    hiss = noise(len(spoken) / 16000 + 0.1, rms=0.01)[: len(spoken)]
    out = run(GtcrnNoiseSuppressor(model), hiss + spoken)
    assert len(out) == len(spoken)
    assert abs(lag(spoken, out)) <= 1
    assert snr(out[16000:31000], hiss[16000:31000]) < -15
    assert snr(out[33000:], spoken[33000:]) > -2


def test_a_file_that_is_no_gtcrn_model_is_refused_and_does_not_end_the_process(tmp_path):
    wrong = tmp_path / "gtcrn.onnx"
    wrong.write_bytes(b"x" * 200_000)
    with pytest.raises(DragomanError, match="models verify"):
        GtcrnNoiseSuppressor(wrong)
    with pytest.raises(DragomanError, match="cannot read"):
        GtcrnNoiseSuppressor(tmp_path / "missing.onnx")


# Gain


def level(sound):
    return 10 * np.log10(np.mean(sound**2))


def test_quiet_and_loud_voices_come_out_alike():
    levels = []
    for factor in (0.15, 1.0, 4.0):
        gain = AutomaticGain()
        gain.speech(True)
        out = run(gain, factor * voice(12.0))
        levels.append(level(out[-4 * 16000 :]))
    assert max(levels) - min(levels) < 2.5
    assert -27 < np.mean(levels) < -21


def test_the_gain_stands_still_while_nobody_talks():
    gain = AutomaticGain()
    gain.speech(True)
    run_part(gain, 0.2 * voice(6.0))
    before = gain.gain_db
    gain.speech(False)
    run_part(gain, noise(10.0, rms=1e-4))
    assert gain.gain_db == before


def run_part(stage, sound):
    return np.concatenate([stage.process(sound[start : start + 512]) for start in range(0, len(sound), 512)])


def test_the_gain_does_not_pump():
    gain = AutomaticGain()
    gain.speech(True)
    gains = []
    sound = 0.3 * voice(8.0)
    for start in range(0, len(sound), 160):
        gain.process(sound[start : start + 160])
        gains.append(gain.gain_db)
    # Syllables come three times a second; the gain must follow none of them.
    settled = np.array(gains[-300:])
    assert settled.max() - settled.min() < 1.5


@given(st.floats(1e-4, 30))
@settings(max_examples=10, deadline=None)
def test_the_output_never_reaches_full_scale(factor):
    gain = AutomaticGain()
    gain.speech(True)
    out = run(gain, np.clip(factor * voice(2.0), -1, 1).astype(np.float32))
    assert np.abs(out).max() < 1
    assert abs(gain.gain_db) <= MAX_GAIN_DB


# Echo


def room(seconds=0.15, seed=3):
    """An echo path: a delay of 30 ms and a decaying tail."""
    random = np.random.default_rng(seed)
    count = int(seconds * 16000)
    tail = random.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    return np.concatenate([np.zeros(480), 0.6 * tail / np.sqrt(np.sum(tail**2))])


def echo_of(played):
    return np.convolve(played, room())[: len(played)].astype(np.float32)


@pytest.mark.parametrize("canceller", [KalmanEchoCanceller, pytest.param(WebRtcEchoCanceller, marks=WEBRTC)])
def test_the_echo_is_lowered_by_20_db_while_only_the_device_talks(canceller):
    played = voice(10.0, seed=1)
    echo = echo_of(played) + noise(10.0, rms=2e-5)[: len(played)]
    one = canceller()
    assert one.reduction_db == 0
    out = run(one, echo, played=played)
    assert snr(echo[5 * 16000 :], out[5 * 16000 :]) > 20
    assert one.reduction_db > 18


def test_who_talks_over_the_device_is_left_as_he_is():
    played, near = voice(12.0, seed=1), voice(12.0, seed=2)
    near[: 4 * 16000] = 0
    echo = echo_of(played)
    echo *= np.sqrt(np.mean(near[64000:] ** 2) / np.mean(echo[64000:] ** 2))
    out = run(KalmanEchoCanceller(), near + echo, played=played)
    part = slice(6 * 16000, 12 * 16000)
    assert snr(near[part], out[part] - near[part]) > 12


def test_speech_over_the_device_is_not_taken_for_a_failing_canceller():
    played, near = voice(8.0, seed=1), voice(8.0, seed=2)
    near[: 6 * 16000] = 0
    echo = echo_of(played)
    canceller = KalmanEchoCanceller()
    for start in range(0, len(played), 160):
        canceller.speech(bool(near[start : start + 160].any()))
        canceller.played(played[start : start + 160])
        canceller.process((near + echo)[start : start + 160])
    assert canceller.reduction_db > 18


def test_what_is_left_of_the_echo_may_pass_for_speech_and_the_reduction_is_known_all_the_same():
    played = voice(6.0, seed=1)
    echo = echo_of(played)
    canceller = KalmanEchoCanceller()
    canceller.speech(True)
    run(canceller, echo, played=played)
    assert canceller.reduction_db > 18


def test_who_talks_over_the_device_makes_the_reduction_seem_no_better():
    played, near = voice(6.0, seed=1), voice(6.0, seed=2)
    canceller = KalmanEchoCanceller()
    canceller.speech(True)
    run(canceller, echo_of(played) + 3 * near, played=played)
    assert canceller.reduction_db < 12


def test_a_silent_speaker_leaves_the_microphone_untouched():
    near = voice(2.0)
    np.testing.assert_array_equal(run(KalmanEchoCanceller(), near, played=np.zeros_like(near)), near)


def test_the_path_is_kept_over_a_reset():
    played = voice(6.0, seed=1)
    echo = echo_of(played)
    canceller = KalmanEchoCanceller()
    run(canceller, echo, played=played)
    canceller.reset()
    out = run(canceller, echo[:16000], played=played[:16000])
    assert snr(echo[4000:16000], out[4000:16000]) > 15


def test_a_moved_speaker_is_learnt_anew():
    played = voice(16.0, seed=1)
    half = len(played) // 2
    echo = np.concatenate([echo_of(played)[:half], np.convolve(played, room(seed=8))[half : len(played)]])
    out = run(KalmanEchoCanceller(), echo.astype(np.float32), played=played)
    last = slice(-3 * 16000, None)
    assert snr(echo[last], out[last]) > 15


@pytest.mark.parametrize("samples", [150, 400, -200])
def test_when_the_sound_card_stumbles_the_echo_is_learnt_anew_within_three_seconds(samples):
    """A lost period shifts what is heard against what was played: nothing of the path holds any more."""
    played = voice(12.0, seed=1)
    echo, jump = echo_of(played), 6 * 16000
    echo[jump:] = np.roll(echo, samples)[jump:]
    canceller = KalmanEchoCanceller()
    out = run(canceller, echo, played=played)
    assert snr(echo[jump - 32000 : jump], out[jump - 32000 : jump]) > 20
    assert snr(echo[jump + 3 * 16000 :], out[jump + 3 * 16000 :]) > 15


def test_a_canceller_whose_path_no_longer_holds_says_so_at_once():
    """Else the device would go on to listen while it speaks, and hear itself."""
    played = voice(9.0, seed=1)
    echo, jump = echo_of(played), 6 * 16000
    echo[jump:] = np.roll(echo, 300)[jump:]
    canceller = KalmanEchoCanceller()
    told = []
    for start in range(0, len(played), 160):
        # The detector takes what is left of the echo for somebody who talks.
        canceller.speech(start >= jump)
        canceller.played(played[start : start + 160])
        canceller.process(echo[start : start + 160])
        told.append(canceller.reduction_db)
    assert told[jump // 160 - 1] > 18
    assert min(told[jump // 160 : jump // 160 + 100]) < 10


# Samples that are no numbers


@given(st.lists(st.sampled_from([0.0, 0.5, -2.0, np.nan, np.inf, -np.inf, 1e30]), min_size=1, max_size=60))
@settings(deadline=None)
def test_whatever_comes_is_made_finite_and_within_full_scale(values):
    block = np.array(values, np.float32)[:, None]
    mended, broken = made_finite(block)
    assert np.isfinite(mended).all()
    assert np.abs(mended).max() <= 1
    assert (broken is not None) == (not np.isfinite(block).all())


def test_good_samples_are_not_touched():
    block = voice(0.1)[:, None]
    mended, broken = made_finite(block)
    assert mended is block
    assert broken is None
