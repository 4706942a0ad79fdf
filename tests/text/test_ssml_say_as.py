"""What is told to be a date, a sum or a number is read so; what is none is read as any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.text.ssml_say_as import KINDS, say_as


@pytest.mark.parametrize(
    ("text", "kind", "form", "language", "spoken"),
    [
        ("abc1@", "characters", "", "en", "A, B, C, one, at"),
        ("12345", "cardinal", "", "pt", "doze mil trezentos e quarenta e cinco"),
        ("-3", "number", "", "de", "minus drei"),
        ("3", "ordinal", "", "es", "tercero"),
        ("3rd", "ordinal", "", "en", "third"),
        ("1234", "digits", "", "fr", "un deux trois quatre"),
        ("3 1/2", "fraction", "", "en", "three and one half"),
        ("10/11/2026", "date", "dmy", "en-US", "November tenth, twenty twenty-six"),
        ("10/11/2026", "date", "mdy", "en-US", "October eleventh, twenty twenty-six"),
        ("2026-11", "date", "ym", "de", "November zweitausendsechsundzwanzig"),
        ("5-3", "date", "dm", "it", "cinque marzo"),
        ("1984", "date", "y", "en", "nineteen eighty-four"),
        ("2:30pm", "time", "hms12", "en", "two thirty PM"),
        ("14:05", "time", "hms12", "en", "two oh five PM"),
        ("14:05", "time", "hms24", "pt", "catorze e cinco"),
        ("(202) 555-0123", "telephone", "1", "en", "plus one, two zero two, five five five, zero one two three"),
        ("99.9 USD", "currency", "", "en", "ninety-nine US dollars and ninety cents"),
        ("1234,50", "currency", "EUR", "de", "eintausendzweihundertvierunddreißig Euro fünfzig"),
        ("99.90", "currency", "BRL", "pt", "noventa e nove reais e noventa centavos"),
        ("150th Main St.", "address", "", "en", "one hundred fiftieth Main Street."),
        ("abc", "digits", "", "pl", "a b c"),
        ("m²", "characters", "", "en", "M, ²"),
    ],
)
def test_it_is_read_as_what_it_is_told_to_be(text, kind, form, language, spoken):
    assert say_as(text, kind, form, language) == spoken


@pytest.mark.parametrize(
    ("text", "kind", "form"),
    [("today", "date", "dmy"), ("99/99/2026", "date", "dmy"), ("noon", "time", ""), ("much", "currency", "USD"),
     ("some", "fraction", ""), ("first", "ordinal", "")],
)  # fmt: skip
def test_what_it_is_not_is_read_as_any_text(text, kind, form):
    assert say_as(text, kind, form, "pl") == text


@given(
    st.text(max_size=30), st.sampled_from(sorted(KINDS)), st.text(max_size=4), st.sampled_from(["en", "pt", "de", "pl"])
)
def test_any_text_can_be_told_to_be_anything(text, kind, form, language):
    assert isinstance(say_as(text, kind, form, language), str)
