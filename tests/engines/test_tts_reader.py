"""Scripts are read as they are written: breaks as long as asked, words and bookmarks told where they are heard."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from device.engines import tts_piper
from device.engines.protocols import SpeechPiece, Synthesizer
from device.engines.tts_pitch import median_pitch
from device.engines.tts_reader import PUNCTUATION, SENTENCE, WORD, Boundary, Mark, Reader, Sound
from device.modelstore.loading import load_catalogue
from device.text.ssml import parse_ssml
from device.text.ssml_script import write_script
from device.text.ssml_values import SsmlError
from tests.text.test_ssml import elements

RATE = 10_000
EDGE = 0.02


class Hum:
    """Hums a tenth of a second a word, with short silence at both ends and between."""

    model_id, language, voice, sample_rate = "hum", "en-US", "Hum", RATE

    def speak(self, words):
        parts, times, at = [np.zeros(int(EDGE * RATE))], [], EDGE
        for word in words:
            long = 0.1 / word.rate
            parts += [0.1 * np.ones(int(long * RATE)), np.zeros(int(0.05 * RATE))]
            times.append((at, at + long))
            at += long + 0.05
        parts[-1] = np.zeros(int(EDGE * RATE))
        sound = np.concatenate(parts).astype(np.float32)
        half = len(sound) // 2
        yield SpeechPiece(sound[:half], tuple(times), EDGE)
        yield SpeechPiece(sound[half:], tail=EDGE)


def read(inner: str, voice=None):
    voice = voice or Hum()
    reader = Reader(lambda manner: voice)
    document = f'<speak xml:lang="en-US" xmlns:mstts="m">{inner}</speak>'
    spoken = [s for item in write_script(parse_ssml(document), lambda m: "en-US") for s in reader.read(item)]
    spoken += reader.finish()
    sound = np.concatenate([np.zeros(0, np.float32), *(s.samples for s in spoken if isinstance(s, Sound))])
    # A document of breaks alone has no voice whose rate it could take.
    seconds = sum(len(s.samples) / s.rate for s in spoken if isinstance(s, Sound))
    assert reader.duration == pytest.approx(seconds, abs=0.001)
    return sound, [s for s in spoken if not isinstance(s, Sound)]


def silences(sound, rate, shortest=0.06):
    """Return (start, length) of the silences, in seconds, to 5 ms."""
    hop = rate // 200
    level = np.sqrt(np.mean(sound[: len(sound) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    quiet = np.concatenate(([False], level < level.max() * 10 ** (-45 / 20), [False]))
    edges = np.flatnonzero(quiet[1:] != quiet[:-1]).reshape(-1, 2) * hop / rate
    return [(a, b - a) for a, b in edges.tolist() if b - a >= shortest]


def starts(told, kind=WORD):
    return {t.text: t.start for t in told if isinstance(t, Boundary) and t.kind == kind}


@pytest.mark.parametrize("seconds", [0.03, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("before", ["One.", "One", "One,"])
def test_a_break_lasts_as_long_as_is_written_whatever_stands_before(seconds, before):
    _, told = read(f'{before}<break time="{seconds}s"/>Two.')
    one = next(t for t in told if isinstance(t, Boundary) and t.text == "One" and t.kind == WORD)
    assert starts(told)["Two"] - one.start - one.duration == pytest.approx(max(seconds, EDGE), abs=0.01)


def test_a_sentence_is_followed_by_its_pause_and_a_paragraph_by_a_longer_one():
    sound, _ = read("One. Two. Two.<p>Three.</p><p>Four.</p>")
    lengths = [length for _, length in silences(sound, RATE)]
    assert lengths == pytest.approx([0.25, 0.25, 0.6, 0.6, 0.6], abs=0.011)


def test_bookmarks_come_where_the_next_word_begins():
    _, told = read('One <bookmark mark="a"/>two. <bookmark mark="b"/>Three.<bookmark mark="c"/><break time="1s"/>')
    marks = {t.name: t.start for t in told if isinstance(t, Mark)}
    words = starts(told)
    assert marks["a"] == pytest.approx(words["two"])
    assert marks["b"] == pytest.approx(words["Three"])
    assert marks["c"] == pytest.approx(words["Three"] + 0.1, abs=0.001)


def test_what_is_told_comes_before_it_is_heard():
    reader = Reader(lambda manner: Hum())
    at = 0.0
    parts = parse_ssml('<speak>One two. <bookmark mark="a"/>Three.</speak>')
    for item in write_script(parts, lambda m: "en"):
        for spoken in reader.read(item):
            if isinstance(spoken, Sound):
                at += len(spoken.samples) / RATE
            else:
                assert spoken.start >= at - EDGE - 1e-6


def test_a_sign_is_told_apart_and_an_amount_is_one_word():
    _, told = read("It costs $5, ok?")
    kinds = [(t.kind, t.text) for t in told if isinstance(t, Boundary)]
    assert kinds == [
        (SENTENCE, "It costs $5, ok?"), (WORD, "It"), (WORD, "costs"), (WORD, "$5"), (PUNCTUATION, ","), (WORD, "ok"),
        (PUNCTUATION, "?"),
    ]  # fmt: skip


def test_loudness_changes_from_word_to_word():
    sound, told = read('One <prosody volume="50">two</prosody> three.')
    levels = {}
    for name, start in starts(told).items():
        levels[name] = float(np.abs(sound[int((start + 0.03) * RATE) : int((start + 0.07) * RATE)]).mean())
    assert levels["two"] == pytest.approx(levels["One"] / 2, rel=0.01)
    assert levels["three"] == pytest.approx(levels["One"], rel=0.01)


def test_nothing_to_say_is_no_sound():
    sound, told = read("…")
    assert len(sound) == 0
    assert told == []


@pytest.fixture(scope="module")
def joe(model_dir: Callable[[str], Path]) -> Synthesizer:
    return tts_piper.load(load_catalogue()["tts-piper-en-joe"], model_dir("tts-piper-en-joe"), 1)


@pytest.mark.models
def test_breaks_of_a_real_voice_are_exact(joe: Synthesizer) -> None:
    sound, _ = read('Hello there. <break time="700ms"/>Good bye <break time="300ms"/>my friend.', joe)
    lengths = [length for _, length in silences(sound, joe.sample_rate, 0.2)]
    assert lengths[:2] == pytest.approx([0.7, 0.3], abs=0.011)


@pytest.mark.models
def test_words_are_told_where_they_are_heard(joe: Synthesizer) -> None:
    sound, told = read("One, two, three, four, five, six, seven, eight.", joe)
    words = [t for t in told if isinstance(t, Boundary) and t.kind == WORD]
    heard = silences(sound, joe.sample_rate, 0.1)[:-1]
    errors = []
    for before, after in pairwise(words):
        end, start = before.start + before.duration, after.start
        near = [gap for gap in heard if abs(gap[0] + gap[1] / 2 - (end + start) / 2) < 0.25]
        if near:
            gap = min(near, key=lambda g: abs(g[0] + g[1] - start))
            errors.append(abs(gap[0] + gap[1] - start))
    assert len(errors) >= 4
    assert np.median(errors) < 0.05


@pytest.mark.models
def test_one_word_may_be_slower_without_cutting_the_sentence(joe: Synthesizer) -> None:
    lengths: dict[tuple[float, str], list[float]] = {}
    for rate in (1.0, 0.5) * 4:  # the voice draws each length by lot
        _, told = read(f'We will meet <prosody rate="{rate}">tomorrow</prosody> at the station.', joe)
        for t in told:
            if isinstance(t, Boundary) and t.kind == WORD:
                lengths.setdefault((rate, t.text), []).append(t.duration)
        assert sum(isinstance(t, Boundary) and t.kind == SENTENCE for t in told) == 1
    mean = {key: np.mean(found) for key, found in lengths.items()}
    assert mean[0.5, "tomorrow"] > 1.5 * mean[1.0, "tomorrow"]
    assert mean[0.5, "station"] < 1.4 * mean[1.0, "station"]


@pytest.mark.models
@pytest.mark.parametrize("change", [-20, 30])
def test_pitch_changes_by_what_is_asked_and_the_length_stays(joe: Synthesizer, change: int) -> None:
    text = "We will meet tomorrow morning near the old railway station."
    plain = [read(text, joe)[0] for _ in range(2)]
    changed = [read(f'<prosody pitch="{change:+d}%">{text}</prosody>', joe)[0] for _ in range(2)]
    usual, asked = (np.median([median_pitch(s, joe.sample_rate) for s in sounds]) for sounds in (plain, changed))
    assert asked / usual == pytest.approx(1 + change / 100, rel=0.05)
    assert np.mean([len(s) for s in changed]) == pytest.approx(np.mean([len(s) for s in plain]), rel=0.06)


@settings(deadline=None)
@given(elements())
def test_any_document_is_read_and_its_times_are_in_order(document: str) -> None:
    with suppress(SsmlError):
        sound, told = read(document)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max(initial=0.0) <= 1.0
        begins = [t.start for t in told if isinstance(t, Boundary) and t.kind == WORD]
        assert begins == sorted(begins)
