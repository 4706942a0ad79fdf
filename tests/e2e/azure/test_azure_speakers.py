"""Who says what in recordings of two people, as Azure's own clients are told it."""

import json
import sys

import numpy as np
import pytest

from device.audio.files import read_blocks
from device.audio.wav import write_wav
from tests.e2e.azure.conftest import HERE, events
from tests.support.conversations import ENDGAME, check_speakers, turns_of

pytestmark = [pytest.mark.e2e, pytest.mark.models]

FROM, TO = 4.5, 17.3
"""Seconds of the recording that clients hear which take their time: each says two sentences."""
TURNS = [turn for turn in ENDGAME if turn[0] > FROM and turn[1] < TO]


@pytest.fixture(scope="module")
def talk(recordings, tmp_path_factory):
    samples = np.concatenate(list(read_blocks(recordings / "endgame_nagg_nell.wav")))
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    write_wav(path, samples[round(FROM * 16_000) : round(TO * 16_000)], 16_000)
    return path


def check_transcribed(told):
    phrases = events(told, "transcribed")
    assert {e["speaker"] for e in events(told, "transcribing")} == {"Unknown"}
    assert {e["speaker"] for e in phrases} <= {"Unknown", "Guest-1", "Guest-2"}
    assert [e["offset"] for e in phrases] == sorted(e["offset"] for e in phrases)
    assert [e["reason"] for e in events(told, "canceled")] == ["EndOfStream"]
    check_speakers(
        [(FROM + e["offset"], FROM + e["offset"] + e["duration"], e["speaker"]) for e in phrases],
        TURNS,
    )


def test_the_python_transcriber_is_told_who_says_what(served, talk):
    check_transcribed(served.python("converse", talk, "en-US", "intermediate"))


def test_the_javascript_transcriber_is_told_who_says_what(node, talk):
    check_transcribed(node.javascript("client.js", "converse", talk, "en-US"))


def test_fast_transcription_tells_people_apart_who_talk_without_a_pause(served, recordings):
    pytest.importorskip("azure.ai.transcription")
    path = str(recordings / "conversation.wav")
    (told,) = served.run(sys.executable, str(HERE / "rest.py"), served.host, path, "en-US", "2")
    phrases = [
        (start / 1000, (start + length) / 1000, speaker)
        for (start, length, *_), speaker in zip(told["phrases"], told["speakers"], strict=True)
    ]
    check_speakers(phrases, turns_of(recordings / "conversation.rttm"))


def test_batch_transcription_tells_who_says_what(served, recordings):
    source, wanted = (recordings / "endgame_nagg_nell.wav").as_uri(), json.dumps({"diarizationEnabled": True})
    told = served.run(sys.executable, str(HERE / "batch.py"), served.host, source, wanted)
    check_speakers([(phrase["start"], phrase["end"], phrase["speaker"]) for phrase in told], ENDGAME)
