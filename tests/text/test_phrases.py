import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import TextSettings
from device.text.phrases import PhraseList
from device.text.room import TextRoom

NAMES = [
    "Dragoman", "Contoso", "Jessie", "Rehaan", "Kubernetes", "Vila Nova de Gaia", "ReSpeaker", "Siobhan O'Reilly",
    "metoprolol", "Nguyen", "Whisper", "Jetson", "Bergamot", "PostgreSQL", "Alentejo",
]  # fmt: skip


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("the drag a man is running", "the Dragoman is running"),
        ("the dragaman and kubernetis", "the Dragoman and Kubernetes"),
        ("siobhan oreily took metropolol.", "Siobhan O'Reilly took metoprolol."),
        ("con toso", "Contoso"),
        ("Jesse and Rehan", "Jessie and Rehaan"),
        ("the re-speaker, villa nova de gaia", "the ReSpeaker, Vila Nova de Gaia"),
        ("nguyen", "Nguyen"),
    ],
)
def test_close_misses_are_written_as_the_phrases_are(heard, meant):
    assert PhraseList(NAMES, "en").apply(heard) == meant


@pytest.mark.parametrize(
    "text",
    [
        "He whispers and bargains for a new yen in the contest.",
        "Jets and jelly, warm and gentle, a bigger pot.",
        "Contact the man, drag it; recent posts are good.",
        "Dragoman, Kubernetes",
    ],
)
def test_correct_words_are_never_rewritten(text):
    assert PhraseList(NAMES, "en").apply(text) == text


def test_a_common_word_that_sounds_like_a_phrase_stays():
    assert PhraseList(["weather"]).apply("whether or not") == "whether or not"


def test_the_longest_phrase_wins():
    assert PhraseList(["new", "New York"]).apply("new york is new") == "New York is new"


def test_words_of_two_sentences_are_no_phrase():
    assert PhraseList(["Contoso"], "en").apply("It is a con. Toso left.") == "It is a con. Toso left."


def test_short_phrases_only_get_their_capitals():
    assert PhraseList(["IoT", "AI"], "en").apply("iot and ai, but not it or aid") == "IoT and AI, but not it or aid"


def test_a_conversation_writes_its_phrases_in_partials_and_finals():
    room = TextRoom(TextSettings(phrases=("Contoso",)))
    assert room.partial("call con toso now", "en").shown == "call Contoso now"
    assert room.final("Call con toso now.", "en").shown == "Call Contoso now."


@given(st.text(), st.lists(st.text(max_size=12), max_size=4))
def test_any_text_and_phrases_are_survived(text, phrases):
    PhraseList(phrases, "en").apply(text)


def test_sentences_full_of_other_words_stay():
    words = ["drag", "man", "wisp", "jet", "sun", "posts", "berg", "amount", "villa", "nova", "gate"]
    phrases = PhraseList(NAMES, "en")
    for triple in itertools.permutations(words, 2):
        text = "the " + " and ".join(triple) + " were there"
        assert phrases.apply(text) == text


@pytest.mark.parametrize(
    ("phrase", "language", "text"),
    [
        ("Mosquitto", "en", "The mosquitoes here are a plague."),
        ("Mosquitto", "pt", "Os mosquitos mordem à noite."),
        ("Contoso", "es", "Es un coche más costoso."),
        ("ReSpeaker", "fr", "Il faut respecter les règles."),
    ],
)
def test_a_word_of_its_own_is_never_taken_for_a_phrase(phrase, language, text):
    assert PhraseList([phrase], language).apply(text) == text
