from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from device.audio.array.geometry import load_geometry
from device.config import EndpointSettings
from device.engines.asr_moonshine import load as load_recognizer
from device.engines.vad_silero import load as load_vad
from tools import bench_array
from tools.bench_array import CASES, METHODS, Bench, Case, normalise
from tools.simulate_room import read_speech
from tools.speech_corpus import Utterance, load_corpus


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mr. Dashwood, at 9!", "mister dashwood at nine"),
        ("I\u2019m sorry\u2014no.", "i'm sorry no"),
        ("Press 42", "press four two"),
    ],
)
def test_only_words_are_compared(text, words):
    assert normalise(text) == words


def test_every_array_room_and_kind_of_noise_is_measured():
    assert {case.geometry for case in CASES} >= {"respeaker-2mic", "respeaker-4mic", "respeaker-6mic", "uma-8"}
    assert {case.noise for case in CASES} == {"point", "babble", "fan", "music", "talker", "none"}
    assert {case.rt60 for case in CASES} >= {0.2, 0.4}
    assert any(case.mismatch for case in CASES)


@pytest.mark.parametrize("method", ["auto", "auto+postfilter", "frontend"])
def test_the_delay_is_measured_and_within_32_ms(method):
    delay = bench_array._delay(load_geometry("i2s-4mic-square"), method)
    assert 0.015 < delay <= 0.032


def test_a_folder_without_transcripts_holds_no_corpus(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16000)
    assert load_corpus(tmp_path) == []
    (tmp_path / "a.txt").write_text("words\n")
    assert [(u.name, u.text) for u in load_corpus(tmp_path)] == [("a", "words")]


@pytest.mark.models
def test_a_row_holds_what_was_promised(model_store, model_dir, recordings):
    pytest.importorskip("pyroomacoustics")
    sound = read_speech(recordings / "two_cities.wav")
    corpus = [
        Utterance("a", sound[14720:74880], "it was the best of times it was the worst of times"),
        Utterance("b", sound[74880:134880], "it was the age of wisdom it was the age of foolishness"),
    ]
    asr, vad = model_dir("asr-moonshine-tiny-en"), model_dir("vad-silero")
    recognizer = load_recognizer(model_store.catalogue["asr-moonshine-tiny-en"], asr, 1)
    bench = Bench(recognizer, lambda: load_vad(model_store.catalogue["vad-silero"], vad, EndpointSettings()), corpus)
    rows = list(bench.run(Case("i2s-4mic-square", 0.2, "point"), ("auto",), places=1))
    assert [row.method for row in rows] == ["best-channel", "auto"]
    record = json.loads(json.dumps(asdict(rows[1])))
    assert set(record) >= {
        "geometry", "room", "noise", "method", "snr_gain_db", "sisdr_gain_db", "wer_before", "wer_after",
        "doa_error_deg", "rtf", "delay_ms",
    }  # fmt: skip
    assert record["snr_gain_db"] > 8
    assert record["doa_error_deg"] < 5
    assert "auto" in METHODS
