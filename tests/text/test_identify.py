import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.text.identify import identify_text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Where is the station, please?"),
        ("pt", "Onde é a estação, por favor?"),
        ("es", "¿Dónde está la estación, por favor?"),
        ("fr", "Où est la gare, s'il vous plaît ?"),
        ("de", "Wo ist bitte der Bahnhof?"),
        ("it", "Dov'è la stazione, per favore?"),
        ("nl", "Waar is het station en hoe laat is het?"),
        ("pl", "Gdzie jest dworzec, proszę?"),
        ("ca", "On és l'estació? Gràcies per això amb els nens."),
        ("uk", "Привіт, як справи?"),
        ("ru", "Привет, это мы, как ты?"),
        ("fa", "سلام خوبی چطوری"),
        ("he", "שלום, מה שלומך?"),
        ("ja", "こんにちは世界。"),
        ("zh", "你好，世界。"),  # noqa: RUF001
        ("ko", "안녕하세요"),
        ("hi", "नमस्ते दुनिया"),
    ],
)
def test_the_language_of_a_sentence_is_told(language, text):
    assert identify_text(text)[0][0] == language


@pytest.mark.parametrize("text", ["", "123 45", "www.example.com", "😀", "Zzyzx"])
def test_text_that_tells_no_language_gives_none(text):
    assert identify_text(text) == []


def test_a_foreign_name_does_not_change_the_language():
    assert identify_text("We were in Αθήνα and in 北京 for the weekend.")[0][0] == "en"


@given(st.text())
def test_shares_fall_and_are_at_most_the_whole(text):
    shares = [share for _, share in identify_text(text)]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1.0 + 1e-9


def test_a_megabyte_is_told_by_its_beginning():
    assert identify_text("the house of the man " * 50_000)[0][0] == "en"
