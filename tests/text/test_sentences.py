"""Sentences: nothing is lost, and a full stop is not always an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.text.sentences import LONGEST_SENTENCE, split_sentences

LANGUAGES = ["en", "pt", "pt-BR", "zh", "ja", "th", "ar", "el", "xx"]
LIKELY = st.text(st.sampled_from(list("abAB .,!?;:…。！？\n\t\"'”()1239-é中文😀\u200d\u0301؟।")))  # noqa: RUF001


@pytest.mark.parametrize(("language", "sentences"), [
    ("en", ["Hello! ", "How are you? ", "I am fine."]),
    ("en", ["Mr. Smith met Dr. Brown at No. 5. ", "They talked."]),
    ("en", ["It costs $3.50. ", "It weighs 1.5 kg."]),
    ("en", ["We meet at 5 p.m. ", "Then we eat."]),
    ("en", ["He came at 5 p.m. on Jan. 5. ", "Good."]),
    ("en", ["The U.S. Army and the U.S. Navy, e.g. in Guam, came."]),
    ("en", ["J. R. R. Tolkien wrote it. ", "I read it."]),
    ("en", ["Well... maybe. ", "Or... ", "No."]),
    ("en", ['"Really?" she asked. ', '"Yes." ', "He left."]),
    ("en", ["1. Wash it. ", "2. Dry it."]),
    ("en", ["No. ", "I do not."]),
    ("en", ["See example.com for more. ", "Bye."]),
    ("en", ["What?! ", "(Indeed.) ", "Fine."]),
    ("en", ["first line\n", "second line\n\n", "third"]),
    ("pt", ["O Sr. Silva mora na Av. Paulista, nº 10. ", "A Dra. Ana também."]),
    ("pt-BR", ["Custa R$ 1.000,50. ", "É caro."]),
    ("es", ["¿Cómo está Ud. hoy? ", "¡Bien!"]),
    ("de", ["Das ist z. B. gut, d.h. besser. ", "Ja."]),
    ("zh", ["你好。", "我很好！", "价格是3.5元。", "“你呢？”", "他说。"]),  # noqa: RUF001
    ("ja", ["こんにちは。", "元気ですか？", "はい"]),  # noqa: RUF001
    ("hi", ["नमस्ते। ", "आप कैसे हैं?"]),
    ("ar", ["كيف حالك؟ ", "أنا بخير."]),
    ("el", ["Τι κάνεις; ", "Καλά."]),  # noqa: RUF001
    ("en", ["One; two."]),
    ("en", ["  Leading space. ", "End.  "]),
])  # fmt: skip
def test_sentences_end_where_a_reader_ends_them(language: str, sentences: list[str]) -> None:
    assert split_sentences("".join(sentences), language) == sentences


@given(text=st.one_of(st.text(), LIKELY), language=st.sampled_from(LANGUAGES), limit=st.integers(1, 60))
def test_joined_sentences_give_the_text_back(text: str, language: str, limit: int) -> None:
    sentences = split_sentences(text, language, limit=limit)
    assert "".join(sentences) == text
    assert all(0 < len(sentence) <= limit for sentence in sentences)


@given(text=LIKELY)
def test_no_sentence_is_only_space_beside_others(text: str) -> None:
    sentences = split_sentences(text, "en")
    assert len(sentences) <= 1 or not any(sentence.isspace() for sentence in sentences)


def test_endless_sentence_is_cut_at_a_comma() -> None:
    text = ("one two three four five, " * 40).strip()
    sentences = split_sentences(text, "en", limit=120)
    assert all(sentence.endswith(", ") for sentence in sentences[:-1])


def test_cut_does_not_part_a_letter_from_its_accent() -> None:
    sentences = split_sentences("e\u0301" * 50, "en", limit=7)
    assert all(not sentence.startswith("\u0301") for sentence in sentences)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        ".",
        " ",
        "a ",
        "a.b ",
        "A. ",
        '."',
        "中",
        "。",
        "\n",
        "e\u0301",
        "J.R. ",
        "\x00",
        "..a",
        "a. b",
        "'.\"",
        "; ",
    ],
)
def test_a_hundred_thousand_characters_are_cut(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    sentences = split_sentences(text, "en")
    assert "".join(sentences) == text
    assert max(map(len, sentences)) <= LONGEST_SENTENCE


def test_nothing_gives_nothing() -> None:
    assert split_sentences("", "en") == []
    assert split_sentences("  ", "en") == ["  "]
    with pytest.raises(ValueError, match="limit"):
        split_sentences("x", "en", limit=0)
