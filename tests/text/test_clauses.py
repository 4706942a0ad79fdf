"""Clauses for speech: cut where one breathes, never inside a number, never into crumbs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.text.clauses import FEWEST_WORDS, LONGEST_FIRST_CLAUSE, split_clauses
from device.text.sentences import split_sentences

LANGUAGES = ["en", "pt", "zh", "fr", "xx"]
TOKENS = """the cat sat and but which because e mas que o de uma garden Dr. No. 5 1,000 3,5 10:30 3.14
yes, no; well: — - (so) “what” end. Why? ok! 你好，世界。"""  # noqa: RUF001
WORDS = st.lists(st.sampled_from(TOKENS.split()), max_size=40).map(" ".join)


@pytest.mark.parametrize(("language", "clauses"), [
    ("en", ["When the rain finally stopped, ", "we went outside to look at the garden, ", "which had been flooded."]),
    ("en", ["Yes, I know that you came ", "and that you waited for me at the station."]),
    ("en", ["It costs 1,000 dollars at 10:30, 3, 4 and 5."]),
    ("en", ["Dr. Brown, who lives at No. 5, ", "is here — or so he says — ", "today; we know."]),
    ("pt", ["Olá, meu nome é João, ", "eu moro em São Paulo ", "e trabalho numa empresa de computadores."]),
    ("pt", ["Custa 3,5 milhões de reais, ", "mais ou menos isso."]),
    ("zh", ["今天天气很好，", "我们去公园吧，你说呢？", "好。"]),  # noqa: RUF001
    ("en", ["One sentence is here. ", "Another one follows it."]),
    ("en", ["No."]),
])  # fmt: skip
def test_clauses_end_where_a_reader_breathes(language: str, clauses: list[str]) -> None:
    assert split_clauses("".join(clauses), language) == clauses


@given(text=st.one_of(st.text(), WORDS), language=st.sampled_from(LANGUAGES))
def test_joined_clauses_give_the_text_back(text: str, language: str) -> None:
    assert "".join(split_clauses(text, language)) == text


@given(text=WORDS, language=st.sampled_from(["en", "pt", "fr"]))
def test_numbers_and_abbreviations_stay_whole(text: str, language: str) -> None:
    clauses = split_clauses(text, language)
    for token in ("1,000", "3,5", "10:30", "3.14", "Dr. 5"):
        assert sum(clause.count(token) for clause in clauses) == text.count(token)


@given(text=WORDS, language=st.sampled_from(["en", "pt", "fr"]))
def test_no_clause_is_a_crumb_unless_its_sentence_is(text: str, language: str) -> None:
    for sentence in split_sentences(text, language):
        clauses = split_clauses(sentence, language)
        for clause in clauses:
            assert len(clauses) == 1 or len(re.findall(r"\w+", clause)) >= FEWEST_WORDS


def test_first_clause_of_a_long_sentence_is_short() -> None:
    text = "I told him that we would be late and he answered that he did not mind because the train was late as well"
    clauses = split_clauses(text, "en")
    assert len(clauses[0]) <= LONGEST_FIRST_CLAUSE
    assert len(clauses) > 1


@pytest.mark.parametrize("piece", ["a", "a, ", "and ", ", ", "1,", "— ", "，", "Dr. "])  # noqa: RUF001
def test_a_hundred_thousand_characters_are_cut(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    assert "".join(split_clauses(text, "en")) == text


def test_nothing_gives_nothing() -> None:
    assert split_clauses("", "en") == []
