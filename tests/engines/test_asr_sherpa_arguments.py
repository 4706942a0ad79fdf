"""Everything that would make sherpa-onnx end the process is found before, and said clearly."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sherpa_onnx

from device.engines.asr_sherpa import OFFLINE, ONLINE, load
from device.engines.asr_sherpa_arguments import check_tokens, constructor, constructor_types
from device.errors import DragomanError
from device.modelstore.catalogue import Model
from device.modelstore.loading import load_catalogue
from tests.engines.speech import MOONSHINE_ON_SHERPA as MOONSHINE

RECOGNIZERS = {OFFLINE: sherpa_onnx.OfflineRecognizer, ONLINE: sherpa_onnx.OnlineRecognizer}
TYPES = [(engine, kind) for engine, recognizer in RECOGNIZERS.items() for kind in constructor_types(recognizer)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("encoder_model.ort", "decoder_model_merged.ort"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "tokens.txt").write_text("PHVuaz4= 0\nPHM+ 1\n 2\n")
    return tmp_path


def with_options(**options: Any) -> Model:
    return replace(MOONSHINE, options={**MOONSHINE.options, **options})


def test_good_entry_becomes_arguments(folder: Path) -> None:
    factory, arguments = constructor(MOONSHINE, folder, sherpa_onnx.OfflineRecognizer)
    assert factory == sherpa_onnx.OfflineRecognizer.from_moonshine_v2
    assert arguments == {
        "encoder": str(folder / "encoder_model.ort"),
        "decoder": str(folder / "decoder_model_merged.ort"),
        "tokens": str(folder / "tokens.txt"),
    }


@pytest.mark.parametrize(("engine", "kind"), TYPES)
def test_every_type_of_sherpa_onnx_can_be_described(tmp_path: Path, engine: str, kind: str) -> None:
    parameters = inspect.signature(getattr(RECOGNIZERS[engine], f"from_{kind}")).parameters
    needed = [name for name, item in parameters.items() if item.default is inspect.Parameter.empty]
    for name in needed:
        (tmp_path / name).write_text("PHM+ 0\n")
    model = replace(MOONSHINE, engine=engine, options={"type": kind, "files": {name: name for name in needed}})
    _, arguments = constructor(model, tmp_path, RECOGNIZERS[engine])
    assert arguments == {name: str(tmp_path / name) for name in needed}
    for name in needed:
        files = {other: other for other in needed if other != name}
        with pytest.raises(DragomanError, match=f"needs options.files.{name}"):
            constructor(replace(model, options={"type": kind, "files": files}), tmp_path, RECOGNIZERS[engine])


@pytest.mark.parametrize(
    "model", [m for m in load_catalogue().values() if m.engine in RECOGNIZERS], ids=lambda model: model.id
)
def test_every_entry_of_the_catalogue_is_accepted(tmp_path: Path, model: Model) -> None:
    for argument, name in model.options["files"].items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("PHM+ 0\n" if argument == "tokens" else "x")
    constructor(model, tmp_path, RECOGNIZERS[model.engine])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "moonshine_v3"}, "has no type 'moonshine_v3'; did you mean 'moonshine_v2'"),
        ({"type": None}, "has no type None"),
        ({"type": "__init__"}, "has no type"),
        ({"decode_method": "x"}, "no option 'decode_method'; did you mean 'decoding_method'"),
        ({"decoding_method": "beam"}, "decodes by greedy_search, not 'beam'"),
        ({"decoding_method": 3}, "must be a str, not 3"),
        ({"num_threads": 4}, "no option 'num_threads'"),
        ({"files": ["encoder"]}, "must be a table"),
        ({"files": {"encoder": "encoder_model.ort"}}, "needs options.files.decoder"),
        ({"files": {"preprocessor": "encoder_model.ort"}}, "takes no file 'preprocessor'"),
        ({"files": {"encoder": "../elsewhere"}}, "outside the model's folder"),
        ({"files": {"encoder": 3}}, "must name a file"),
        ({"files": {"encoder": "none.ort"}}, "none.ort is missing; run `dragoman models pull"),
    ],
)
def test_wrong_entry_is_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DragomanError, match=message.replace("(", r"\(")):
        constructor(with_options(**options), folder, sherpa_onnx.OfflineRecognizer)


@pytest.mark.parametrize("bad", ["hello world\n", "PHM+ 0\nPHM+ 0\n", "PHM+ -1\n", "not~base64 0\n", "", "\x00\xff"])
def test_malformed_token_table_is_refused(tmp_path: Path, bad: str) -> None:
    (tmp_path / "tokens.txt").write_text(bad)
    with pytest.raises(DragomanError, match=r"tokens\.txt"):
        check_tokens(MOONSHINE, tmp_path / "tokens.txt", encoded=True)


def test_plain_token_table_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "tokens.txt").write_text("<blk> 0\n▁the 1\n▁ 2\n是 3\n")
    check_tokens(MOONSHINE, tmp_path / "tokens.txt", encoded=False)


def test_damaged_weights_are_one_clear_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DragomanError, match="cannot be loaded") as raised:
        load(MOONSHINE, folder, 1)
    assert "\n" not in str(raised.value)
