"""No invented words: sound without speech and cut syllables give no text; short answers do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr

from device.audio.endpoint import Change, Endpointer
from device.config import EndpointSettings
from device.engines import asr_moonshine, tts_piper, vad_silero
from device.engines.plausibility import plausible
from device.engines.protocols import Recognition, Recognizer, Synthesizer
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model
from tests.conftest import Recordings
from tests.engines.speech import MOONSHINE, audio, between_silence, noise

VAD = Model(id="vad-silero", task="vad", engine="silero", name="Silero", licence="MIT", homepage="")
VOICE = Model(
    id="tts-piper-en-joe", task="tts", engine="piper", name="joe", licence="CC0", homepage="", languages=("en",)
)
Ear = Callable[[Samples], list[str]]


def vowel(seconds: float, level: float = 0.2, decay: float = 0.06) -> Samples:
    """A voiced sound with the soft beginning and end that voices have."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * 140 * h * time) / h for h in range(1, 12))
    envelope = np.minimum(1, time / 0.03) * np.minimum(1, np.exp((seconds - decay - time) / (decay / 4)))
    return (level * tone * envelope).astype(np.float32)


def judged(
    text: str,
    samples: Samples,
    first: float,
    last: float,
    confidence: float | None = None,
    speech: float | Samples = 1.0,
) -> bool:
    likely = np.zeros(len(samples) // 512, np.float32)
    likely[round(first / 0.032) : round(last / 0.032)] = speech
    return plausible(Recognition(text, "en", confidence), samples, likely)


WORD = between_silence(vowel(0.45))
CUT = np.concatenate([noise(1.0, 3e-4, 3), vowel(1.5)[8000:16000], noise(1.0, 3e-4, 4)])


def test_short_answer_is_believed() -> None:
    assert judged("Yes.", WORD, 1.0, 1.45)
    assert judged("Thank you.", WORD, 1.0, 1.45)
    assert judged("YES", WORD, 1.0, 1.45)  # a model that writes no punctuation
    assert judged("Yes.", WORD, 1.0, 1.45, confidence=0.9)


@pytest.mark.parametrize("text", ["You", "Yeah", "It was a.", "Of the", "we think of the best"])
def test_text_that_no_answer_ends_with_is_not_believed(text: str) -> None:
    assert not judged(text, WORD, 1.0, 1.45)


def test_sound_that_ends_at_once_is_a_cut() -> None:
    assert not judged("Yes.", CUT, 1.0, 1.5)


def test_sound_that_runs_against_the_edge_is_a_cut() -> None:
    samples = vowel(2.0)[8000:16000]
    assert not judged("Yes.", samples, 0.03, 0.5)
    assert not judged("Yes.", np.concatenate([samples, noise(0.5, 3e-4)]), 0.03, 0.5)


def test_doubt_of_the_recogniser_counts_for_short_sounds_only() -> None:
    assert not judged("Yes.", WORD, 1.0, 1.45, confidence=0.2)
    assert judged("It was the best of times.", between_silence(vowel(2.0)), 1.0, 3.0, confidence=0.2)


def test_sound_that_is_never_surely_speech_is_not_believed() -> None:
    samples = between_silence(vowel(4.0))
    assert not judged("Never was that said.", samples, 1.0, 4.968, speech=0.75)
    noisy = np.full(124, 0.6, np.float32)
    noisy[::6] = 0.95
    assert judged("I was heard in between.", samples, 1.0, 4.968, speech=noisy)


@pytest.mark.parametrize("text", ["", "  ", "♪ ♪", "...", "-"])
def test_text_without_letters_is_no_text(text: str) -> None:
    assert not judged(text, WORD, 1.0, 3.0)


def test_nothing_was_said_where_no_voice_was() -> None:
    assert not judged("Hello there.", WORD, 1.0, 1.0)


def test_more_words_than_anybody_can_say_are_not_believed() -> None:
    assert not judged("light " * 40, between_silence(vowel(2.0)), 1.0, 3.0)


def test_caption_under_music_is_not_believed_but_a_speaker_may_say_it() -> None:
    samples = between_silence(vowel(4.0))
    assert not judged("Thank you for watching.", samples, 1.0, 4.5)
    assert not judged("© transcript Emily Beynon", samples, 1.0, 4.5)
    assert judged("Thank you for watching.", samples, 1.0, 2.2)


@pytest.mark.parametrize("length", [0, 100, 512, 1024])
def test_few_samples_are_no_trouble(length: int) -> None:
    assert not plausible(Recognition("Yes.", "en"), np.ones(length, np.float32), np.ones(length // 512, np.float32))


@pytest.fixture(scope="module")
def voice(model_dir: Callable[[str], Path]) -> Synthesizer:
    return tts_piper.load(VOICE, model_dir(VOICE.id), 1)


@pytest.fixture(scope="module")
def ear(model_dir: Callable[[str], Path]) -> Ear:
    """Hear as the interpreter does: voice activity, endpoints, recognition, and then the gate."""
    settings = EndpointSettings()
    vad = vad_silero.load(VAD, model_dir(VAD.id), settings)
    recognizer: Recognizer = asr_moonshine.load(MOONSHINE, model_dir(MOONSHINE.id), 1)

    def listen(samples: Samples) -> list[str]:
        vad.reset()
        endpointer = Endpointer(0.032, settings.min_speech, settings.silence, 0.16)
        frames = [samples[i : i + 512] for i in range(0, len(samples) - 511, 512)]
        speech, texts, first = [], [], None
        for number, frame in enumerate([*frames, None]):
            change = Change.NONE
            if frame is not None:
                speech.append(vad.probability if vad.is_speech(frame) else 0.0)
                change = endpointer.step(speech[-1] > 0)
            if change is Change.BEGAN:
                first = max(0, endpointer.start - round(settings.padding / 0.032))
            if first is not None and (change is Change.PAUSED or frame is None):
                heard = samples[first * 512 : number * 512 + 512]
                result = recognizer.session("en").recognize(heard, final=True)
                if plausible(result, heard, np.array(speech[first : number + 1], np.float32)):
                    texts.append(result.text)
            if change is Change.ENDED:
                first = None
        return texts

    return listen


def cough(seed: int) -> Samples:
    """One to three bursts of noise with the resonances of a throat; some have a voiced end."""
    rng = np.random.default_rng(seed)
    parts = [noise(0.7, 1e-4, seed)]
    for _ in range(rng.integers(1, 4)):
        time = np.arange(round(rng.uniform(0.15, 0.4) * SAMPLE_RATE)) / SAMPLE_RATE
        spectrum = np.fft.rfft(rng.standard_normal(len(time)))
        pitch = np.fft.rfftfreq(len(time), 1 / SAMPLE_RATE)
        throat = sum(
            np.exp(-(((pitch - f) / (0.3 * f)) ** 2)) for f in rng.uniform((300, 900, 2300), (800, 1800, 4000))
        )
        burst = np.fft.irfft(spectrum * throat, len(time)) * np.exp(-time / rng.uniform(0.04, 0.12))
        burst /= np.abs(burst).max()
        if rng.random() < 0.4:
            hum = sum(np.sin(2 * np.pi * rng.uniform(120, 300) * h * time) for h in range(1, 8))
            burst += 0.1 * hum * np.exp(-(((time - 0.18) / 0.06) ** 2))
        parts += [(rng.uniform(0.2, 0.8) * burst).astype(np.float32), noise(rng.uniform(0.05, 0.3), 1e-4, seed)]
    return np.concatenate([*parts, noise(1.0, 1e-4, seed)]).astype(np.float32)


def buzz(seed: int) -> Samples:
    """A square wave whose loudness rises and falls as often as syllables do, in noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(8 * SAMPLE_RATE) / SAMPLE_RATE
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(3, 5) * time)
    return (0.2 * np.sign(np.sin(2 * np.pi * 120 * time)) * swell).astype(np.float32) + noise(8.0, 0.02, seed)


@pytest.mark.models
def test_a_buzz_that_swells_like_syllables_gives_no_text(ear: Ear) -> None:
    assert [text for seed in range(6) for text in ear(buzz(seed))] == []


@pytest.mark.models
@pytest.mark.parametrize("level", [0.0, 0.001, 0.01, 0.1, 0.5])
def test_silence_and_noise_give_no_text(ear: Ear, level: float) -> None:
    assert ear(noise(4.0, level)) == []


@pytest.mark.models
def test_coughs_give_no_text(ear: Ear) -> None:
    assert [text for seed in range(20) for text in ear(cough(seed))] == []


@pytest.mark.models
def test_half_a_second_cut_out_of_speech_gives_no_text(ear: Ear, recordings: Recordings) -> None:
    half, edge = SAMPLE_RATE // 2, SAMPLE_RATE // 50
    silence = np.zeros(SAMPLE_RATE, np.float32)
    cuts, invented = 0, []
    for name in ("two_cities.wav", "endgame_nagg_nell.wav", "beckett.wav"):
        speech = audio(recordings / name)
        for first in np.random.default_rng(11).integers(0, len(speech) - half, 40):
            cut = speech[first : first + half]
            # A cut between two pauses holds a whole word, which is rightly heard ("Yes.", in one of them).
            if min(np.std(cut[:edge]), np.std(cut[-edge:])) > 0.1 * np.std(speech):
                cuts += 1
                invented += ear(cut) + ear(np.concatenate([silence, cut, silence]))
    assert cuts >= 40
    assert len(invented) <= 1, invented


@pytest.mark.models
def test_short_answers_are_kept(ear: Ear, voice: Synthesizer) -> None:
    kept = []
    for answer in (
        "No, no.",
        "Thank you.",
        "Hello.",
        "Okay, good.",
        "Stop it.",
        "Thank you very much.",
        "Sure, why not?",
    ):
        sound = np.concatenate(list(voice.stream(answer)))
        kept.append(bool(ear(between_silence(np.asarray(soxr.resample(sound, voice.sample_rate, SAMPLE_RATE))))))
    assert sum(kept) >= len(kept) - 1
