"""The sets of `make bench-text` and what the text room makes of them."""

import tomllib

from tools.bench_text import SETS
from tools.bench_text_rules import (
    disturbed,
    measure_annotated,
    measure_fluency,
    measure_names,
    measure_numbers,
    measure_phrases,
    measure_profanity,
    plain,
)

ASKED = tomllib.loads(SETS.read_text(encoding="utf-8"))


def test_disfluencies_are_found_in_every_language():
    measured = measure_fluency(ASKED["fluency"], None, None)
    assert set(measured) == {f"{tag}, written" for tag in ("en", "pt", "es", "fr", "de", "it")}
    assert all(row["precision"] >= 0.95 and row["recall"] >= 0.9 for row in measured.values())


def test_numbers_of_every_class_are_written_exactly():
    measured = measure_numbers(ASKED["numbers"])
    assert len(measured) >= 9
    assert {name: row["wrong"] for name, row in measured.items() if row["wrong"]} == {}


def test_offensive_sentences_are_noticed_in_every_language():
    assert all(row["recall"] == 1.0 for row in measure_profanity(ASKED["profanity"], None, None).values())


def test_misheard_phrases_are_put_right():
    done, asked = measure_phrases(ASKED["phrases"], None, None)["en"]["put right"].split(" of ")
    assert int(done) >= 0.9 * int(asked)


def test_constructed_sentences_are_the_same_every_time_and_hold_the_original():
    sentences = ["The children play in the garden of the old house by the river."] * 20
    made = list(disturbed(sentences, "en"))
    assert made == list(disturbed(sentences, "en"))
    assert any(spoken != meant for spoken, meant in made)
    assert all(len(spoken.split()) >= len(meant.split()) for spoken, meant in made)


def test_annotated_sentences_are_read_as_spoken_and_as_meant():
    assert plain("{F Uh, } I was, [ I was + {E I mean, } she was ] there.") == (
        "Uh, I was, I was I mean, she was there.",
        "I was, she was there.",
    )
    measured = measure_annotated(ASKED["annotated"])
    assert all(row["precision"] >= 0.95 and row["recall"] >= 0.8 for row in measured.values())


def test_most_names_are_found_and_hardly_anything_else():
    measured = measure_names(ASKED["names"])
    assert set(measured) == {"en", "pt", "es", "fr", "de", "it"}
    assert all(row["precision"] >= 0.9 and row["recall"] >= 0.85 for row in measured.values())
