"""Moonshine on real speech: right words, from several threads, at any length, and never a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray

from device.engines import asr_moonshine, asr_moonshine_network, asr_sherpa
from device.engines.protocols import Recognizer, TogetherRecognizer
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model
from tests.conftest import Recordings
from tests.engines.speech import MOONSHINE, MOONSHINE_ON_SHERPA, TWO_CITIES, audio, noise, plain

pytestmark = pytest.mark.models


Load = Callable[[Model, Path, int], Recognizer]
BOTH: tuple[tuple[Load, Model], ...] = (
    (asr_moonshine.load, MOONSHINE),
    (asr_sherpa.load, MOONSHINE_ON_SHERPA),
)
NAMES = ("own", "sherpa")


@pytest.fixture(scope="module", params=BOTH, ids=NAMES)
def moonshine(request: pytest.FixtureRequest, model_dir: Callable[[str], Path]) -> Recognizer:
    load, model = request.param
    recognizer: Recognizer = load(model, model_dir(model.id), 1)
    return recognizer


def final(recognizer: Recognizer, samples: Samples) -> str:
    return recognizer.session("en").recognize(samples, final=True).text


def test_reading_is_recognised(moonshine: Recognizer, recordings: Recordings) -> None:
    samples = audio(recordings / "two_cities.wav")
    pieces = [final(moonshine, samples[i : i + 15 * SAMPLE_RATE]) for i in range(0, len(samples), 15 * SAMPLE_RATE)]
    assert jiwer.wer(plain(TWO_CITIES), plain(" ".join(pieces))) <= 0.03


def test_utterance_longer_than_the_model_can_hear_keeps_all_its_words(
    moonshine: Recognizer, recordings: Recordings
) -> None:
    text = final(moonshine, audio(recordings / "two_cities.wav"))
    assert jiwer.wer(plain(TWO_CITIES), plain(text)) <= 0.03


def test_english_clips_are_recognised(moonshine: Recognizer, recordings: Recordings) -> None:
    for path, text in recordings.clips("en"):
        assert jiwer.wer(plain(text), plain(final(moonshine, audio(path)))) <= 0.1, path


def test_partials_of_a_long_utterance_lead_to_its_final(moonshine: Recognizer, recordings: Recordings) -> None:
    samples = audio(recordings / "two_cities.wav")[: 15 * SAMPLE_RATE]
    session = moonshine.session("en")
    for length in range(SAMPLE_RATE, len(samples) + 1, SAMPLE_RATE):
        partial = session.recognize(samples[:length], final=False).text
    whole = session.recognize(samples, final=True).text
    assert jiwer.wer(plain(whole), plain(partial)) <= 0.15
    assert whole == final(moonshine, samples)


def test_several_conversations_at_once_get_the_same_texts(moonshine: Recognizer, recordings: Recordings) -> None:
    samples = audio(recordings / "two_cities.wav")
    parts = [samples[i : i + 3 * SAMPLE_RATE] for i in range(0, 12 * SAMPLE_RATE, 3 * SAMPLE_RATE)]
    alone = [final(moonshine, part) for part in parts]
    together: dict[int, list[str]] = {}

    def work(number: int) -> None:
        together[number] = [final(moonshine, part) for part in parts]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(together.values()) == [alone] * 3


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros(1, np.float32),
        np.zeros(SAMPLE_RATE, np.float32),
        np.full(SAMPLE_RATE, np.nan, np.float32),
        np.full(SAMPLE_RATE, np.inf, np.float32),
    ],
    ids=["none", "one", "silence", "nan", "inf"],
)
def test_nothing_is_heard_in_nothing(
    moonshine: Recognizer, samples: Samples, capfd: pytest.CaptureFixture[str]
) -> None:
    assert final(moonshine, samples) == ""
    assert capfd.readouterr() == ("", "")


def test_doubt_is_told_where_a_sound_is_short(moonshine: Recognizer, recordings: Recordings) -> None:
    samples = audio(recordings / "two_cities.wav")
    short = moonshine.session("en").recognize(samples[SAMPLE_RATE : SAMPLE_RATE * 2], final=True)
    long = moonshine.session("en").recognize(samples[: SAMPLE_RATE * 4], final=True)
    assert short.confidence is not None
    assert 0 <= short.confidence <= 1
    assert long.confidence is None


@pytest.mark.parametrize(("load", "model"), BOTH, ids=NAMES)
def test_half_downloaded_weights_are_one_clear_line(
    load: Load, model: Model, model_dir: Callable[[str], Path], tmp_path: Path
) -> None:
    source = model_dir(model.id)
    for path in source.iterdir():
        if path.is_file():
            data = path.read_bytes()
            (tmp_path / path.name).write_bytes(data[: len(data) // 2] if path.suffix == ".ort" else data)
    with pytest.raises(DragomanError, match="cannot be loaded"):
        load(model, tmp_path, 1)


def test_loud_noise_does_not_crash_it(moonshine: Recognizer) -> None:
    final(moonshine, noise(3.0, 5.0))


class Counted(asr_moonshine_network.Network):
    """Counts the decoder's steps."""

    steps = 0

    def _step(self, feed: dict[str, Any], tokens: Sequence[int]) -> NDArray[np.int64]:
        self.steps += 1
        return super()._step(feed, tokens)


def test_a_draft_spares_steps_and_changes_no_word(model_dir: Callable[[str], Path], recordings: Recordings) -> None:
    folder = model_dir(MOONSHINE.id)
    network = Counted(folder / "encoder_model.ort", folder / "decoder_model_merged.ort", 1)
    samples = audio(recordings / "two_cities.wav")[: 8 * SAMPLE_RATE]
    tokens = network.decode(samples, 60)
    plainly, network.steps = network.steps, 0
    assert network.decode(samples, 60, tokens) == tokens
    assert network.steps < plainly / 5
    for draft in (tokens[::-1], tokens[5:], tokens[:9] + tokens[12:], [*tokens[:4], 7, *tokens[4:]], [3] * 40):
        assert network.decode(samples, 60, draft) == tokens


def test_several_utterances_in_step_say_what_each_says_alone(
    model_dir: Callable[[str], Path], recordings: Recordings
) -> None:
    recognizer = asr_moonshine.load(MOONSHINE, model_dir(MOONSHINE.id), 1)
    assert isinstance(recognizer, TogetherRecognizer)
    whole = audio(recordings / "two_cities.wav")
    spoken = [whole[: 3 * SAMPLE_RATE], whole[: 8 * SAMPLE_RATE], audio(recordings / "beckett.wav")[: 5 * SAMPLE_RATE]]
    alone = [final(recognizer, samples) for samples in spoken]
    sessions = [recognizer.session("en") for _ in spoken]
    unheard = (recognizer.session("en"), np.zeros(SAMPLE_RATE, np.float32))
    recognizer.prepare([*zip(sessions, spoken, strict=True), unheard])
    decoded: list[int] = []
    recognizer.decode = lambda samples, draft: decoded.append(len(samples)) or []  # type: ignore[attr-defined]
    together = [session.recognize(samples, final=True).text for session, samples in zip(sessions, spoken, strict=True)]
    assert not decoded
    # The weights' rounding depends on what is decoded in step, and moves a comma now and then.
    assert jiwer.wer([plain(text) for text in alone], [plain(text) for text in together]) < 0.03


def test_an_utterance_that_has_grown_since_is_decoded_anew(
    model_dir: Callable[[str], Path], recordings: Recordings
) -> None:
    recognizer = asr_moonshine.load(MOONSHINE, model_dir(MOONSHINE.id), 1)
    assert isinstance(recognizer, TogetherRecognizer)
    whole = audio(recordings / "two_cities.wav")
    sessions = [recognizer.session("en") for _ in range(2)]
    recognizer.prepare([(session, whole[: 3 * SAMPLE_RATE]) for session in sessions])
    longer = sessions[0].recognize(whole[: 6 * SAMPLE_RATE], final=True).text
    assert plain(longer) == plain(final(recognizer, whole[: 6 * SAMPLE_RATE]))
