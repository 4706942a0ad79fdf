"""Sentences begin with a capital, also where a recogniser forgot it."""

import pytest

from device.text.punctuation import begin_sentences, punctuate


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("It was the best of times. it was the worst.", "It was the best of times. It was the worst."),
        ("Will you come? we wait, all of us.", "Will you come? We wait, all of us."),
        ("It costs approx. five euros, etc. and so on.", "It costs approx. five euros, etc. and so on."),
        ("See example.com or the U.S. embassy.", "See example.com or the U.S. embassy."),
    ],
)
def test_every_sentence_begins_with_a_capital(text, begun):
    assert begin_sentences(text, "en") == begun


@pytest.mark.parametrize(
    ("language", "heard", "written"),
    [
        ("fr", "je viens de l'iran et d'italie", "Je viens de l'Iran et d'Italie."),
        ("it", "vengo dall'italia e dalla francia", "Vengo dall'Italia e dalla Francia."),
        ("en", "o'clock and it's may", "O'clock and it's may."),
    ],
)
def test_countries_have_their_capital_behind_an_article(language, heard, written):
    assert punctuate(heard, language) == written


@pytest.mark.parametrize(
    "written",
    [
        "Die große Stadt liegt am Meer.",
        "Die alten Männer sitzen auf der Bank, weil die Kinder spielen.",
        "Das kostet fünf Euro.",
        "Das glaube ich nicht.",
        "Kannst du mir das bitte geben?",
        "Ich möchte ein kleines Zimmer, damit die Ärzte kommen können.",
        "Der Mann weiß, dass das Essen gut war.",
    ],
)
def test_german_nouns_and_subordinate_clauses_are_written(written):
    assert punctuate(written.lower().replace(",", "").rstrip(".?"), "de") == written
