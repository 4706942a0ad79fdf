"""What can be converted is, whole or not at all; what cannot be is refused in one line that says why."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.engines.bergamot import convert as conversion
from device.engines.bergamot import load
from device.engines.bergamot.architecture import parse_settings
from device.engines.bergamot.container import FLOAT32, Container
from device.engines.bergamot.convert import OUTPUTS, convert
from device.errors import DragomanError
from device.modelstore.catalogue import Model
from tests.engines.bergamot.student import TinyStudent, write_container

MODEL = Model(
    id="mt-tiny", task="mt", engine="bergamot", name="Tiny", licence="none", homepage="", source="en", target="pt"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, bytes]:
    """The three files of a tiny student."""
    folder = tmp_path_factory.mktemp("whole")
    TinyStudent().write(folder)
    return tuple((folder / name).read_bytes() for name in conversion.INPUTS)  # type: ignore[return-value]


def put(folder: Path, files: tuple[bytes, bytes, bytes]) -> Path:
    for name, content in zip(conversion.INPUTS, files, strict=True):
        (folder / name).write_bytes(content)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(DragomanError) as caught:
        convert(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert not [name for name in OUTPUTS if (folder / name).exists()], "nothing half-made is left"
    assert not list(folder.glob(".*"))
    return message


def test_conversion_makes_every_output_and_nothing_else(tmp_path: Path, whole: tuple[bytes, bytes, bytes]) -> None:
    convert(put(tmp_path, whole))
    assert {path.name for path in tmp_path.iterdir()} == {*conversion.INPUTS, *OUTPUTS}
    before = {name: (tmp_path / name).read_bytes() for name in OUTPUTS}
    convert(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in OUTPUTS} == before, "the same every time"


@pytest.mark.parametrize(("setting", "value", "named"), [
    ("type", "s2s", "type is 's2s'"),
    ("dec-cell", "gru", "dec-cell is 'gru'"),
    ("transformer-decoder-autoreg", "self-attention", "transformer-decoder-autoreg is 'self-attention'"),
    ("transformer-preprocess", "n", "transformer-preprocess is 'n'"),
    ("transformer-ffn-activation", "swish", "transformer-ffn-activation is 'swish'"),
    ("transformer-train-position-embeddings", "true", "transformer-train-position-embeddings is 'true'"),
    ("transformer-tied-layers", "\n  - 1\n  - 1", "transformer-tied-layers is '[1,1]'"),
    ("tied-embeddings-all", "false", "tied-embeddings-all is 'false'"),
    ("dim-vocabs", "\n  - 100\n  - 200", "separate vocabularies"),
    ("transformer-heads", "5", "does not divide into 5 heads"),
    ("transformer-heads", "many", "make no sense"),
    ("enc-depth", "0", "not positive"),
    ("enc-depth", "3", "no tensor 'encoder_l3_self_Wq'"),
    ("dim-emb", "32", "embeddings are"),
])  # fmt: skip
def test_another_architecture_is_refused_by_what_differs(tmp_path: Path, setting: str, value: str, named: str) -> None:
    TinyStudent(settings={setting: value}).write(tmp_path)
    assert named in refusal(tmp_path)


def test_every_difference_is_named(tmp_path: Path) -> None:
    TinyStudent(settings={"dec-cell": "gru", "transformer-preprocess": "n"}).write(tmp_path)
    message = refusal(tmp_path)
    assert "dec-cell" in message
    assert "transformer-preprocess" in message


def test_weights_made_for_one_processor_are_refused(tmp_path: Path) -> None:
    student = TinyStudent().write(tmp_path)
    avx2 = 0x4121
    items = [(n, avx2 if n == "encoder_l1_self_Wq" else t, s, d) for n, t, s, d in student.items()]
    (tmp_path / "model.bin").write_bytes(write_container(items))
    assert "0x4121" in refusal(tmp_path)


def test_a_tensor_of_the_wrong_shape_is_refused(tmp_path: Path) -> None:
    student = TinyStudent(form="float").write(tmp_path)
    items = [
        (n, t, (24, 16) if n == "encoder_l1_self_Wo" else s, bytes(4 * 24 * 16) if n == "encoder_l1_self_Wo" else d)
        for n, t, s, d in student.items()
    ]
    (tmp_path / "model.bin").write_bytes(write_container(items))
    assert "fit" in refusal(tmp_path)


@pytest.mark.parametrize("name", conversion.INPUTS)
def test_a_missing_file_is_named(tmp_path: Path, whole: tuple[bytes, bytes, bytes], name: str) -> None:
    put(tmp_path, whole)
    (tmp_path / name).unlink()
    assert name in refusal(tmp_path)


@pytest.mark.parametrize("name", conversion.INPUTS)
@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.9, -1])
def test_a_truncated_file_is_named(tmp_path: Path, whole: tuple[bytes, bytes, bytes], name: str, keep: float) -> None:
    put(tmp_path, whole)
    path = tmp_path / name
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))] if isinstance(keep, float) else content[:keep])
    assert name in refusal(tmp_path)


def test_a_longer_file_than_its_index_is_refused(tmp_path: Path, whole: tuple[bytes, bytes, bytes]) -> None:
    put(tmp_path, (whole[0] + b"\0", *whole[1:]))
    assert "where its index says" in refusal(tmp_path)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_end_in_a_traceback(
    tmp_path: Path, whole: tuple[bytes, bytes, bytes], data: st.DataObject
) -> None:
    which = data.draw(st.sampled_from([0, 2]))
    content = bytearray(whole[which])
    # Mostly in the index, where a number rules the reading.
    place = data.draw(st.integers(0, min(len(content), 9000) - 8))
    content[place : place + 8] = data.draw(
        st.one_of(st.binary(min_size=8, max_size=8), st.sampled_from([2**63, 2**64 - 1, 0, 1, 256])
                  .map(lambda n: struct.pack("<Q", n)))
    )  # fmt: skip
    files = list(whole)
    files[which] = bytes(content)
    put(tmp_path, tuple(files))  # type: ignore[arg-type]
    try:
        convert(tmp_path)
    except DragomanError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right, a traceback is not


def test_the_index_leads_exactly_to_the_end_of_the_file(tmp_path: Path) -> None:
    student = TinyStudent().write(tmp_path)
    container = Container.open(tmp_path / "model.bin")
    assert sum(len(item.data) for item in container.items.values()) < (tmp_path / "model.bin").stat().st_size
    assert set(container.items) == {name for name, *_ in student.items()}
    assert container.items["none_QuantMultA"].type == FLOAT32
    assert (container.quantized("Wemb").values == student.parameters["Wemb"].values).all()


def test_a_full_disk_leaves_the_old_conversion(
    tmp_path: Path, whole: tuple[bytes, bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(put(tmp_path, whole))
    before = {name: (tmp_path / name).read_bytes() for name in OUTPUTS}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion.np, "save", full)
    with pytest.raises(DragomanError, match="No space left on device"):
        convert(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name in OUTPUTS} == before
    assert not list(tmp_path.glob(".*"))


def test_an_older_conversion_is_not_loaded(tmp_path: Path, whole: tuple[bytes, bytes, bytes]) -> None:
    convert(put(tmp_path, whole))
    path = tmp_path / conversion.DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 0}))
    with pytest.raises(DragomanError, match="pull the model again"):
        load(MODEL, tmp_path, 1)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_damaged_conversion_is_one_clear_line(tmp_path: Path, whole: tuple[bytes, bytes, bytes], name: str) -> None:
    convert(put(tmp_path, whole))
    path = tmp_path / name
    for content in (b"", path.read_bytes()[:50]):
        path.write_bytes(content)
        with pytest.raises(DragomanError) as caught:
            load(MODEL, tmp_path, 1)
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(DragomanError):
        load(MODEL, tmp_path, 1)


def test_flat_yaml_is_read() -> None:
    text = "a: 1\nb: \"\"\nc:\n  - 3\n  - 4\nd: []\n# no: comment\ne: 'x'\n"
    assert parse_settings(text) == {"a": "1", "b": "", "c": "[3,4]", "d": "[]", "e": "x"}
