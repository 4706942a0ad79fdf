"""What the front end does to the words: real recordings, simulated rooms, the real recogniser and detector."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest

from device.audio.array.geometry import load_geometry
from device.audio.frontend import Frontend
from device.config import EndpointSettings
from device.config.frontend import EchoSettings, FrontendSettings
from device.engines.asr_moonshine import load as load_recognizer
from device.engines.vad_silero import load as load_vad
from tools.bench_array import normalise
from tools.simulate_room import Room, impulse_responses, read_speech, simulate

pytest.importorskip("pyroomacoustics")
pytestmark = pytest.mark.models

SPANS = (
    (0.92, 4.68, "it was the best of times it was the worst of times"),
    (4.68, 8.43, "it was the age of wisdom it was the age of foolishness"),
    (8.43, 13.32, "it was the epoch of belief it was the epoch of incredulity"),
    (13.32, 16.87, "it was the season of light it was the season of darkness"),
    (16.87, 21.01, "it was the spring of hope it was the winter of despair"),
    (21.01, 24.50, "we had everything before us we had nothing before us"),
)
LEAD, PAUSE = 32000, 16000
GEOMETRY = load_geometry("i2s-4mic-square")


@pytest.fixture(scope="module")
def engines(model_store, model_dir):
    asr, vad = "asr-moonshine-tiny-en", "vad-silero"
    recognizer = load_recognizer(model_store.catalogue[asr], model_dir(asr), 1)
    return recognizer, lambda: load_vad(model_store.catalogue[vad], model_dir(vad), EndpointSettings())


@pytest.fixture(scope="module")
def speech(recordings):
    """One talker's utterances with pauses, and where each is."""
    sound = read_speech(recordings / "two_cities.wav")
    pieces, spans, at = [np.zeros(LEAD, np.float32)], [], LEAD
    for start, end, text in SPANS:
        piece = sound[int(start * 16000) : int(end * 16000)]
        spans.append((at, at + len(piece), text))
        pieces += [piece, np.zeros(PAUSE, np.float32)]
        at += len(piece) + PAUSE
    return np.concatenate(pieces), spans


def word_error_rate(engines, spans, sound):
    recognizer = engines[0]
    got = [
        recognizer.session("en").recognize(np.ascontiguousarray(sound[max(0, start - 4000) : end + 4000]), final=True)
        for start, end, _ in spans
    ]
    return jiwer.wer([text for *_, text in spans], [normalise(found.text) for found in got])


def listen(engines, frontend, sound, played=None):
    vad = engines[1]()
    outputs, pending = [], np.zeros(0, np.float32)
    for start in range(0, len(sound), 512):
        playback = None if played is None else played[start : start + 512]
        out = frontend.process(sound[start : start + 512], playback).samples
        outputs.append(out)
        pending = np.concatenate([pending, out])
        while len(pending) >= 512:
            frontend.speech(vad.is_speech(pending[:512]))
            pending = pending[512:]
    return np.concatenate([*outputs, frontend.flush()])


def room(rt60, noise, speech, engines):
    heard = simulate(GEOMETRY, speech[0], Room(rt60, 40.0, 1.0, 170.0, 2.0, seed=4), noise, 3.0)
    before = min(word_error_rate(engines, speech[1], heard.mixture[:, m]) for m in range(4))
    out = listen(engines, Frontend(FrontendSettings(), GEOMETRY, channels=4), heard.mixture)
    return before, word_error_rate(engines, speech[1], out)


@pytest.mark.parametrize("rt60", [0.2, 0.4])
def test_a_point_source_costs_at_most_half_as_many_words_as_with_the_best_microphone(rt60, speech, engines):
    before, after = room(rt60, "point", speech, engines)
    assert before > 0.1
    assert after <= before / 2


def test_a_quiet_room_costs_no_words(speech, engines):
    before, after = room(0.4, "none", speech, engines)
    assert after <= 1.05 * before


def test_who_talks_over_the_device_is_understood(speech, engines, recordings):
    """Barge-in: the talker at the microphone as loud as the device's own voice."""
    spoken, spans = speech
    spoken = np.concatenate([np.zeros(64000, np.float32), spoken])
    spans = [(start + 64000, end + 64000, text) for start, end, text in spans]
    place = Room(0.3, 40.0, 0.8, 200.0, seed=2)
    near = np.convolve(spoken, impulse_responses(GEOMETRY, place, "talker")[:, 0])[: len(spoken)]
    played = np.resize(np.roll(read_speech(recordings / "beckett.wav"), 8000), len(spoken)).astype(np.float32)
    echo = np.convolve(played, impulse_responses(GEOMETRY, place, "speaker")[:, 0])[: len(spoken)]
    loud = np.concatenate([np.arange(start, end) for start, end, _ in spans])
    echo *= np.sqrt(np.mean(near[loud] ** 2) / np.mean(echo[loud] ** 2))
    hiss = 1e-3 * np.sqrt(np.mean(near[loud] ** 2)) * np.random.default_rng(0).standard_normal(len(spoken))
    clean, mixed, alone = ((0.05 / np.sqrt(np.mean(near[loud] ** 2)) * x).astype(np.float32) for x in
                           (near + hiss, near + echo + hiss, echo + hiss))  # fmt: skip

    spans = spans[:4]
    end = spans[-1][1] + 8000

    def cancel(sound):
        frontend = Frontend(FrontendSettings(echo=EchoSettings(enabled=True)))
        return listen(engines, frontend, sound[:end], played[:end])

    unhurt = word_error_rate(engines, spans, clean)
    assert word_error_rate(engines, spans, cancel(mixed)) <= max(2 * unhurt, 0.06)
    assert word_error_rate(engines, spans, mixed) > 0.4
    left = cancel(alone)[64000:end]
    assert 10 * np.log10(np.mean(alone[64000:end] ** 2) / np.mean(left**2)) >= 20
