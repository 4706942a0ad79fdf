import dataclasses
import itertools
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device import interpreter
from device.config import (
    DirectionSettings,
    EndpointSettings,
    PartialSettings,
    Settings,
    SpeechSettings,
    TextSettings,
)
from device.engines.routes import Route
from device.errors import DragomanError
from device.events import (
    SAMPLE_RATE,
    Error,
    Final,
    Partial,
    PartialTranslation,
    Speech,
    SpeechStarted,
    Translation,
    UtteranceEnded,
)
from device.interpreter import Interpreter
from device.text.room import TextRoom
from device.translation import Leg, TextTranslator
from tests.support.engines import SmallEngines, UpperTranslator, silence, speak

AS_SAID = TextSettings(fluent=False, numbers=False, punctuation=False)
"""The engines speak in numbers; they are compared as they were said."""


class Conversation:
    """An interpreter over small engines, and what it said."""

    def __init__(self, **changes):
        self.engines = SmallEngines()
        self.events = []
        self.arrived = threading.Condition()
        self.interpreter = Interpreter(self.engines, Settings(**{"text": AS_SAID, **changes}), self.heard)

    def heard(self, event):
        with self.arrived:
            self.events.append(event)
            self.arrived.notify_all()

    def of(self, *kinds):
        return [e for e in list(self.events) if isinstance(e, kinds)]

    def wait_for(self, *kinds, count=1):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.of(*kinds)) >= count, 30), self.events

    def play(self, samples, block=512):
        """Feed as fast as the work keeps up, so that every run gives the same events."""
        for i in range(0, len(samples), block):
            self.interpreter.feed(samples[i : i + block])
            self.interpreter.keep_up()

    def texts(self):
        return [e.text for e in self.of(Final)]


@pytest.fixture
def open_conversation():
    made = []

    def make(**changes):
        made.append(Conversation(**changes))
        return made[-1]

    yield make
    for conversation in made:
        conversation.engines.asr.gate.set()
        conversation.interpreter.close(60)
        conversation.engines.close()


SENTENCE = np.concatenate([silence(0.5), speak("one two three four five"), silence(1.0)])


def test_a_sentence_becomes_a_final_its_translation_and_speech_in_this_order(open_conversation):
    talk = open_conversation()
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    assert talk.interpreter.wait(60)
    kinds = [e.type for e in talk.events if e.type in ("final", "translation", "speech", "utterance_ended")]
    assert kinds == ["final", "translation", "speech", "speech", "utterance_ended"]
    final, translation = talk.of(Final)[0], talk.of(Translation)[0]
    assert (final.text, translation.text) == ("one two three four five", "ONE TWO THREE FOUR FIVE")
    assert (final.sequence, translation.sequence, final.utterance) == (1, 1, translation.utterance)
    assert final.start == pytest.approx(0.5, abs=0.04)
    assert final.end == pytest.approx(0.5 + 5 * 0.288 + 4 * 0.064, abs=0.07)
    assert final.timings["endpoint"] == pytest.approx(0.6, abs=0.04)


def test_partials_and_their_translations_come_while_somebody_talks(open_conversation):
    talk = open_conversation()
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([silence(0.5), speak("one two three four five six seven eight nine")]))
    assert not talk.of(Final)
    partials = talk.of(Partial)
    assert partials[0].end - 0.5 < 1.0
    assert all(b.end - a.end < 0.5 for a, b in itertools.pairwise(partials))
    assert [p.revision for p in partials] == list(range(1, len(partials) + 1))
    translations = talk.of(PartialTranslation)
    assert [p.revision for p in translations] == [p.revision for p in partials]
    assert all(b.text.startswith(a.text) for a, b in itertools.pairwise(translations[2:])), "nothing is taken back"


def test_every_guess_is_shown_where_that_is_wanted(open_conversation):
    talk = open_conversation(partials=PartialSettings(steady=False))
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([silence(0.5), speak("one two three four five six seven eight nine")]))
    assert [p.revision for p in talk.of(PartialTranslation)] == [p.revision for p in talk.of(Partial)]


def test_no_partial_follows_its_final(open_conversation):
    talk = open_conversation()
    talk.interpreter.begin_turn(hands_free=True)
    for _ in range(5):
        talk.play(SENTENCE)
    talk.interpreter.wait(60)
    ended = set()
    for event in talk.events:
        if isinstance(event, Final):
            ended.add(event.utterance)
        elif isinstance(event, Partial | PartialTranslation):
            assert event.utterance not in ended


def test_what_was_worked_out_in_the_pause_is_not_done_again(open_conversation):
    talk = open_conversation()
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    talk.interpreter.wait(60)
    finals = [n for n, final in talk.engines.asr.calls if final]
    assert len(finals) == 1
    assert talk.engines.mt.asked.count("one two three four five") == 1
    assert talk.engines.tts.asked.count("ONE TWO THREE FOUR FIVE") == 1


def test_resumed_speech_is_recognised_whole(open_conversation):
    talk = open_conversation()
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([speak("one two three"), silence(0.4), speak("four five six"), silence(1.0)]))
    talk.interpreter.wait(60)
    assert talk.texts() == ["one two three four five six"]


def test_releasing_the_button_ends_the_utterance_at_once(open_conversation):
    talk = open_conversation()
    talk.interpreter.begin_turn()
    talk.play(np.concatenate([silence(0.3), speak("one two three four")]))
    talk.interpreter.end_turn()
    assert talk.interpreter.wait(60)
    assert talk.texts() == ["one two three four"]
    talk.play(SENTENCE)
    assert talk.interpreter.wait(60)
    assert talk.texts() == ["one two three four"], "nobody listens between turns"


def test_a_button_pressed_a_little_late_loses_no_word(open_conversation):
    talk = open_conversation()
    sound = np.concatenate([silence(0.5), speak("one two three four")])
    pressed = int(0.7 * SAMPLE_RATE)
    talk.play(sound[:pressed])
    talk.interpreter.begin_turn()
    talk.play(sound[pressed:])
    talk.interpreter.end_turn()
    talk.interpreter.wait(60)
    assert talk.texts() == ["one two three four"]


def test_a_held_button_bridges_longer_pauses(open_conversation):
    sound = np.concatenate([speak("one two three"), silence(1.0), speak("four five six"), silence(0.1)])
    held, open_ = open_conversation(), open_conversation()
    held.interpreter.begin_turn()
    open_.interpreter.begin_turn(hands_free=True)
    for talk in (held, open_):
        talk.play(sound)
        talk.interpreter.close(60)
    assert held.texts() == ["one two three four five six"]
    assert open_.texts() == ["one two three", "four five six"]


def test_an_utterance_without_end_is_cut_between_words_and_loses_none(open_conversation):
    words = "one two three four five six seven eight nine " * 4
    talk = open_conversation(endpoint=EndpointSettings(max_utterance=4.0))
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([speak(words, gap=0.16), silence(1.0)]))
    talk.interpreter.close(60)
    assert len(talk.texts()) >= 3
    assert " ".join(talk.texts()).split() == words.split()
    finals = talk.of(Final)
    assert all(f.end - f.start <= 4.0 for f in finals)
    assert all(b.start >= a.end - 0.2 for a, b in itertools.pairwise(finals))


@pytest.mark.parametrize("sound", [silence(5), speak("one")[:2000], np.zeros(0, np.float32), silence(0.001)])
def test_nothing_said_gives_no_text(open_conversation, sound):
    talk = open_conversation()
    talk.interpreter.begin_turn()
    talk.play(np.concatenate([sound, silence(1.0)]))
    talk.interpreter.close(60)
    assert not talk.of(Final, Partial, Translation, Speech)


def test_finals_come_in_the_order_of_speech_and_are_numbered_without_gaps(open_conversation):
    talk = open_conversation(partials=PartialSettings(enabled=False))
    talk.interpreter.begin_turn(hands_free=True)
    said = [
        f"{a} {b} {c}" for a, b, c in itertools.islice(itertools.permutations(["one", "two", "six", "nine"], 3), 12)
    ]
    talk.play(np.concatenate([np.concatenate([speak(s), silence(0.8)]) for s in said]))
    talk.interpreter.close(60)
    assert talk.texts() == said
    assert [f.sequence for f in talk.of(Final)] == list(range(1, 13))
    answered = [e.utterance for e in talk.of(Final, Translation, UtteranceEnded)]
    assert answered == sorted(answered)


def test_clauses_are_spoken_in_order_and_begin_before_all_are_made(open_conversation):
    talk = open_conversation()
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(np.concatenate([speak("one two three four ten, five six seven eight nine"), silence(1.0)]))
    talk.interpreter.wait(60)
    speech = talk.of(Speech)
    assert [s.index for s in speech] == list(range(len(speech)))
    assert [s.text.strip() for s in speech if s.text] == ["ONE TWO THREE FOUR TEN,", "FIVE SIX SEVEN EIGHT NINE"]
    assert speech[0].emitted <= speech[-1].emitted


def test_a_failing_translation_does_not_take_the_transcript_with_it(open_conversation):
    talk = open_conversation()
    talk.engines.mt.error = RuntimeError("model broken")
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    talk.interpreter.wait(60)
    assert talk.texts() == ["one two three four five"]
    assert [(e.code, e.language) for e in talk.of(Error)] == [("translation", "pt")]
    error, final = talk.of(Error)[0], talk.of(Final)[0]
    assert (error.utterance, error.start, error.end) == (final.utterance, final.start, final.end)
    assert talk.of(UtteranceEnded)


def test_a_failing_voice_does_not_take_the_translation_with_it(open_conversation):
    talk = open_conversation()
    talk.engines.tts.error = RuntimeError("no sound")
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    talk.interpreter.wait(60)
    assert len(talk.of(Translation)) == 1
    assert [e.code for e in talk.of(Error)] == ["speech"]
    assert not talk.of(Speech)
    assert talk.of(UtteranceEnded)


def test_a_failing_recogniser_is_told_and_the_conversation_goes_on(open_conversation):
    talk = open_conversation()
    talk.engines.asr.error = RuntimeError("broken")
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    talk.interpreter.wait(60)
    talk.engines.asr.error = None
    talk.play(SENTENCE)
    talk.interpreter.wait(60)
    assert [e.code for e in talk.of(Error)] == ["recognition"]
    assert talk.texts() == ["one two three four five"]
    assert talk.of(Final)[0].sequence == 1


def test_text_that_cannot_be_worked_on_holds_up_no_later_sentence(open_conversation, monkeypatch):
    talk = open_conversation(partials=PartialSettings(enabled=False))
    broken = []

    def sometimes(name, call):
        def do(*args):
            if name in broken:
                raise ValueError(name)
            return call(*args)

        return do

    monkeypatch.setattr(interpreter, "split_clauses", sometimes("clauses", interpreter.split_clauses))
    monkeypatch.setattr(TextRoom, "words", sometimes("words", TextRoom.words))
    talk.interpreter.begin_turn(hands_free=True)
    for broken[:] in (["words"], ["clauses"], []):
        talk.play(SENTENCE)
        assert talk.interpreter.wait(60)
    assert [e.code for e in talk.of(Error)] == ["recognition", "speech"]
    assert talk.texts() == ["one two three four five"] * 2
    assert [t.sequence for t in talk.of(Translation)] == [1, 2]
    assert {s.utterance for s in talk.of(Speech)} == {talk.of(Final)[1].utterance}
    ended = [e.has_text for e in talk.of(UtteranceEnded)]
    assert ended == [False, True, True]


def test_a_target_that_fails_takes_no_partial_translation_from_the_others(open_conversation):
    talk = open_conversation(directions=(DirectionSettings(targets=("pt", "es")),))
    broken = TextTranslator("pt", Route(("en", "pt"), ("broken",)), [Leg(talk.engines, UpperTranslator())])
    broken._legs[0]._translator.error = RuntimeError("model broken")
    talk.interpreter._directions[0] = dataclasses.replace(
        talk.interpreter._directions[0], translators=(broken, talk.interpreter._directions[0].translators[1])
    )
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    assert talk.interpreter.wait(60)
    assert {p.language for p in talk.of(PartialTranslation)} == {"es"}
    assert [t.language for t in talk.of(Translation)] == ["es"]


def test_a_partial_that_comes_late_does_not_replace_a_newer_one(open_conversation):
    talk = open_conversation()
    asr, late = talk.engines.asr, threading.Event()
    recognize = asr.recognize

    def recognize_partials_late(samples, *, final):
        if not final:
            assert late.wait(30)
        return recognize(samples, final=final)

    asr.recognize = recognize_partials_late
    talk.interpreter.begin_turn()
    talk.interpreter.feed(np.concatenate([silence(0.5), speak("one two three four five"), silence(0.5)]))
    talk.wait_for(PartialTranslation)
    late.set()
    assert talk.interpreter.wait(60)
    assert [p.text for p in talk.of(Partial)] == ["one two three four five"]
    assert len(talk.of(PartialTranslation)) == 1


def test_finals_that_are_not_ready_when_the_engines_close_are_told_as_lost(open_conversation):
    talk = open_conversation(partials=PartialSettings(enabled=False))
    talk.engines.asr.gate.clear()
    talk.interpreter.begin_turn(hands_free=True)
    for _ in range(4):
        talk.interpreter.feed(SENTENCE)
    closing = threading.Thread(target=talk.engines.close)
    closing.start()
    while talk.engines.scheduler.waiting:
        closing.join(0.01)
    talk.engines.asr.gate.set()
    assert talk.interpreter.wait(60)
    closing.join(60)
    assert not closing.is_alive()
    assert len(talk.of(UtteranceEnded)) == 4
    assert len(talk.texts()) + len(talk.of(Error)) >= 4
    assert all("shutting down" in e.text for e in talk.of(Error))


def test_a_failing_listener_stops_nothing(open_conversation):
    talk = open_conversation()
    original = talk.heard

    def failing(event):
        original(event)
        raise ValueError(event.type)

    talk.interpreter = Interpreter(talk.engines, Settings(text=AS_SAID), failing)
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    assert talk.interpreter.wait(60)
    assert talk.texts() == ["one two three four five"]


def test_several_targets_are_all_translated_and_the_first_is_spoken(open_conversation):
    talk = open_conversation(directions=(DirectionSettings(targets=("pt", "es", "fr")),))
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    talk.interpreter.wait(60)
    assert [t.language for t in talk.of(Translation)] == ["pt", "es", "fr"]
    assert {s.language for s in talk.of(Speech)} == {"pt"}


def test_no_targets_is_a_transcript(open_conversation):
    talk = open_conversation(directions=(DirectionSettings(targets=()),))
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    talk.interpreter.wait(60)
    assert talk.texts() == ["one two three four five"]
    assert not talk.of(Translation, Speech)


def test_speech_can_be_switched_off(open_conversation):
    talk = open_conversation(speech=SpeechSettings(enabled=False))
    talk.interpreter.begin_turn(hands_free=True)
    talk.play(SENTENCE)
    talk.interpreter.wait(60)
    assert talk.of(Translation)
    assert not talk.engines.tts.asked


def test_a_language_without_a_model_is_refused_at_the_start():
    engines = SmallEngines()
    with pytest.raises(DragomanError, match="no recogniser for 'pt'"):
        Interpreter(engines, Settings(directions=(DirectionSettings(source="pt", targets=("en",)),)), print)
    engines.close()


def test_a_direction_that_is_not_configured_is_refused(open_conversation):
    with pytest.raises(DragomanError, match="no direction 1"):
        open_conversation().interpreter.begin_turn(1)


def test_feeding_never_waits_for_the_engines(open_conversation):
    talk = open_conversation()
    talk.engines.asr.gate.clear()
    talk.interpreter.begin_turn(hands_free=True)
    for i in range(0, len(SENTENCE), 512):
        talk.interpreter.feed(SENTENCE[i : i + 512])
    assert talk.of(SpeechStarted)
    assert not talk.of(Final)
    talk.engines.asr.gate.set()
    talk.wait_for(UtteranceEnded)
    assert talk.texts() == ["one two three four five"]


def test_a_machine_that_is_far_too_slow_says_so_once_and_loses_nothing(open_conversation):
    talk = open_conversation(partials=PartialSettings(enabled=False))
    talk.engines.asr.gate.clear()
    talk.interpreter.begin_turn(hands_free=True)
    for _ in range(20):
        talk.interpreter.feed(SENTENCE)
    talk.engines.asr.gate.set()
    assert talk.interpreter.wait(30)
    assert [e.code for e in talk.of(Error)] == ["overloaded"]
    assert len(talk.texts()) == 20


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blocks=st.lists(st.integers(1, 5000), min_size=1, max_size=8))
def test_the_size_of_blocks_changes_nothing(open_conversation, blocks):
    talk = open_conversation(partials=PartialSettings(enabled=False))
    talk.interpreter.begin_turn(hands_free=True)
    position = 0
    for size in itertools.cycle(blocks):
        if position >= len(SENTENCE):
            break
        talk.interpreter.feed(SENTENCE[position : position + size])
        position += size
    talk.interpreter.close(60)
    final = talk.of(Final)[0]
    assert (final.text, final.start, final.end) == ("one two three four five", 0.48, 2.208)
