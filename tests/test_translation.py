import itertools
import threading

import pytest

from device.engines.protocols import Translated
from device.engines.routes import Route
from device.engines.scheduler import Meter
from device.translation import TextTranslator


class Marking:
    """Puts its target around every sentence, so that the way is seen in the text."""

    def __init__(self, source, target, confidence=-0.1):
        self.model_id, self.source, self.target, self.confidence = f"{source}-{target}", source, target, confidence
        self.calls = []
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def translate(self, sentences):
        assert self.gate.wait(60)
        self.calls.append(list(sentences))
        if self.error:
            raise self.error
        return [Translated(f"{self.target}({s})" if s else "", self.confidence) for s in sentences]


class Routes:
    """Engines with English as the pivot of everything."""

    def __init__(self):
        self.meter = Meter()
        self.models = {m.model_id: m for m in (Marking("zh", "en", -0.5), Marking("en", "pt"), Marking("en", "es"))}
        self.loaded = []

    def route(self, source, target):
        if source == target:
            return Route((target,), ())
        languages = (source, target) if "en" in (source, target) else (source, "en", target)
        return Route(languages, tuple(f"{a}-{b}" for a, b in itertools.pairwise(languages)))

    def translator(self, model_id):
        self.loaded.append(model_id)
        return self.models[model_id]


@pytest.fixture
def engines():
    return Routes()


def test_a_route_is_run_leg_by_leg_and_named(engines):
    (translator,) = TextTranslator.for_targets(engines, "zh", ["pt"])
    assert translator.route == ("zh", "en", "pt")
    assert translator.models == ("zh-en", "en-pt")
    answer = translator.translate("你好。再见。")
    assert answer.text == "pt(en(你好。)) pt(en(再见。))"
    assert answer.confidence == -0.5, "a route is as sure as its weakest leg"


def test_targets_share_the_first_leg(engines):
    pt, es = TextTranslator.for_targets(engines, "zh", ["pt", "es"])
    assert engines.loaded == ["zh-en", "en-pt", "en-es"]
    assert pt.translate("你好。").text == "pt(en(你好。))"
    assert es.translate("你好。").text == "es(en(你好。))"
    assert engines.models["zh-en"].calls == [["你好。"]]


def test_a_sentence_is_translated_once_and_new_ones_together(engines):
    (translator,) = TextTranslator.for_targets(engines, "en", ["pt"])
    translator.translate("One. Two.")
    translator.translate("One. Two. Three. Four.")
    assert engines.models["en-pt"].calls == [["One.", "Two."], ["Three.", "Four."]]


def test_the_same_language_is_left_as_it_is(engines):
    (translator,) = TextTranslator.for_targets(engines, "en", ["en"])
    assert translator.translate("As it is. ").text == "As it is. "


def test_text_with_nothing_to_translate_stays(engines):
    (translator,) = TextTranslator.for_targets(engines, "en", ["pt"])
    assert translator.translate("").text == ""
    assert translator.translate(" \n").text == " \n"


def test_two_callers_of_the_same_sentence_share_the_work(engines):
    (translator,) = TextTranslator.for_targets(engines, "en", ["pt"])
    model = engines.models["en-pt"]
    model.gate.clear()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(translator.translate("Hello.").text)) for _ in range(3)]
    for thread in threads:
        thread.start()
    model.gate.set()
    for thread in threads:
        thread.join(60)
    assert answers == ["pt(Hello.)"] * 3
    assert model.calls == [["Hello."]]


def test_a_failure_is_told_and_not_remembered(engines):
    (translator,) = TextTranslator.for_targets(engines, "en", ["pt"])
    engines.models["en-pt"].error = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        translator.translate("Hello.")
    engines.models["en-pt"].error = None
    assert translator.translate("Hello.").text == "pt(Hello.)"


def test_memory_of_sentences_is_bounded(engines):
    (translator,) = TextTranslator.for_targets(engines, "en", ["pt"])
    for number in range(1000):
        translator.translate(f"Sentence {number}.")
    assert len(translator._legs[0]._known) <= 256
