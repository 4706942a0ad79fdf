from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.audio.array.beamformers import BEAMFORMERS
from device.audio.array.doa import angle_between
from device.audio.array.processor import LATENCY, ArrayProcessor
from device.audio.array.sectors import Sector, Sectors
from device.audio.array.stft import Analysis, Synthesis
from tests.audio.array.scenes import noise, plane_wave, scene, sisdr, snr, square, stream, voice

METHODS = [*BEAMFORMERS, "auto"]


def listen(processor, heard, block=512):
    return stream(processor.process, processor.speech, heard.mixture, heard.active, block)


def gain(processor, heard):
    """SNR gain over the first microphone in the last two seconds, talker and noise measured apart."""
    processor.trace = []
    listen(processor, heard)
    weights = np.stack(processor.trace)

    def apart(sound):
        spectra = Analysis(sound.shape[1]).push(sound)[: len(weights)]
        return Synthesis().push((spectra * weights.conj().transpose(0, 2, 1)).sum(1))

    last = slice(-2 * 16000 - LATENCY, -LATENCY)
    before = snr(heard.talker[last, 0], heard.noise[last, 0])
    return snr(apart(heard.talker)[last], apart(heard.noise)[last]) - before


@pytest.mark.parametrize(("method", "at_least"), [("superdirective", 3), ("mvdr", 15), ("gev", 15), ("auto", 15)])
def test_a_point_source_of_noise_is_suppressed_in_the_open(method, at_least):
    assert gain(ArrayProcessor(square(), method), scene(square())) > at_least


def test_the_post_filter_takes_more():
    plain = gain(ArrayProcessor(square(), "mvdr"), scene(square()))
    assert gain(ArrayProcessor(square(), "mvdr", postfilter=True), scene(square())) > plain + 1


@pytest.mark.parametrize("method", METHODS)
@given(block=st.integers(1, 3000))
@settings(max_examples=4, deadline=None)
def test_the_size_of_the_blocks_makes_no_difference(method, block):
    sound = scene(square(), lead=0.5, seconds=1.0).mixture
    quiet = np.zeros(len(sound), bool)
    processors = [ArrayProcessor(square(), method, azimuth=30.0) for _ in range(2)]
    whole = stream(processors[0].process, processors[0].speech, sound, quiet, len(sound))
    cut = stream(processors[1].process, lambda _active: None, sound, quiet, block)
    # Nobody spoke up in either stream, so both must have learnt the same: nothing but the fixed direction.
    count = min(len(whole), len(cut))
    assert abs(len(whole) - len(cut)) <= 160
    np.testing.assert_allclose(cut[:count], whole[:count], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_learning_does_not_depend_on_the_size_of_the_blocks(method):
    heard = scene(square(), lead=1.0, seconds=2.0)
    outputs = []
    for block in (320, 1600):
        processor = ArrayProcessor(square(), method)
        parts = []
        for start in range(0, len(heard.mixture), 1600):
            tenth = heard.mixture[start : start + 1600]
            parts += [processor.process(tenth[at : at + block]) for at in range(0, len(tenth), block)]
            processor.speech(bool(heard.active[start]))
        outputs.append(np.concatenate(parts))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@given(scale=st.floats(0.05, 4.0), seed=st.integers(0, 50))
@settings(max_examples=5, deadline=None)
def test_weights_once_learnt_are_linear(method, scale, seed):
    heard = scene(square(), lead=1.0, seconds=1.0)
    processor = ArrayProcessor(square(), method)
    listen(processor, heard)
    processor.freeze(True)
    random = np.random.default_rng(seed)
    one, other = (random.standard_normal((3200, 4)).astype(np.float32) * 0.1 for _ in range(2))

    def run(sound):
        processor.reset()
        return processor.process(sound)

    summed = run((one + np.float32(scale) * other).astype(np.float32))
    np.testing.assert_allclose(summed, run(one) + np.float32(scale) * run(other), atol=2e-4)


@pytest.mark.parametrize("method", METHODS)
def test_silence_stays_silent(method):
    processor = ArrayProcessor(square(), method)
    listen(processor, scene(square(), lead=1.0, seconds=1.0))
    processor.reset()
    out = stream(processor.process, processor.speech, np.zeros((32000, 4), np.float32), np.zeros(32000, bool))
    assert np.abs(out).max() == 0


def test_loudness_of_the_room_does_not_matter():
    heard = scene(square())
    loud = gain(ArrayProcessor(square()), heard)
    heard.talker, heard.noise = heard.talker * 1e-3, heard.noise * 1e-3
    assert gain(ArrayProcessor(square()), heard) == pytest.approx(loud, abs=0.5)


@pytest.mark.parametrize("azimuth", [0.0, 77.0, 200.0, 331.0])
def test_the_talker_is_found_beside_noise(azimuth):
    processor = ArrayProcessor(square())
    listen(processor, scene(square(), azimuth, azimuth + 120))
    assert processor.direction is not None
    assert angle_between(processor.direction.azimuth, azimuth) < 3
    assert processor.direction.confidence > 0.5


def test_without_verdicts_the_reference_is_heard():
    heard = scene(square(), lead=1.0, seconds=1.0)
    processor = ArrayProcessor(square())
    out = stream(processor.process, lambda _active: None, heard.mixture, heard.active)
    np.testing.assert_allclose(out, heard.mixture[: len(out), 0], atol=1e-5)
    assert processor.direction is None


def test_nothing_clicks_when_the_algorithm_changes():
    heard = scene(square(), lead=1.0, seconds=3.0)
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(len(heard.talker)) / 16000)
    heard.talker, heard.noise = plane_wave(square(), tone.astype(np.float32), 30), heard.noise * 0.01
    processor = ArrayProcessor(square())
    outputs = []
    for start in range(0, len(tone), 512):
        if start in {512 * 40, 512 * 80}:
            processor.use(range(4) if start > 512 * 60 else [1, 2])
        outputs.append(processor.process(heard.mixture[start : start + 512]))
        processor.speech(bool(heard.active[start]))
    # A click is a jump: steeper than the tone's own steepest slope by far.
    steps = np.abs(np.diff(np.concatenate(outputs)))
    assert steps.max() < 2.0 * np.abs(np.diff(tone)).max()


def test_a_voice_from_an_excluded_sector_is_noise():
    geometry = square()
    radio = plane_wave(geometry, voice(8.0, seed=5), 200.0)
    spoken = np.concatenate([np.zeros(4 * 16000, np.float32), voice(4.0, seed=6)])
    talker = plane_wave(geometry, spoken, 60.0)
    hiss = (1e-4 * np.random.default_rng(0).standard_normal(radio.shape)).astype(np.float32)
    # The detector takes the radio for speech all the time.
    everything = np.ones(len(radio), bool)
    last = slice(6 * 16000, 8 * 16000 - LATENCY)
    results = {}
    for name, sectors in (("deaf", Sectors(excluded=(Sector(200, 60),))), ("open", Sectors())):
        processor = ArrayProcessor(geometry, sectors=sectors)
        out = stream(processor.process, processor.speech, talker + radio + hiss, everything)
        results[name] = sisdr(talker[last, 0], out[last])
        if name == "deaf":
            assert processor.direction is not None
            assert angle_between(processor.direction.azimuth, 60) < 10
    assert results["deaf"] > results["open"] + 5


def test_two_parties_are_told_apart_by_where_they_sit():
    geometry = square()
    sectors = Sectors(looks=(Sector(0, 90), Sector(180, 90)))
    processor = ArrayProcessor(geometry, sectors=sectors)
    looks = []
    pause = np.zeros(16000, np.float32)
    background = noise(1.0, rms=1e-3)
    for turn, azimuth in enumerate((10.0, 170.0, 5.0)):
        spoken = voice(2.0, seed=turn)
        sound = plane_wave(geometry, np.concatenate([pause, spoken]), azimuth)
        sound[: len(pause)] += plane_wave(geometry, background, 90.0)
        sound += (1e-4 * np.random.default_rng(turn).standard_normal(sound.shape)).astype(np.float32)
        active = np.concatenate([np.zeros(len(pause), bool), np.ones(len(spoken), bool)])
        stream(processor.process, processor.speech, sound, active)
        looks.append(processor.look)
        assert angle_between(processor.direction.azimuth, azimuth) < 5
    assert looks == [0, 1, 0]


def test_what_was_held_back_comes_out_at_the_end():
    sound = scene(square(), lead=0.2, seconds=0.5).mixture[:10001]
    processor = ArrayProcessor(square(), "single")
    out = np.concatenate([processor.process(sound), processor.flush()])
    np.testing.assert_allclose(out, sound[:, 0], atol=1e-5)
