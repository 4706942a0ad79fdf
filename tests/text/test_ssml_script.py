"""A document becomes sentences of words, each in its own manner."""

# ruff: noqa: RUF001 - phonetic letters look like others
import pytest

from device.text.ssml import Bookmark, Pause, parse_ssml
from device.text.ssml_script import LONGEST, PARAGRAPH_PAUSE, Sentence, write_script
from device.text.ssml_values import SsmlError


def script(inner):
    document = f'<speak xml:lang="en-US" xmlns:mstts="m">{inner}</speak>'
    return list(write_script(parse_ssml(document), lambda manner: manner.language or "en-US"))


def sentences(inner):
    return [item for item in script(inner) if isinstance(item, Sentence)]


def spoken(inner):
    return [" ".join(word.spoken for word in sentence.words) for sentence in sentences(inner)]


def test_sentences_are_found_and_abbreviations_end_none():
    assert spoken("Dr. Smith came. It cost $5.") == ["Doctor Smith came.", "It cost five dollars."]


def test_a_change_of_manner_does_not_cut_a_sentence():
    (sentence,) = sentences("We <prosody rate='slow'>really</prosody> <emphasis>mean</emphasis> it.")
    assert [word.text for word in sentence.words] == ["We", "really", "mean", "it."]
    assert [word.manner.rate < 1 for word in sentence.words] == [False, True, True, False]


def test_a_change_of_voice_does():
    assert spoken("<voice name='a'>One</voice><voice name='b'>two</voice>") == ["One", "two"]


def test_what_is_said_otherwise_is_one_word_with_the_sign_after_it():
    (sentence,) = sentences("See the <sub alias='World. Wide Web'>WWW</sub>, now.")
    assert [(word.text, word.spoken) for word in sentence.words][2] == ("WWW,", "World. Wide Web,")


def test_phonemes_are_kept_with_their_word():
    (sentence,) = sentences("a <phoneme ph='təˈmeɪtoʊ'>tomato</phoneme>.")
    assert (sentence.words[1].text, sentence.words[1].phonemes) == ("tomato.", "təˈmeɪtoʊ")


def test_bookmarks_know_their_word():
    first, second = sentences("One <bookmark mark='a'/>two. <bookmark mark='b'/>Three.")
    assert first.marks == ((1, "a"), (2, "b"))  # b stands where the next sentence begins
    assert second.marks == ()


def test_breaks_and_bookmarks_between_sentences_stand_by_themselves():
    found = script("One.<break time='1s'/><bookmark mark='a'/>Two.")
    assert found[1:3] == [Pause(1.0), Bookmark("a")]


def test_paragraphs_are_farther_apart_than_sentences():
    pauses = [s.pause for s in sentences("<p><s>One</s><s>two</s></p><p>Three.</p>")]
    assert pauses[0] < pauses[1] == PARAGRAPH_PAUSE


def test_the_document_may_say_how_far_sentences_are_apart():
    document = "<mstts:silence type='Sentenceboundary' value='2s'/>One. Two."
    assert [s.pause for s in sentences(document)] == [2.0, 2.0]


def test_a_long_sentence_is_cut_and_loses_no_word():
    text = " ".join(f"word{'y' * (n % 7)}," if n % 9 == 0 else "word" for n in range(200))
    found = sentences(text)
    assert max(sum(len(w.spoken) + 1 for w in s.words) for s in found) <= LONGEST + 1
    assert " ".join(w.text for s in found for w in s.words) == text
    assert [s.first for s in found].count(True) == [s.last for s in found].count(True)


def test_nothing_to_say_makes_no_sentence():
    assert script("<p> … </p>") == []
    assert script("…<bookmark mark='a'/>") == [Bookmark("a")]


HEAVY = {
    "text": "One word. " * 40_000,
    "one word": "x" * 400_000,
    "digits": "7" * 100_000,
    "comments": "a<!---->" * 50_000,
    "emphases": "<emphasis>a</emphasis>b. " * 14_000,
    "bookmarks": "a <bookmark mark='m'/>" * 18_000,
    "substitute": f"<sub alias='{'word ' * 80_000}'>x</sub>",
    "breaks": "a<break/>" * 40_000,
}


@pytest.mark.parametrize("name", HEAVY)
def test_a_large_document_is_read_in_short_sentences(name):
    found = sentences(HEAVY[name])
    assert max(sum(len(w.spoken) + 1 for w in s.words) for s in found) <= LONGEST + 1
    assert sum(len(s.words) for s in found) > 1 or name == "comments"


def test_no_bookmark_is_lost():
    found = script("a <bookmark mark='m'/>" * 500)
    names = [i for i in found if isinstance(i, Bookmark)] + [
        m for s in found if isinstance(s, Sentence) for m in s.marks
    ]
    assert len(names) == 500


def test_a_word_with_too_many_phonemes_is_refused():
    with pytest.raises(SsmlError, match="phonemes"):
        script(f"<phoneme ph='{'a' * 10_000}'>x</phoneme>")
