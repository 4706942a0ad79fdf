"""Files made on the device from verified ones."""

import base64

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from device.errors import DragomanError
from device.modelstore import derive
from device.modelstore.catalogue import Derived
from device.modelstore.loading import load_catalogue, packaged_folder
from tests.modelstore.support import file, model, store
from tests.modelstore.support import hub as on_hub

TOKENS = Derived("moonshine-tokens", ("tokenizer.bin",), ("tokens.txt",))


def pack(tokens):
    """Write a Moonshine tokenizer as its format says."""
    out = bytearray()
    for token in tokens:
        n = len(token)
        out += bytes([n]) if n < 128 else bytes([n % 128 + 128, n // 128])
        out += token
    return bytes(out)


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_every_token_is_found_again(tokens):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tokenizer.bin").write_bytes(pack(tokens))
        derive.moonshine_tokens(folder, TOKENS)
        lines = (folder / "tokens.txt").read_text().splitlines()
    assert [base64.b64decode(line.split(" ")[0]) for line in lines] == tokens
    assert [int(line.split(" ")[1]) for line in lines] == list(range(len(tokens)))


def test_a_cut_off_tokenizer_is_refused(tmp_path):
    (tmp_path / "tokenizer.bin").write_bytes(pack([b"one", b"two"])[:-1])
    with pytest.raises(DragomanError, match="token 1 is cut off"):
        derive.moonshine_tokens(tmp_path, TOKENS)


def test_metadata_is_added_and_what_is_there_is_kept(tmp_path):
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", shape[:1], shape[1:])
    made = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(made, {"version": "7"})
    onnx.save(made, tmp_path / "in.onnx")
    step = Derived("onnx-metadata", ("in.onnx",), ("out.onnx",), {"model_type": "gtcrn", "n_fft": 512, "version": 1})
    derive.onnx_metadata(tmp_path, step)
    props = {entry.key: entry.value for entry in onnx.load(tmp_path / "out.onnx").metadata_props}
    assert props == {"version": "7", "model_type": "gtcrn", "n_fft": "512"}

    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"))
    assert session.run(None, {"x": np.ones(1, np.float32)})[0] == 1


def test_something_else_than_a_model_is_refused(tmp_path):
    (tmp_path / "in.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(DragomanError, match=r"in\.onnx is not an ONNX model"):
        derive.onnx_metadata(tmp_path, Derived("onnx-metadata", ("in.onnx",), ("out.onnx",)))


@pytest.fixture
def moonshine(hub, tmp_path):
    data = pack([b"a", b"", b"bc"])
    hub.files = {"tokenizer.bin": data}
    models = store(tmp_path, model("one", file("tokenizer.bin", data, on_hub("tokenizer.bin")), derived=(TOKENS,)))
    models.pull(["one"])
    return models


def test_derived_files_are_made_by_the_pull(moonshine):
    assert (moonshine.path("one") / "tokens.txt").read_text() == "YQ== 0\n 1\nYmM= 2\n"


def test_a_missing_or_damaged_derived_file_is_made_again_without_a_network(moonshine, hub):
    hub.requests.clear()
    tokens = moonshine.directory / "one" / "tokens.txt"
    tokens.unlink()
    assert (moonshine.path("one") / "tokens.txt").read_text().startswith("YQ== 0")
    tokens.write_text("damaged")
    assert (moonshine.path("one") / "tokens.txt").read_text().startswith("YQ== 0")
    assert moonshine.verify("one") == []
    assert hub.requests == []


def test_a_newer_tool_makes_its_files_again(moonshine, monkeypatch):
    def newer(folder, derived):
        (folder / derived.outputs[0]).write_text("newer")

    monkeypatch.setitem(derive.TOOLS, "moonshine-tokens", derive.Tool(newer, lambda: "2"))
    assert (moonshine.path("one") / "tokens.txt").read_text() == "newer"


def test_a_model_that_a_tool_refuses_is_told_with_the_reason(hub, tmp_path):
    hub.files = {"tokenizer.bin": b"\x05ab"}
    models = store(tmp_path, model("one", file("tokenizer.bin", b"\x05ab", on_hub("tokenizer.bin")), derived=(TOKENS,)))
    with pytest.raises(
        DragomanError, match=r"model one cannot be prepared: tokenizer\.bin is not a Moonshine tokenizer"
    ):
        models.pull(["one"])


def test_a_bergamot_model_of_another_architecture_is_refused(hub, tmp_path):
    files = {"model.bin": b"no model", "vocab.spm": b"x", "lex.bin": b"x"}
    hub.files = dict(files)
    shipped = load_catalogue([packaged_folder()])["mt-bergamot-en-pt"]
    entry = model("mt-own", *(file(n, d, on_hub(n)) for n, d in files.items()), derived=shipped.derived)
    with pytest.raises(DragomanError, match="model mt-own cannot be prepared: "):
        store(tmp_path, entry).pull(["mt-own"])


@pytest.mark.models
def test_the_real_students_are_converted(model_dir):
    for model_id in ("mt-bergamot-en-pt", "mt-bergamot-pt-en"):
        folder = model_dir(model_id)
        shipped = load_catalogue([packaged_folder()])[model_id]
        assert all((folder / name).stat().st_size > 0 for step in shipped.derived for name in step.outputs)


@pytest.mark.models
def test_the_recordings_have_their_texts(recordings):
    assert (recordings / "two_cities.wav").stat().st_size > 1_000_000
    assert sum(len(recordings.clips(tag)) for tag in ["en", "es", "fr", "hi", "it", "ja", "pl", "pt", "zh"]) == 27
    assert all(text for _, text in recordings.clips("en"))
