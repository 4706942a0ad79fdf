"""Every phoneme belongs to its word, also where espeak-ng writes words together."""

# ruff: noqa: RUF001 - phonetic letters look like others

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.engines.protocols import Pronounced
from device.engines.tts_phonemes import espeak_phonemes, is_heard, pronounce, word_times


def told(text, voice="en-us"):
    words = [Pronounced(word) for word in text.split()]
    return {word.text: "".join(phonemes).strip() for word, phonemes in zip(words, pronounce(words, voice), strict=True)}


def test_words_that_are_read_together_are_told_apart():
    assert "ʌvðə" in "".join(espeak_phonemes("one of the days", "en-us"))
    found = told("one of the days")
    assert (found["of"], found["the"]) == ("ʌv", "ðə")


def test_one_word_may_have_many_groups():
    found = told("say www.example.com twice")
    assert found["say"] == "sˈeɪ"
    assert found["twice"] == "twˈaɪs"
    assert found["www.example.com"].count(" ") > 2


def test_signs_belong_to_the_word_before_and_dashes_are_silent():
    found = told("Hello, world — again.")
    assert found["Hello,"].endswith(",")
    assert found["again."].endswith(".")
    assert not any(is_heard(p) for p in found["—"])


def test_given_phonemes_are_used_as_they_are():
    words = [Pronounced("a"), Pronounced("tomato,", phonemes="təmˈɑːtoʊ"), Pronounced("here")]
    assert "".join(pronounce(words, "en-us")[1]) == "təmˈɑːtoʊ, "


WORDS = [
    "the",
    "of",
    "in",
    "a",
    "and",
    "I'm",
    "12",
    "e.g.",
    "—",
    "...",
    "USA",
    "naïve",
    "東京",
    "שלום",
    "qu'est-ce",
    "ok",
]


@pytest.mark.parametrize(
    ("phonemes", "read"),
    [("təˈmeɪtoʊ", "təmˈeɪtoʊ"), ("ˈstrɔŋ.ɡə", "strˈɔŋɡə"), ("/ˌɪntəˈnæʃ/", "ˌɪntənˈæʃ"), ("psˈ", "psˈ")],
)
def test_stress_is_put_where_voices_learnt_it(phonemes, read):
    assert "".join(pronounce([Pronounced("word", phonemes=phonemes)], "en-us")[0]) == read


TEXT = st.lists(st.sampled_from(WORDS), max_size=12)


@settings(deadline=None)
@given(TEXT, st.sampled_from(["en-us", "fr", "de", "pt-br"]))
def test_no_phoneme_is_lost_or_made_up(words, voice):
    whole = [p for p in espeak_phonemes(" ".join(words), voice) if is_heard(p)]
    shared = [p for own in pronounce([Pronounced(w) for w in words], voice) for p in own if is_heard(p)]
    assert shared == whole


def test_times_are_those_of_each_words_first_and_last_phoneme():
    ends = [0.1, 0.2, 0.3, 0.5, 0.6, 0.9]
    owners = [None, 0, 0, None, 2, None]
    assert word_times(np.array(ends), owners, 3) == ((0.1, 0.3), (0.3, 0.3), (0.5, 0.6))


@pytest.mark.parametrize("words", [[], [Pronounced("—")], [Pronounced("")]])
def test_nothing_to_say_is_nothing(words):
    assert not any(is_heard(p) for own in pronounce(words, "en-us") for p in own)
