"""People keep their numbers, whatever they say and however they take turns."""

import numpy as np
import pytest
import soundfile
import soxr

from device import speakers as module
from device.config import DirectionSettings, PartialSettings, Settings, SpeakerSettings, SpeechSettings
from device.engines.protocols import VoiceTurn
from device.engines.registry import Engines
from device.events import SAMPLE_RATE, Final, SpeechStarted, UtteranceEnded
from device.interpreter import Interpreter
from device.speakers import Speakers

ANN, BEN, EVE = 0, 1, 2


class Turns:
    """A segmentation that hears what it is told."""

    def __init__(self):
        self.told = []

    def turns(self, samples):
        return self.told


class Levels:
    """Voiceprints of people each of whom always has the same level; a mixture is a mixture."""

    def voiceprint(self, samples):
        levels = np.round(np.abs(samples[np.abs(samples) > 0.05]) * 50).astype(int)
        vector = np.bincount(levels, minlength=51).astype(np.float32)
        return vector / np.linalg.norm(vector) if vector.any() else None


def says(who, seconds):
    return np.full(round(seconds * SAMPLE_RATE), (who + 5) / 50, np.float32)


def pause(seconds):
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


@pytest.fixture
def people():
    def make(most=0):
        made = Speakers(Turns(), Levels(), most)

        def hear(*turns, parts):
            made._segmenter.told = [VoiceTurn(*turn) for turn in turns]
            pieces = made.pieces(np.concatenate(parts))
            return [(round(p.start, 2), round(p.end, 2), made.number(p.voice)) for p in pieces]

        made.hear = hear
        return made

    return make


def test_people_count_in_the_order_in_which_they_speak_and_are_known_again(people):
    room = people()
    for who, number in ((BEN, 1), (ANN, 2), (BEN, 1), (EVE, 3), (ANN, 2)):
        assert room.hear((0, 2, 0), parts=[says(who, 2)]) == [(0, 2, number)]


def test_an_utterance_is_divided_where_another_person_goes_on(people):
    heard = people().hear((0, 1.5, 0), (1.7, 3.5, 1), (3.6, 5, 0), parts=[
        says(ANN, 1.5), pause(0.2), says(BEN, 1.8), pause(0.1), says(ANN, 1.4),
    ])  # fmt: skip
    assert heard == [(0, 1.6, 1), (1.6, 3.55, 2), (3.55, 5, 1)]


def test_a_pause_may_hide_another_person_from_the_segmentation(people):
    heard = people().hear((0, 4.2, 0), parts=[says(ANN, 2), pause(0.2), says(BEN, 2)])
    assert [number for *_, number in heard] == [1, 2]
    assert heard[0][1] == pytest.approx(2.1, abs=0.1)


def test_one_person_with_pauses_stays_one(people):
    assert people().hear((0, 4.2, 0), parts=[says(ANN, 2), pause(0.2), says(ANN, 2)]) == [(0, 4.2, 1)]


def test_what_the_segmentation_takes_for_two_voices_may_be_one_person(people):
    assert people().hear((0, 2, 0), (2, 4, 1), parts=[says(ANN, 4)]) == [(0, 4, 1)]


def test_what_is_said_meanwhile_divides_nothing(people):
    samples = says(ANN, 4)
    samples[2 * SAMPLE_RATE : round(2.4 * SAMPLE_RATE)] = says(BEN, 0.4)
    heard = people().hear((0, 1.7, 0), (1.7, 2.9, 0), (2.0, 2.4, 1), (2.9, 4, 0), parts=[samples])
    assert [(end, number) for _, end, number in heard] == [(4, 1)]


def test_two_people_of_one_utterance_are_never_the_same(people):
    room = people()
    room.hear((0, 2, 0), parts=[np.concatenate([says(ANN, 1), says(BEN, 1)])])  # somebody like both of them
    heard = room.hear((0, 2, 0), (2, 4, 1), parts=[says(ANN, 2), says(BEN, 2)])
    assert {number for *_, number in heard} == {1, 2}


def test_a_short_word_of_a_stranger_makes_nobody_new_and_changes_nobody(people):
    room = people()
    room.hear((0, 2, 0), parts=[says(ANN, 2)])
    assert room.hear((0, 0.4, 0), parts=[says(BEN, 0.4)]) == [(0, 0.4, 1)]
    assert room.hear((0, 2, 0), parts=[says(BEN, 2)]) == [(0, 2, 2)]


def test_no_more_people_than_there_are(people):
    room = people(most=2)
    numbers = [room.hear((0, 2, 0), parts=[says(who, 2)])[0][2] for who in (ANN, BEN, EVE, ANN, BEN)]
    assert numbers[:2] == numbers[3:] == [1, 2]
    assert numbers[2] in {1, 2}


def test_whoever_has_been_silent_longest_is_forgotten_first(people):
    room = people()
    first = [room.hear((0, 2, 0), parts=[says(who, 2)])[0][2] for who in range(module.MOST)]
    assert first == list(range(1, module.MOST + 1))
    room.hear((0, 2, 0), parts=[says(0, 2)])
    stranger = module.MOST + 1
    assert room.hear((0, 2, 0), parts=[says(module.MOST, 2)]) == [(0, 2, stranger)]
    assert room.hear((0, 2, 0), parts=[says(0, 2)]) == [(0, 2, 1)]
    assert room.hear((0, 2, 0), parts=[says(1, 2)]) == [(0, 2, stranger + 1)]


def test_nobody_is_told_by_too_little(people):
    assert people().hear((0, 0.2, 0), parts=[says(ANN, 0.2)]) == [(0, 0.2, None)]
    assert people().hear(parts=[pause(1)]) == [(0, 1, None)]


@pytest.mark.models
def test_two_people_on_a_stage(recordings, model_dir):
    """Samuel Beckett's Nagg and Nell: each line has its speaker, in one utterance too, held button or not."""
    for model in ("asr-moonshine-tiny-en", "segment-pyannote", "speaker-wespeaker", "vad-silero"):
        model_dir(model)
    settings = Settings(
        directions=(DirectionSettings(source="en", targets=()),),
        speakers=SpeakerSettings(enabled=True),
        speech=SpeechSettings(enabled=False),
        partials=PartialSettings(enabled=False),
    )
    sound, rate = soundfile.read(recordings / "endgame_nagg_nell.wav", dtype="float32", always_2d=True)
    samples = soxr.resample(sound.mean(axis=1), rate, SAMPLE_RATE).astype(np.float32)
    samples = samples[round(4.7 * SAMPLE_RATE) : round(17.2 * SAMPLE_RATE)]  # Nagg, Nell, Nagg, Nell
    with Engines.open(settings) as engines:
        for hands_free in (True, False):
            events = []
            interpreter = Interpreter(engines, settings, events.append)
            interpreter.begin_turn(hands_free=hands_free)
            interpreter.feed(np.concatenate([samples, pause(0.5)]))
            interpreter.close()
            finals = [event for event in events if isinstance(event, Final)]
            assert [final.speaker for final in finals] == [1, 2, 1, 2], finals
            assert [final.sequence for final in finals] == [1, 2, 3, 4]
            assert "still that resource" in finals[0].text
            assert "good story" in finals[3].text
            assert finals[1].start == pytest.approx(8.7 - 4.7, abs=0.3)
            for kind in (SpeechStarted, UtteranceEnded):
                named = [event.utterance for event in events if isinstance(event, kind)]
                assert len(set(named)) == len(named)
                assert {final.utterance for final in finals} <= set(named)

            later = []
            after = Interpreter(engines, settings, later.append, interpreter.speakers)
            after.begin_turn(hands_free=True)
            after.feed(np.concatenate([samples[4 * SAMPLE_RATE : 7 * SAMPLE_RATE], pause(1)]))
            after.close()
            assert [event.speaker for event in later if isinstance(event, Final)] == [2]
