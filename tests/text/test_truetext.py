import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import TextSettings
from device.text.punctuation import lacks_writing
from device.text.truetext import clean_characters, display, display_so_far, itn, lexical

ALL = TextSettings()
LANGUAGES = ["en", "pt", "es", "fr", "de", "it", "zh", "ar", "ru"]


@pytest.mark.parametrize(
    ("language", "heard", "shown"),
    [
        ("en", "SO UM I WENT TO LONDON IN NINETEEN NINETY NINE BUT I DID NOT LIKE IT",
         "So I went to London in 1999, but I did not like it."),
        ("en", "WHERE ARE YOU", "Where are you?"),
        ("en", "i'll be there at five thirty p m", "I'll be there at 5:30 p.m."),
        ("pt", "o que é isto", "O que é isto?"),
        ("es", "dónde está el baño", "¿Dónde está el baño?"),
        ("fr", "je voudrais vingt-cinq euros", "Je voudrais 25 €."),
        ("de", "wie heißen sie", "Wie heißen sie?"),
        ("it", "dove siamo", "Dove siamo?"),
        ("ru", "привет как дела", "Привет как дела."),
        ("zh", "你好吗", "你好吗"),
    ],
)  # fmt: skip
def test_text_without_marks_and_capitals_gets_them(language, heard, shown):
    assert lacks_writing(heard)
    assert display(heard, language, ALL) == shown


@pytest.mark.parametrize(
    "text", ["It was the best of times.", "OK.", "Hi Bob", "مرحبا، كيف حالك؟", "你好。", "5:30 p.m.", ""]
)
def test_text_with_marks_or_capitals_stays_as_its_recogniser_wrote_it(text):
    assert display(text, "en", ALL) == text


def test_every_part_can_be_switched_off():
    off = TextSettings(fluent=False, numbers=False, punctuation=False)
    heard = "um I I HAVE twenty five dollars"
    assert display(heard, "en", off) == display_so_far(heard, "en", off) == heard
    assert display(heard, "en", TextSettings()) == "I HAVE $25"


def test_words_alone_and_with_numbers_are_kept_beside_what_is_shown():
    heard = "Um, it costs twenty-five dollars."
    assert lexical(heard) == "um it costs twenty-five dollars"
    assert itn(heard, "en", ALL) == "it costs $25"


@given(
    st.lists(st.sampled_from(["I", "UM", "WANT", "TO", "THE", "GO", "TWENTY", "FIVE", "LONDON", "AND"]), max_size=12)
)
def test_a_growing_transcript_without_marks_never_takes_a_word_back(words):
    shown = [display_so_far(" ".join(words[:n]), "en", ALL) for n in range(len(words) + 1)]
    for before, after in itertools.pairwise(shown):
        assert after.startswith(before)


@pytest.mark.parametrize("piece", ["um ", "one ", "five hundred ", "x", "[cough ", "a, ", "\u200b", "אב ", "I mean "])
@pytest.mark.parametrize("language", ["en", "zz"])
def test_a_megabyte_of_anything_passes(piece, language):
    text = piece * (1_000_000 // len(piece))
    assert len(display(text, language, ALL)) <= len(text) + 1
    display_so_far(text, language, ALL)
    itn(text, language, ALL)


@given(st.text(), st.sampled_from(LANGUAGES))
def test_any_text_is_survived(text, language):
    text = clean_characters(text)
    for shown in (display(text, language, ALL), display_so_far(text, language, ALL), itn(text, language, ALL)):
        assert "\u200b" not in shown


def test_joiners_that_scripts_and_emoji_need_are_kept():
    for text in ("👩\u200d🚀 می\u200cروم", "\u200fשלום\u200e abc"):  # noqa: RUF001
        assert clean_characters(text) == text


@pytest.mark.parametrize(
    ("language", "heard", "shown"),
    [
        ("en", "however anna smith moved from the united states to france with her nurse",
         "However, Anna Smith moved from the United States to France with her nurse."),
        ("en", "will you mark the date or wait till summer", "Will you mark the date or wait till summer?"),
        ("pt", "no entanto a maria silva mora no reino unido", "No entanto, a Maria Silva mora no Reino Unido."),
        ("es", "quiero que sean las tres y que mira el campo", "Quiero que sean las tres y que mira el campo."),
        ("de", "die vereinigten staaten suchen freundschaft", "Die Vereinigten Staaten suchen Freundschaft."),
        ("it", "sarà una bella giornata", "Sarà una bella giornata."),
    ],
)  # fmt: skip
def test_names_of_countries_and_people_get_their_capitals_and_other_words_none(language, heard, shown):
    assert display(heard, language, ALL) == shown
