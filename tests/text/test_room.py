"""The text room by itself, and inside a conversation whose words are tones."""

import dataclasses

import numpy as np
import pytest

from device.config import Profanity, TextSettings
from device.events import Final, Partial, PartialTranslation, Speech, SpokenWord, Translation, UtteranceEnded
from device.text.room import TextRoom
from tests.support.engines import ToneRecognizer, silence, speak
from tests.test_interpreter import open_conversation

__all__ = ["open_conversation"]


def test_all_forms_of_a_final_are_kept():
    room = TextRoom(TextSettings(profanity=Profanity.MASKED))
    heard = room.final("Um, that shit costs twenty-five dollars.", "en")
    assert heard.shown == heard.forms.display == "That **** costs $25."
    assert heard.meant == "That shit costs twenty-five dollars.", "translators know words better than figures"
    assert heard.forms.lexical == "um that shit costs twenty-five dollars"
    assert heard.forms.itn == "that shit costs $25"
    assert heard.forms.masked_itn == "that **** costs $25"


def test_the_masked_form_is_masked_even_where_everything_else_is_raw():
    heard = TextRoom(TextSettings()).final("Shit.", "en")
    assert (heard.shown, heard.forms.itn, heard.forms.masked_itn) == ("Shit.", "shit", "****")


def test_what_is_masked_in_writing_is_not_spoken():
    text = "That shit works."
    spoken = {mode: TextRoom(TextSettings(profanity=mode)).spoken(text, "en") for mode in Profanity}
    assert spoken == {"raw": text, "masked": "That works.", "removed": "That works.", "tagged": text}


def test_words_with_times_hide_what_the_text_hides():
    words = (SpokenWord("that", 0, 1), SpokenWord("shit", 1, 2), SpokenWord("works", 2, 3))
    for mode, left in ((Profanity.REMOVED, ["that", "works"]), (Profanity.MASKED, ["that", "****", "works"])):
        room = TextRoom(TextSettings(profanity=mode))
        assert [w.text for w in room.words(words, room.final("That shit works.", "en"), "en")] == left


def test_a_number_that_is_hidden_cannot_be_read_anywhere():
    room = TextRoom(TextSettings(redact=("phone", "card", "email")))
    said = "Call me at two oh two four five six one one one one."
    heard = room.final(said, "en")
    assert heard.shown == heard.forms.display == "Call me at [phone]."
    assert "[phone]" in heard.forms.lexical
    assert "two" not in f"{heard.forms.lexical} {heard.forms.itn} {heard.forms.masked_itn}"
    words = tuple(SpokenWord(word, 0, 1) for word in said.split())
    assert room.words(words, heard, "en") == ()
    assert room.spoken("Ligue para 202-456-1111.", "en") == "Ligue para phone."
    for count in range(len(said.split())):
        shown = room.partial(" ".join(said.split()[:count]), "en").shown
        assert not any(digits in shown for digits in ("202", "456", "111", "two oh two", "four five six"))


def test_a_translation_that_grows_hides_digits_that_are_said_one_by_one():
    room = TextRoom(TextSettings(redact=("phone",)))
    assert room.shown_so_far("Ligue para dois zero dois quatro cinco", "pt") == "Ligue para […]"


def test_what_is_hidden_is_not_told_to_a_translator():
    room = TextRoom(TextSettings(redact=("card", "address", "name")))
    said = "My card is 4111 1111 1111 1111 and I live at 10 Downing Street."
    told = "My card is [card] and I live at [address]."
    assert room.final(said, "en").meant == room.typed(said, "en") == told
    assert room.typed("it is four one one one one one one one one one one one one one one one", "en") == "it is [card]"
    assert room.typed("It took two or three days.", "en") == "It took two or three days."
    assert room.typed("My name is Anna Smith.", "en") == "My name is [name]."
    assert "4111" not in room.partial("my card is 4111 1111", "en").meant
    assert "one one one" not in room.partial("my card is four one one one one one one", "en").meant


def test_a_number_that_stays_in_words_is_hidden_too():
    room = TextRoom(TextSettings(numbers=False, redact=("phone",)))
    heard = room.final("Call me at two oh two four five six one one one one.", "en")
    assert heard.shown == heard.meant == "Call me at [phone]."
    assert room.final("I have two or three.", "en").shown == "I have two or three."


def test_what_is_not_redacted_keeps_its_words():
    room = TextRoom(TextSettings(redact=("phone",)))
    heard = room.final("That is fine.", "en")
    words = (SpokenWord("That", 0, 1),)
    assert room.words(words, heard, "en") == words


def test_regions_of_a_language_share_its_words():
    room = TextRoom(TextSettings(profanity=Profanity.MASKED, profanity_words={"pt-BR": ("chato",)}))
    assert room.shown("Que chato, que merda!", "pt") == "Que *****, que *****!"


@pytest.fixture
def saying(monkeypatch):
    """Let tones stand for other words than numbers."""

    def use(words):
        real = ToneRecognizer.recognize

        def recognize(self, samples, *, final):
            heard = real(self, samples, final=final)
            return dataclasses.replace(heard, text=" ".join(words.get(w, w) for w in heard.text.split()))

        monkeypatch.setattr(ToneRecognizer, "recognize", recognize)

    return use


def test_a_conversation_shows_translates_and_speaks_readable_text(open_conversation, saying):
    saying({"one": "um", "two": "It", "three": "it", "four": "shit", "five": "works."})
    talk = open_conversation(text=TextSettings(profanity=Profanity.MASKED, profanity_words={"pt": ("shit",)}))
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([silence(0.5), speak("one two three four five"), silence(1.0)]))
    assert talk.interpreter.wait(10)
    (final,), (translation,) = talk.of(Final), talk.of(Translation)
    assert final.text == "It **** works."
    assert final.forms.lexical == "um it it shit works"
    assert translation.text == "IT **** WORKS."
    assert "".join(s.text for s in talk.of(Speech)) == "IT WORKS."
    assert not [e for e in talk.of(Partial, PartialTranslation) if "shit" in e.text.lower()]
    assert "um" not in " ".join(p.text for p in talk.of(Partial))
    assert "forms" not in final.to_dict()


def test_what_was_worked_out_in_the_pause_is_not_done_again_where_numbers_are_written(open_conversation, saying):
    saying({"one": "twenty", "two": "five", "three": "dollars", "four": "is", "five": "enough."})
    talk = open_conversation(text=TextSettings())
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([silence(0.5), speak("one two three four five"), silence(1.0)]))
    assert talk.interpreter.wait(10)
    assert talk.texts() == ["$25 is enough."]
    assert talk.engines.mt.asked.count("twenty five dollars is enough.") == 1
    assert talk.engines.tts.asked.count("TWENTY FIVE DOLLARS IS ENOUGH.") == 1


def test_a_translator_is_never_asked_for_what_is_hidden(open_conversation, saying):
    saying({"one": "Card", "two": "4111 1111", "three": "1111 1111", "four": "is", "five": "mine."})
    talk = open_conversation(text=TextSettings(redact=("card",)))
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([silence(0.5), speak("one two three four five"), silence(1.0)]))
    assert talk.interpreter.wait(10)
    assert [f.text for f in talk.of(Final)] == ["Card [card] is mine."]
    assert [t.text for t in talk.of(Translation)] == ["CARD [CARD] IS MINE."]
    assert "Card [card] is mine." in talk.engines.mt.asked
    assert not any("111" in asked for asked in [*talk.engines.mt.asked, *talk.engines.tts.asked])


def test_an_utterance_of_nothing_but_hesitation_gives_no_text(open_conversation, saying):
    saying({"one": "um", "two": "uh"})
    talk = open_conversation(text=TextSettings())
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([silence(0.5), speak("one two"), silence(1.0)]))
    assert talk.interpreter.wait(10)
    assert not talk.of(Final, Partial, Translation, Speech)
    assert [e.has_text for e in talk.of(UtteranceEnded)] == [False]
