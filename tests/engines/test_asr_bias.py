"""Phrases that a decoder listens for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soxr
from numpy.typing import NDArray

from device.audio.files import read_blocks
from device.config import ModelSettings, Settings
from device.engines.asr_bias import BEGIN, CONTINUE, SPACE, PhraseBias, Phrases
from device.engines.asr_sherpa import SherpaRecognizer
from device.engines.protocols import PhraseRecognizer
from device.engines.registry import Engines
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model
from tests.conftest import Recordings

TOKENS = {0: b"<s>", 1: SPACE, 2: SPACE + b"Zig", 3: b"bee", 4: b"b", 5: b"e", 6: SPACE + b"the", 7: b"Zig"}
PHRASES = ("Dragoman", "Kubernetes", "PostgreSQL", "Tchaikovsky", "Zigbee", "Siobhan O'Reilly")


def bonus(text: bytes) -> dict[int, float]:
    logits: NDArray[np.float32] = np.zeros(len(TOKENS), np.float32)
    PhraseBias(["Zigbee"], TOKENS).add(logits, text)
    return {token: float(value) for token, value in enumerate(logits) if value}


def test_tokens_that_begin_or_continue_a_phrase_gain() -> None:
    the = SPACE + b"the"
    assert bonus(the) == {2: BEGIN}, "not the bare space, and nothing in the middle of a word"
    assert bonus(the + SPACE + b"Zig") == {2: BEGIN, 3: CONTINUE, 4: CONTINUE}
    assert bonus(the + SPACE + b"Zigb") == {2: BEGIN, 5: CONTINUE}, "any way to spell it"
    assert bonus(the + b"Zig") == {2: BEGIN}
    assert bonus(SPACE + b"Zigbee") == {2: BEGIN}, "it is said"


def test_a_text_is_believed_that_gains_a_phrase_and_little_else_and_is_about_as_likely() -> None:
    phrases = Phrases(["Zigbee", "Home Assistant"])
    heard, said = "Pair the zip be lamp.", "Pair the Zigbee lamp."
    assert phrases.better(heard, -10.0, said, -15.0)
    assert not phrases.better(heard, -10.0, said, -40.0), "the model does not hear it"
    assert not phrases.better(said, -10.0, heard, -5.0), "nothing is gained"
    assert not phrases.better(heard, -10.0, "Zigbee and other things that nobody said.", -12.0)
    assert not phrases.better("It was the best of times.", -10.0, "Zigbee Zigbee Zigbee Zigbee Zigbee.", -12.0)
    assert not Phrases(["it"]).better("Take that.", -1.0, "Take it.", -1.0), "too short to be listened for"


class Stream:
    def __init__(self, hotwords: str | None) -> None:
        self.hotwords = hotwords


class Native:
    """Keeps what a sherpa-onnx recogniser is asked for."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []

    def create_stream(self, hotwords: str | None = None) -> Stream:
        self.streams.append(Stream(hotwords))
        return self.streams[-1]


@pytest.mark.parametrize(
    ("options", "capitals", "asked"),
    [
        ({"type": "transducer", "decoding_method": "modified_beam_search"}, True, "VILA NOVA DE GAIA/O'REILLY"),
        ({"type": "transducer", "decoding_method": "modified_beam_search"}, False, "Vila Nova de Gaia/O'Reilly"),
        ({"type": "transducer"}, True, None),
        ({"type": "zipformer2_ctc", "decoding_method": "modified_beam_search"}, True, None),
    ],
)
def test_a_transducer_with_beam_search_is_given_the_phrases(
    options: dict[str, Any], capitals: bool, asked: str | None
) -> None:
    model = Model(
        id="asr-x", task="asr", engine="sherpa-online", name="X", licence="none", homepage="", languages=("en",),
        options=options,
    )  # fmt: skip
    native = Native()
    recognizer = SherpaRecognizer(model, native, online=True, capitals=capitals)
    assert isinstance(recognizer, PhraseRecognizer)
    assert recognizer.takes_phrases == (asked is not None)
    recognizer.session("en", ["Vila Nova / de Gaia", "O'Reilly", "…"])
    assert native.streams[0].hotwords == asked


@pytest.fixture(scope="module")
def engines(model_dir: Callable[[str], Path]) -> Any:
    for model in ("asr-moonshine-tiny-en", "asr-whisper-base", "tts-piper-en-joe"):
        model_dir(model)
    onnxruntime.set_seed(1)  # a voice says no sentence twice alike, unless its dice are known
    with Engines.open(Settings(models=ModelSettings(offline=True))) as opened:
        yield opened


def spoken(engines: Engines, text: str) -> Samples:
    voice = engines.synthesizer("en")
    sound = np.concatenate(list(voice.stream(text)))
    padded = np.pad(soxr.resample(sound, voice.sample_rate, SAMPLE_RATE), 4000)
    return np.ascontiguousarray(padded, np.float32)


SAID = (
    ("Kubernetes", "Our cluster runs on Kubernetes today."),
    ("PostgreSQL", "Install PostgreSQL on the server."),
    ("Tchaikovsky", "They played Tchaikovsky in the park."),
)


@pytest.mark.models
@pytest.mark.parametrize("model", ["asr-moonshine-tiny-en", "asr-whisper-base"])
def test_names_are_recognised_that_are_listened_for(engines: Engines, model: str) -> None:
    recognizer = engines._load(engines._store.catalogue[model])
    assert isinstance(recognizer, PhraseRecognizer)
    plain = listening = 0
    for phrase, text in SAID:
        sound = spoken(engines, text)
        plain += phrase in recognizer.session("en").recognize(sound, final=True).text
        listening += phrase in recognizer.session("en", PHRASES).recognize(sound, final=True).text
    assert listening > plain


@pytest.mark.models
def test_what_nobody_said_is_not_heard_because_it_is_listened_for(engines: Engines, recordings: Recordings) -> None:
    recognizer = engines.recognizer("en")
    assert isinstance(recognizer, PhraseRecognizer)
    for path, _ in recordings.clips("en"):
        sound = np.concatenate(list(read_blocks(path)))
        plain = recognizer.session("en").recognize(sound, final=True).text
        assert recognizer.session("en", PHRASES).recognize(sound, final=True).text == plain
