import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import Redaction, TextSettings
from device.text.redaction import Redactor, redact, redact_so_far
from device.text.room import TextRoom

HIDDEN = [
    ("en", "Call 202-456-1111 or +44 20 7946 0958 now.", "Call [phone] or [phone] now."),
    ("en", "My card is 4111 1111 1111 1111, thanks.", "My card is [card], thanks."),
    ("en", "Write to jane.doe@example.com or jane dot doe at example dot com.", "Write to [email] or [email]."),
    ("en", "Pay GB82 WEST 1234 5698 7654 32 at the bank.", "Pay [iban] at the bank."),
    ("en", "My number is 536-90-4399.", "My number is [id]."),
    ("en", "I live at 221 Baker Street.", "I live at [address]."),
    ("en", "Ask at 221B Baker Street.", "Ask at [address]."),
    ("en", "Call 555-123-4567, (555) 123-4567 or 446-219-883.", "Call [phone], [phone] or [phone]."),
    (
        "en",
        "See http://joe:secret@example.com/ or http://joe:s@c@localhost:80/x.",
        "See http://[email]/ or http://[email]:80/x.",
    ),
    ("pt", "O meu NIF é 501 964 843 e o CPF 390.533.447-05.", "O meu NIF é [id] e o CPF [id]."),
    ("pt", "Ligue 912 345 678 ou vá à Rua Augusta, 24.", "Ligue [phone] ou vá à [address]."),
    ("es", "Mi DNI es 54362315K y vivo en la calle Mayor 12.", "Mi DNI es [id] y vivo en la [address]."),
    ("es", "La cuenta es ES77 1234 1234 1612 3456 7890.", "La cuenta es [iban]."),
    ("fr", "Appelez le 01 23 45 67 89, au 12 rue de Rivoli.", "Appelez le [phone], au [address]."),
    ("de", "Ich wohne in der Hauptstraße 5, Nummer 36 574 261 809.", "Ich wohne in der [address], Nummer [id]."),
    ("it", "Codice RCCMNL83S18D969H, via Roma 10.", "Codice [id], [address]."),
]

SCRIPTS = [
    ("ja", "メールはtaro@example.jpです", "メールは[email]です"),
    ("zh", "邮箱是a.b@qq.com谢谢", "邮箱是[email]谢谢"),
    ("zh", "写信到张三@例子.中国", "[email]"),
    ("hi", "मेरा नंबर 98765 43210 है", "मेरा नंबर [phone] है"),
    ("en", "Write to müller@köln.de please.", "Write to [email] please."),
]


@pytest.mark.parametrize(("language", "text", "left"), SCRIPTS)
def test_other_scripts_keep_the_words_beside_an_address(language, text, left):
    assert redact(text, language, Redaction) == left


KEPT = [
    ("en", "In 1984 it cost $25,000 for 123,456 people at 5:30 p.m. on 12-05-2020."),
    ("en", "Card 4111 1111 1111 1112 has a wrong digit, part 0000-0000."),
    ("en", "We met at the dot on the map at noon; version 3.11.7, room 412."),
    ("pt", "São 1.234.567 pessoas, 25,50 € e o capítulo 12."),
    ("es", "La calle es larga y cuesta 12 €."),
    ("de", "Der Weg ist 5 Kilometer lang, die Burg wurde 1649 gebaut."),
    ("it", "Via libera alle 10 persone di ieri."),
]


@pytest.mark.parametrize(("language", "text", "left"), HIDDEN)
def test_what_tells_who_somebody_is_goes_out(language, text, left):
    assert redact(text, language, Redaction) == left


@pytest.mark.parametrize(("language", "text"), KEPT)
def test_other_numbers_stay(language, text):
    assert redact(text, language, Redaction) == text


def test_only_what_is_asked_for_goes_out():
    text = "Call 202-456-1111 or mail a.b@c.de."
    assert redact(text, "en", ()) == text
    assert redact(text, "en", [Redaction.EMAIL]) == "Call 202-456-1111 or mail [email]."


def test_a_number_that_is_being_said_is_hidden_before_it_is_whole():
    assert redact_so_far("call 202-45", "en", [Redaction.PHONE]) == "call […]"
    assert redact_so_far("room 41", "en", [Redaction.PHONE]) == "room 41"


@given(st.text(), st.sampled_from(["en", "pt", "es", "fr", "de", "it", "zh", "xx"]))
def test_any_text_is_survived(text, language):
    redact(text, language, Redaction)


@pytest.mark.parametrize("piece", ["1 ", "12345 ", "a@", "x", "a dot ", "DE12 ", "rua a ", "\u200f5", "street 5 "])
def test_a_long_text_passes(piece):
    redact(piece * (100_000 // len(piece)), "pt", Redaction)


def test_a_megabyte_loses_nothing_but_what_is_hidden():
    text = "Das ist ein langer Satz ohne Nummern. " * 26_000 + "Mail an a.b@example.com!"
    assert redact(text, "de", [Redaction.EMAIL, Redaction.IBAN]) == text.replace("a.b@example.com", "[email]")


def test_a_translation_hides_the_number_that_the_transcript_hid():
    room = TextRoom(TextSettings(redact=("phone",)))
    assert room.final("Call 202-456-1111.", "en").shown == "Call [phone]."
    assert room.shown("Ligue para 202-456-1111.", "pt") == "Ligue para [phone]."
    assert room.shown("Ligue para 202 456 1112.", "pt") == "Ligue para 202 456 1112.", "nobody said that one"


def test_a_translation_hides_the_address_that_the_transcript_hid():
    redactor = Redactor([Redaction.ADDRESS])
    assert redactor.hide("I live at 10 Downing Street, London.", "en") == "I live at [address], London."
    assert redactor.hide("Moro no 10 Downing Street, em Londres.", "pt") == "Moro no [address], em Londres."


def test_more_digits_than_anybody_says_are_hidden_without_being_looked_up(monkeypatch):
    monkeypatch.setattr(phonenumbers, "PhoneNumberMatcher", None)
    text = "1234567890 " * 1000
    assert redact(text, "en", [Redaction.PHONE]).strip() == "[phone]"
