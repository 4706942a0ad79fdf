import itertools

import numpy as np
import pytest

from device.audio.reference import LONGEST, PlaybackReference
from device.audio.reports import AudioReport, Happening
from device.config import EndpointSettings, Settings
from device.config.frontend import FrontendSettings
from device.ears import Ears
from device.events import SAMPLE_RATE, Final
from device.interpreter import Interpreter
from tests.support.engines import SmallEngines, silence, speak


@pytest.fixture
def engines():
    engines = SmallEngines()
    yield engines
    engines.close()


def found(rate, channels):
    return AudioReport(kind=Happening.FOUND, text="found", rate=rate, channels=channels)


def ears(engines, settings=None, **on):
    heard, alerts = [], []
    made = Ears(
        FrontendSettings.model_validate(settings or {}), EndpointSettings(), engines,
        heard.append, lambda *alert: alerts.append(alert),
    )  # fmt: skip
    return made, heard, alerts


def test_a_plain_microphone_is_heard_as_it_is(engines):
    listening, heard, _ = ears(engines, {"highpass": False})
    listening.open(found(SAMPLE_RATE, 1))
    sound = speak("one two three")
    for i in range(0, len(sound), 500):
        listening.hear(sound[i : i + 500, None])
    assert np.array_equal(np.concatenate([h.samples for h in heard]), sound)


def test_any_rate_and_number_of_channels_become_16_khz_mono(engines):
    listening, heard, _ = ears(engines)
    listening.open(found(48_000, 4))
    tone = np.sin(2 * np.pi * 500 * np.arange(48_000) / 48_000).astype(np.float32)
    for i in range(0, len(tone), 1536):
        listening.hear(np.repeat(tone[i : i + 1536, None], 4, axis=1))
    sound = np.concatenate([h.samples for h in heard])
    assert len(sound) == pytest.approx(16_000, abs=1000)
    peak = np.argmax(np.abs(np.fft.rfft(sound))) * SAMPLE_RATE / len(sound)
    assert peak == pytest.approx(500, abs=2)


def test_another_device_may_come_in_the_middle(engines):
    listening, heard, _ = ears(engines)
    for rate, channels in ((48_000, 2), (44_100, 1), (16_000, 6)):
        listening.open(found(rate, channels))
        listening.hear(np.zeros((rate // 10, channels), np.float32))
    assert sum(len(h.samples) for h in heard) > 3000


def test_before_a_device_is_found_nothing_is_heard(engines):
    listening, heard, _ = ears(engines)
    listening.hear(np.zeros((512, 1), np.float32))
    assert heard == []


def test_a_dead_microphone_is_named(engines):
    listening, _, alerts = ears(engines, {"array": {"geometry": "respeaker-4mic"}})
    listening.open(found(SAMPLE_RATE, 4))
    rng = np.random.default_rng(3)
    sound = np.concatenate([np.concatenate([speak("one two three four five"), silence(0.3)]) for _ in range(6)])
    block = np.repeat(sound[:, None], 4, axis=1) + rng.normal(0, 1e-3, (len(sound), 4)).astype(np.float32)
    block[:, 2] = 0.0
    for i in range(0, len(block), 512):
        listening.hear(block[i : i + 512])
    assert any(name.startswith("microphone-2-") and text for name, text in alerts), alerts


def test_the_direction_of_the_speech_is_on_its_final(engines):
    finals = []
    interpreter = Interpreter(engines, Settings(), lambda e: finals.append(e) if isinstance(e, Final) else None)
    interpreter.begin_turn(hands_free=True)
    sound = np.concatenate([silence(0.3), speak("one two three four"), silence(1)])
    for i, azimuth in zip(range(0, len(sound), 512), itertools.cycle([170.0, -170.0]), strict=False):
        interpreter.feed(sound[i : i + 512], azimuth)
    interpreter.close(60)
    assert abs(finals[0].azimuth) == pytest.approx(180, abs=2)


def test_the_reference_keeps_pace_and_never_grows():
    reference = PlaybackReference()
    assert reference.take(512) is None
    tone = np.sin(2 * np.pi * 300 * np.arange(48_000) / 48_000).astype(np.float32)
    taken = []
    for i in range(0, len(tone), 480):
        reference.played(tone[i : i + 480], 48_000)
        if i % 1440 == 960:
            taken.append(reference.take(480))
    sound = np.concatenate([t for t in taken if t is not None])
    assert np.argmax(np.abs(np.fft.rfft(sound))) * SAMPLE_RATE / len(sound) == pytest.approx(300, abs=3)
    for _ in range(300):
        reference.played(tone[:4800], 48_000)
    reference.take(512)
    assert len(reference._ready) <= LONGEST * SAMPLE_RATE


def test_full_duplex_is_allowed_once_the_own_voice_is_removed_well(engines):
    listening, heard, _ = ears(engines, {"echo": {"enabled": True}})
    listening.open(found(SAMPLE_RATE, 1))
    assert not listening.full_duplex
    rng = np.random.default_rng(5)
    voice = np.convolve(rng.normal(0, 0.1, 20 * SAMPLE_RATE), np.ones(4) / 4, mode="same").astype(np.float32)
    voice *= np.repeat(rng.uniform(0.2, 1, 200), len(voice) // 200).astype(np.float32)
    path = np.zeros(2400, np.float32)
    path[1600], path[1900], path[2300] = 0.5, 0.2, -0.1  # 100 ms of devices, then a small room
    echo = np.convolve(voice, path)[: len(voice)].astype(np.float32)
    engines_silent = listening._vad
    engines_silent.is_speech = lambda frame: False
    for i in range(0, len(voice), 512):
        listening.tap(voice[i : i + 512], SAMPLE_RATE)
        listening.hear(echo[i : i + 512, None])
    left = np.concatenate([h.samples for h in heard])[-2 * SAMPLE_RATE :]
    lowered = 10 * np.log10(np.mean(echo[-2 * SAMPLE_RATE :] ** 2) / np.mean(left**2))
    assert lowered > 20
    assert listening.full_duplex
