"""Whisper on real clips in many languages: words, languages, and silence where nobody speaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jiwer
import numpy as np
import pytest

from device.engines.asr_whisper import SHORTEST_WINDOW, WINDOW, WhisperRecognizer, language_of, load, window_for
from device.errors import DragomanError
from device.events import SAMPLE_RATE
from device.modelstore.catalogue import Model
from tests.conftest import Recordings
from tests.engines.speech import TWO_CITIES, audio, noise, plain

MODEL = Model(
    id="asr-whisper-base",
    task="asr",
    engine="whisper-ct2",
    name="Whisper base",
    licence="MIT",
    homepage="",
    languages=("en", "pt", "es", "fr", "it", "de", "zh", "ja", "hi", "pl"),
)


@pytest.fixture(scope="module")
def whisper(model_dir: Callable[[str], Path]) -> WhisperRecognizer:
    recognizer = load(MODEL, model_dir(MODEL.id), 2)
    assert isinstance(recognizer, WhisperRecognizer)
    return recognizer


@pytest.mark.models
@pytest.mark.parametrize(("language", "limit"), [("en", 0.05), ("pt", 0.2), ("es", 0.4), ("fr", 0.4), ("it", 0.3)])
def test_clips_are_recognised(whisper: WhisperRecognizer, recordings: Recordings, language: str, limit: float) -> None:
    said, heard = [], []
    for path, text in recordings.clips(language):
        words = plain(text).split()
        result = whisper.session(language).recognize(audio(path), final=True)
        assert result.language == language
        # It writes numbers as digits; the counting clips have ten words, one for each.
        numbers = {str(i + 1): word for i, word in enumerate(words)} if len(words) == 10 else {}
        said.append(" ".join(words))
        heard.append(" ".join(numbers.get(word, word) for word in plain(result.text).split()))
    assert jiwer.wer(said, heard) <= limit


@pytest.mark.models
def test_language_is_identified(whisper: WhisperRecognizer, recordings: Recordings) -> None:
    for language in ("en", "pt", "fr", "zh", "ja"):
        path, _ = max(recordings.clips(language), key=lambda clip: clip[0].stat().st_size)
        ranked = whisper.detect_language(audio(path))
        assert ranked[0][0] == language
        assert sum(share for _, share in ranked) == pytest.approx(1.0, abs=1e-3)
        assert {tag for tag, _ in ranked} == set(whisper.languages)


@pytest.mark.models
def test_longer_than_its_window_keeps_all_words(whisper: WhisperRecognizer, recordings: Recordings) -> None:
    result = whisper.session("en").recognize(audio(recordings / "two_cities.wav"), final=True)
    assert jiwer.wer(plain(TWO_CITIES), plain(result.text)) <= 0.05
    assert result.confidence is not None
    assert result.confidence > 0.5
    assert " ".join(word.text for word in result.words) == result.text
    starts = [word.start for word in result.words]
    assert starts == sorted(starts)
    assert starts[-1] > 30  # those of the second window count from the beginning too


@pytest.mark.models
def test_words_have_the_times_at_which_they_were_said(whisper: WhisperRecognizer, recordings: Recordings) -> None:
    path, _ = next(clip for clip in recordings.clips("en") if clip[0].stem == "quick_brown_fox")
    clip = audio(path)
    soon = whisper.session("en").recognize(clip, final=True).words
    pause = np.zeros(SAMPLE_RATE, np.float32)
    late = whisper.session("en").recognize(np.concatenate([pause, clip]), final=True).words
    assert " ".join(plain(word.text) for word in soon) == "the quick brown fox jumps over the lazy dog"
    assert [word.text for word in late] == [word.text for word in soon]
    # The first word is heard to begin with the sound, which nothing stands before.
    for early, later in zip(soon[1:], late[1:], strict=True):
        assert later.start - early.start == pytest.approx(1.0, abs=0.15)
    loud = np.flatnonzero(np.abs(clip) > 0.02) / SAMPLE_RATE
    assert loud[0] <= soon[1].start < soon[-1].start <= loud[-1]
    assert all(word.confidence and word.confidence > 0.5 for word in soon)
    assert not whisper.session("en").recognize(clip, final=False).words  # partials need none


@pytest.mark.models
@pytest.mark.parametrize("language", ["ja", "hi", "zh"])
def test_words_of_other_scripts_are_whole_letters(
    whisper: WhisperRecognizer, recordings: Recordings, language: str
) -> None:
    for path, _ in recordings.clips(language):
        result = whisper.session(language).recognize(audio(path), final=True)
        assert "".join(word.text for word in result.words) == result.text.replace(" ", "")
        assert "\ufffd" not in "".join(word.text for word in result.words)


@pytest.mark.models
@pytest.mark.parametrize("level", [0.0, 0.001, 0.01, 0.1])
@pytest.mark.parametrize("language", ["en", "pt"])
def test_nothing_is_invented_for_noise(whisper: WhisperRecognizer, language: str, level: float) -> None:
    result = whisper.session(language).recognize(noise(2.0, level), final=True)
    assert result.text == ""
    assert result.confidence is None


@pytest.mark.models
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_broken_samples_do_not_crash_it(whisper: WhisperRecognizer, value: float) -> None:
    whisper.session("en").recognize(np.full(SAMPLE_RATE, value, np.float32), final=True)
    assert whisper.session("en").recognize(np.zeros(0, np.float32), final=True).text == ""
    assert whisper.detect_language(np.zeros(0, np.float32)) == []


@pytest.mark.models
def test_unknown_language_is_refused(whisper: WhisperRecognizer) -> None:
    with pytest.raises(DragomanError, match="does not understand 'xx'"):
        whisper.session("xx")


def test_window_grows_with_the_speech() -> None:
    assert window_for(0) == SHORTEST_WINDOW
    assert window_for(10 * SAMPLE_RATE) == 1300
    assert window_for(60 * SAMPLE_RATE) == WINDOW


@pytest.mark.parametrize(
    ("token", "language"),
    [("<|pt|>", "pt"), ("<|haw|>", "haw"), ("<|transcribe|>", None), ("<|0.00|>", None), ("pt", None), ("", None)],
)
def test_language_tokens_are_told_from_others(token: str, language: str | None) -> None:
    assert language_of(token) == language


@pytest.mark.parametrize("missing", ["model.bin", "config.json", "tokenizer.json"])
def test_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    for name in {"model.bin", "config.json", "tokenizer.json"} - {missing}:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DragomanError, match=f"{missing} is missing"):
        load(MODEL, tmp_path, 1)


def test_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"half")
    with pytest.raises(DragomanError, match="cannot be loaded") as raised:
        load(MODEL, tmp_path, 1)
    assert "\n" not in str(raised.value)
