"""Tokens become words with times and confidence."""

from __future__ import annotations

import math

import pytest

from device.engines.asr_words import confidence, words_from_tokens
from device.engines.protocols import Word


def test_pieces_are_joined_into_words() -> None:
    tokens, starts = [" HE", "LL", "O", " WORLD"], [0.1, 0.2, 0.3, 0.8]
    assert words_from_tokens(tokens, starts, end=1.2) == (Word("HELLO", 0.1, 0.8), Word("WORLD", 0.8, 1.2))


def test_confidence_is_the_mean_of_the_pieces() -> None:
    words = words_from_tokens(["▁a", "b"], [0.0, 0.1], [math.log(0.5), math.log(0.125)], end=1.0)
    assert words[0].confidence == pytest.approx(0.25)
    assert confidence([]) is None


def test_scripts_without_spaces_give_a_word_a_character() -> None:
    assert [w.text for w in words_from_tokens(["你", "好", " ok"], [0.0, 0.2, 0.4], end=1.0)] == ["你", "好", "ok"]


def test_no_times_no_words() -> None:
    assert words_from_tokens([" a", " b"], [], end=1.0) == ()


def test_words_never_outlast_the_sound_or_run_backwards() -> None:
    for word in words_from_tokens([" a", " b", " c"], [0.5, 0.4, 2.0], end=1.0):
        assert 0 <= word.start <= word.end <= 1.0
