import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.config import Redaction, TextSettings
from device.text.names import find_names
from device.text.redaction import Redactor, redact
from device.text.room import TextRoom

NAME = [Redaction.NAME]
HIDDEN = [
    ("en", "My name is Hannah Whitfield, call Dr. Adeyemi.", "My name is [name], call Dr. [name]."),
    ("en", "Yesterday Oliver's brother met J. R. Hartley.", "Yesterday [name]'s brother met [name]."),
    ("pt", "O senhor Nogueira e a Inês Carvalho vêm amanhã.", "O senhor [name] e a [name] vêm amanhã."),
    ("es", "Me llamo Xóchitl y busco a Carmen Ortega.", "Me llamo [name] y busco a [name]."),
    ("fr", "Madame Vasseur a appelé Julien.", "Madame [name] a appelé [name]."),
    ("de", "Herr Demirci kennt Katharina Weiß.", "Herr [name] kennt [name]."),
    ("it", "Ieri Marco ha chiamato la dottoressa Pellegrini.", "Ieri [name] ha chiamato la dottoressa [name]."),
    ("en", "my name is anna smith and i live here", "my name is [name] and i live here"),
]
KEPT = [
    ("en", "May I ask when you will mark the date? Hope is a good thing. Will you come to Paris in June?"),
    ("en", "The University of Victoria is near Baker Street, and Jordan borders Israel."),
    ("pt", "A Rua Augusta e o Hospital de Santa Maria ficam em Lisboa. A rosa é uma flor."),
    ("es", "Santiago es la capital de Chile. Los dolores de cabeza son frecuentes."),
    ("de", "Der Ernst der Lage ist klar. Die Rose ist eine Blume, der Wolf lebt im Wald."),
    ("en", "My IBAN is new, and the IBAN is long."),
    ("en", "it is a small rose and he will mark it"),
]


@pytest.mark.parametrize(("language", "text", "left"), HIDDEN)
def test_names_of_people_go_out(language, text, left):
    assert redact(text, language, NAME) == left


@pytest.mark.parametrize(("language", "text"), KEPT)
def test_ordinary_words_and_places_stay(language, text):
    assert redact(text, language, NAME) == text


def test_names_stay_unless_they_are_asked_for():
    everything_else = [kind for kind in Redaction if kind is not Redaction.NAME]
    assert redact("My name is Anna Smith.", "en", everything_else) == "My name is Anna Smith."


def test_a_name_that_was_introduced_is_known_from_then_on_in_other_languages_too():
    redactor = Redactor(NAME)
    assert redactor.hide("My name is Quorbal Zint.", "en") == "My name is [name]."
    assert redactor.hide("A conta de Zint está paga.", "pt") == "A conta de [name] está paga."


def test_no_form_of_a_final_tells_a_name():
    room = TextRoom(TextSettings(redact=("name",)))
    heard = room.final("Um, my name is Hannah Whitfield.", "en")
    assert heard.shown == heard.forms.display == "My name is [name]."
    assert heard.forms.lexical == heard.forms.itn == heard.forms.masked_itn == "my name is [name]"
    assert room.shown("Hannah Whitfield chegou.", "pt") == "[name] chegou."
    assert "Hannah" not in room.shown_so_far("Chamo-me Hannah Whit", "pt")


@given(st.text(), st.sampled_from(["en", "pt", "de", "zh", "xx"]))
def test_any_text_is_survived(text, language):
    spans, _ = find_names(text, language)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert spans == sorted(spans)
