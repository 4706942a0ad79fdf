"""Voices' graphs are opened up where they can be, and anything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from device.engines import kokoro_timed, piper_split
from device.errors import DragomanError

TOOLS = [(piper_split.split, "voice.onnx", "Piper voice"), (kokoro_timed.add_durations, "model.onnx", "Kokoro network")]


def identity(path: Path) -> None:
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", shape[:1], shape[1:])
    onnx.save(helper.make_model(graph), path)


@pytest.mark.parametrize(("tool", "name", "kind"), TOOLS)
def test_other_networks_and_damaged_files_are_refused(
    tmp_path: Path, tool: Callable[[Path], None], name: str, kind: str
) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(DragomanError, match="not an ONNX model"):
        tool(tmp_path)
    identity(tmp_path / name)
    with pytest.raises(DragomanError, match=f"is not a {kind}"):
        tool(tmp_path)


@pytest.mark.models
def test_the_halves_of_a_voice_make_as_much_sound_as_the_durations_say(model_dir: Callable[[str], Path]) -> None:
    folder = model_dir("tts-piper-en-joe")
    encoder = onnxruntime.InferenceSession(folder / piper_split.ENCODER_FILE, providers=["CPUExecutionProvider"])
    decoder = onnxruntime.InferenceSession(folder / piper_split.DECODER_FILE, providers=["CPUExecutionProvider"])
    ids = np.array([[1, 0, *[n for p in range(20, 40) for n in (p, 0)], 2]], np.int64)
    paces = np.ones((1, 1, ids.shape[1]), np.float32)
    feed = {"input": ids, "input_lengths": np.array([ids.shape[1]]), "scales": np.zeros(3, np.float32)}
    frames = {}
    for pace in (1.0, 2.0):
        latent, durations = encoder.run(None, {**feed, piper_split.LENGTH_SCALES: paces * np.float32(pace)})
        assert durations.shape == (1, 1, ids.shape[1])
        assert latent.shape[2] == durations.sum()
        frames[pace] = durations.sum()
    assert frames[2.0] == pytest.approx(2 * frames[1.0], rel=0.2)
    (sound,) = decoder.run(None, {decoder.get_inputs()[0].name: latent})
    voice = piper_split.Decoder(decoder)
    windows = np.concatenate(list(voice.windows(latent, 22_050)))
    assert voice.hop(latent) * latent.shape[2] == sound.size == windows.size
    assert np.abs(windows - sound.reshape(-1)).max() < 1e-3
