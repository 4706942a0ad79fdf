"""Silero tells speech from other sound, and nothing that is fed to it can break it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from device.config import EndpointSettings
from device.engines.protocols import VoiceActivity
from device.engines.vad_silero import load
from device.errors import DragomanError
from device.events import Samples
from device.modelstore.catalogue import Model
from tests.conftest import Recordings
from tests.engines.speech import audio, between_silence, noise

MODEL = Model(id="vad-silero", task="vad", engine="silero", name="Silero", licence="MIT", homepage="")


def decisions(vad: VoiceActivity, samples: Samples) -> list[bool]:
    return [vad.is_speech(samples[i : i + vad.frame]) for i in range(0, len(samples) - vad.frame + 1, vad.frame)]


@pytest.fixture
def vad(model_dir: Callable[[str], Path]) -> VoiceActivity:
    return load(MODEL, model_dir("vad-silero"), EndpointSettings())


@pytest.mark.models
def test_speech_is_found_where_it_is(vad: VoiceActivity, recordings: Recordings) -> None:
    speech = audio(recordings / "beckett.wav")
    found = decisions(vad, between_silence(speech, 2.0))
    assert not any(found[:55])  # 1.8 s of silence before it
    assert 0.4 < np.mean(found[63 : 63 + len(speech) // 512]) < 0.95  # it has pauses
    assert not any(found[-30:])


@pytest.mark.models
@pytest.mark.parametrize("level", [0.0, 0.001, 0.01, 0.1, 0.3])
def test_noise_is_not_speech(vad: VoiceActivity, level: float) -> None:
    assert not any(decisions(vad, noise(4.0, level)))


@pytest.mark.models
def test_conversations_do_not_hear_each_other(model_dir: Callable[[str], Path], recordings: Recordings) -> None:
    speech = audio(recordings / "beckett.wav")
    alone = decisions(load(MODEL, model_dir("vad-silero"), EndpointSettings()), speech)
    one, other = (load(MODEL, model_dir("vad-silero"), EndpointSettings()) for _ in range(2))
    mixed = []
    for i in range(0, len(speech) - 511, 512):
        mixed.append(one.is_speech(speech[i : i + 512]))
        other.is_speech(noise(0.032, 0.2, i))
    assert mixed == alone


@pytest.mark.models
def test_reset_forgets_everything(vad: VoiceActivity, recordings: Recordings) -> None:
    speech = audio(recordings / "beckett.wav")[: 4 * 16000]
    first = decisions(vad, speech)
    vad.reset()
    assert decisions(vad, speech) == first


@pytest.mark.models
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_broken_samples_do_not_deafen_it(vad: VoiceActivity, recordings: Recordings, bad: float) -> None:
    speech = audio(recordings / "beckett.wav")
    whole = decisions(vad, speech)
    vad.reset()
    vad.is_speech(np.full(512, bad, np.float32))
    assert np.mean(np.array(decisions(vad, speech)) == np.array(whole)) > 0.97


@pytest.mark.models
@pytest.mark.parametrize("length", [0, 511, 513, 576])
def test_frame_of_another_length_is_refused(vad: VoiceActivity, length: int) -> None:
    with pytest.raises(ValueError, match="512"):
        vad.is_speech(np.zeros(length, np.float32))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DragomanError, match=r"silero_vad\.onnx is missing; run `dragoman models pull vad-silero`"):
        load(MODEL, tmp_path, EndpointSettings())


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "silero_vad.onnx").write_bytes(b"\x08\x07 half of a download")
    with pytest.raises(DragomanError, match="models verify"):
        load(MODEL, tmp_path, EndpointSettings())


def test_another_model_is_refused_before_it_ends_the_process(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [value], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "silero_vad.onnx")
    with pytest.raises(DragomanError, match="not a Silero VAD"):
        load(MODEL, tmp_path, EndpointSettings())
