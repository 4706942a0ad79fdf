import pytest

from device.config import ConfigError, load
from device.engines.protocols import Translated
from device.engines.routes import Route
from device.engines.scheduler import Meter
from device.text.glossary import Glossary
from device.translation import Leg, TextTranslator

WORDS = {
    "the": "o",
    "gateway": "portal",
    "gateways": "portais",
    "is": "está",
    "down": "baixo",
    "dog": "cão",
    "dogs": "cães",
}


def word_by_word(text):
    return " ".join(WORDS.get(word.lower(), word) for word in text.split())


def test_the_models_own_word_for_a_term_is_replaced():
    terms = Glossary({"gateway": "porta de ligação"}, "en", "pt")
    assert terms.translate("the Gateway is down", word_by_word) == "o porta de ligação está baixo"


def test_a_translation_that_has_the_term_already_is_left_to_the_model():
    terms = Glossary({"dogs": "cães", "gateway": "portal"}, "en", "pt")
    asked = []

    def translate(text):
        asked.append(text)
        return word_by_word(text)

    assert terms.translate("the dogs", translate) == "o cães"
    assert asked == ["the dogs"]


def test_another_form_of_the_wanted_term_counts():
    terms = Glossary({"gateway": "portal"}, "en", "pt")
    assert terms.translate("x gateway", lambda text: "dois portais" if text != "gateway" else "!") in (
        "dois portais", "Dois portais",
    )  # fmt: skip


def test_a_term_that_the_model_hides_is_put_in_its_place():
    terms = Glossary({"sprint": "corrida"}, "en", "pt")

    def translate(text):
        return text.replace("we sprint", "nós apressamos").replace("we www", "nós www")

    assert terms.translate("we sprint", translate) == "nós corrida"


def test_parts_of_words_are_no_terms_and_the_longest_term_wins():
    terms = Glossary({"gate": "portão", "gate way": "caminho do portão"}, "en", "pt")
    assert terms.translate("the gateway", word_by_word) == "o portal"
    assert terms.translate("gate way", lambda text: text) == "caminho do portão"


class Speller:
    """Translates by telling where it was."""

    def __init__(self, name):
        self.model_id, self.source, self.target, self.name = name, "", "", name

    def translate(self, sentences):
        return [Translated(s if "www" in s else f"{self.name}({s})") for s in sentences]


class OnlyMeter:
    meter = Meter()


def route(glossary, *names):
    legs = [Leg(OnlyMeter(), Speller(name)) for name in names[1:]]
    return TextTranslator(names[-1], Route(names, names[1:]), legs, glossary)


def test_terms_are_kept_through_pivots():
    assert route({"zh>pt": {"北京": "Pequim"}}, "zh", "en", "pt").translate("北京").text == "Pequim"
    assert route({"en>pt": {"en(x)": "y"}}, "zh", "en", "pt").translate("x").text == "y"
    assert route({"zh>pt": {"北京": "Pequim"}}, "zh", "en").translate("北京").text == "en(北京)"


@pytest.mark.parametrize(
    ("pair", "terms", "hint"),
    [
        ("en>pt", {"a": "b", "b": "c", "c": "a"}, "circle"),
        ("en>pt", {"a": "b", "A ": "c"}, "twice"),
        ("en>pt", {"a": " "}, "empty"),
        ("en-pt", {"a": "b"}, "en>pt"),
        ("en>xq", {"a": "b"}, "tag"),
    ],
)
def test_a_glossary_that_nobody_can_follow_is_refused(pair, terms, hint):
    with pytest.raises(ConfigError, match=hint):
        load(None, {"text.glossary": {pair: terms}}, environ={})


def test_terms_that_stay_themselves_and_chains_are_fine():
    loaded = load(None, {"text.glossary": {"en>pt": {"Dragoman": "Dragoman", "a": "b", "b": "c"}}}, environ={})
    assert loaded.settings.text.glossary["en>pt"]["Dragoman"] == "Dragoman"


@pytest.mark.models
def test_a_real_model_keeps_to_the_glossary(model_dir):
    from device.config import ModelSettings, Settings
    from device.engines.registry import Engines

    model_dir("mt-bergamot-en-pt")
    terms = {"en>pt": {"gateway": "porta de ligação", "sprint": "corrida curta", "dog": "cachorro"}}
    with Engines.open(Settings(models=ModelSettings(offline=True))) as engines:
        (translator,) = TextTranslator.for_targets(engines, "en", ["pt"], terms)
        answer = translator.translate("The gateway is down. Plan the next sprint! The dog sleeps.").text
    assert "porta de ligação" in answer
    assert "corrida curta" in answer
    assert "cachorro" in answer.lower()
