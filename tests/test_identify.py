"""A conversation in two languages with one open microphone."""

from concurrent.futures import wait

import numpy as np
import pytest

from device.config import DirectionSettings, Settings, SpeechSettings, TextSettings
from device.engines.scheduler import Priority
from device.errors import DragomanError
from device.events import Final, Partial, Translation
from device.interpreter import Interpreter
from device.recognizing import IDENTIFIED_AFTER
from tests.support.engines import SmallEngines, ToneRecognizer, UpperTranslator, silence, speak
from tests.test_interpreter import Conversation

LOW, HIGH = "one two three four five six", "seven eight nine seven eight nine"
"""What is said in English, and what in German."""


class Anybody(ToneRecognizer):
    def session(self, language):
        return self


class Pitch:
    """Takes low voices for English and high ones for German."""

    languages = frozenset({"en", "de"})

    def __init__(self):
        self.lengths = []

    def detect_language(self, samples):
        self.lengths.append(len(samples))
        power = np.abs(np.fft.rfft(samples)) ** 2
        split = 1250 * len(samples) // 16_000
        german = 0.9 if power[split:].sum() > 0.5 * power[:split].sum() else 0.1
        return [("fr", 0.95), ("de", german), ("en", 1 - german)]


class TwoLanguages(SmallEngines):
    def __init__(self):
        super().__init__()
        self.ears = Pitch()
        self.heard = {"en": Anybody(), "de": Anybody()}

    def recognizer(self, language):
        return self.heard[language]

    def identifier(self):
        return self.ears

    def translator(self, model_id):
        return UpperTranslator()


BOTH = (DirectionSettings(source="en", targets=("de",)), DirectionSettings(source="de", targets=("en",)))
PLAIN = TextSettings(fluent=False, numbers=False, punctuation=False)


@pytest.fixture
def talk(monkeypatch):
    monkeypatch.setattr("tests.test_interpreter.SmallEngines", TwoLanguages)
    talk = Conversation(directions=BOTH, identify=True, speech=SpeechSettings(enabled=False))
    yield talk
    talk.interpreter.close(10)
    talk.engines.close()


def test_each_utterance_takes_the_direction_of_its_language(talk):
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([np.concatenate([speak(s), silence(1.0)]) for s in (LOW, HIGH, LOW, HIGH)]))
    assert talk.interpreter.wait(10)
    assert [(f.language, f.direction, f.text) for f in talk.of(Final)] == [
        ("en", 0, LOW), ("de", 1, HIGH), ("en", 0, LOW), ("de", 1, HIGH),
    ]  # fmt: skip
    assert [(t.source_language, t.language) for t in talk.of(Translation)] == [("en", "de"), ("de", "en")] * 2


def test_nothing_is_shown_before_the_language_is_known(talk):
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([speak(HIGH), silence(1.0)]))
    assert talk.interpreter.wait(10)
    partials = talk.of(Partial)
    assert partials
    assert {p.language for p in partials} == {"de"}
    assert partials[0].end >= IDENTIFIED_AFTER


def test_partials_go_on_after_one_that_was_over_at_once(talk, monkeypatch):
    submit = talk.engines.scheduler.submit

    def submit_and_see_it_done(priority, call, *args, **options):
        job = submit(priority, call, *args, **options)
        if priority == Priority.PARTIAL and not talk.of(Partial):
            wait([job], 0.2)  # done at once, as long as the language is not known; then it waits for who submitted it
        return job

    monkeypatch.setattr(talk.engines.scheduler, "submit", submit_and_see_it_done)
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([speak(HIGH), speak(HIGH)]))
    assert talk.of(Partial)


def test_a_short_answer_is_told_by_what_there_is_and_a_longer_one_again(talk):
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([speak("seven eight nine"), silence(1.0)]))
    assert talk.interpreter.wait(10)
    assert [f.language for f in talk.of(Final)] == ["de"]
    talk.play(np.concatenate([speak("one"), silence(0.3), speak(HIGH), silence(1.0)]))
    assert talk.interpreter.wait(10)
    assert [f.language for f in talk.of(Final)] == ["de", "de"], "the pause after one word decides nothing"


def test_a_language_is_told_once_an_utterance(talk):
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([speak(HIGH), silence(1.0)]))
    assert talk.interpreter.wait(10)
    assert len(talk.engines.ears.lengths) == 1


def test_without_a_model_that_tells_them_apart_the_conversation_is_refused():
    engines = TwoLanguages()
    engines.ears = None
    with pytest.raises(DragomanError, match="tells de and en apart"):
        Interpreter(engines, Settings(directions=BOTH, identify=True, speech=SpeechSettings(enabled=False)), print)
    engines.close()


@pytest.mark.models
def test_real_english_and_portuguese_find_their_direction(model_dir, recordings):
    from device.audio.files import read_blocks
    from device.config import ModelSettings
    from device.engines.registry import Engines

    for model in ("asr-moonshine-tiny-en", "asr-whisper-base", "mt-bergamot-en-pt", "mt-bergamot-pt-en", "vad-silero"):
        model_dir(model)
    directions = (DirectionSettings(source="en", targets=("pt",)), DirectionSettings(source="pt", targets=("en",)))
    settings = Settings(
        directions=directions, identify=True, speech=SpeechSettings(enabled=False), models=ModelSettings(offline=True)
    )
    heard = []
    with Engines.open(settings) as engines:
        interpreter = Interpreter(engines, settings, heard.append)
        for language in ("en", "pt", "pt", "en"):
            path, _ = recordings.clips(language)[0]
            interpreter.begin_turn(hands_free=True)
            for block in read_blocks(path):
                interpreter.feed(block)
                interpreter.keep_up()
            interpreter.end_turn()
            assert interpreter.wait(60)
            assert {f.language for f in heard if isinstance(f, Final)} == {language}
            heard.clear()
