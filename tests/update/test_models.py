"""Models are updated like the program: signed, at once, and with a way back."""

import sys
import tomllib

import pytest

from device.errors import DragomanError
from device.modelstore.loading import load_catalogue
from device.modelstore.store import ModelStore
from device.update.home import CURRENT
from tests.modelstore.support import file, hub, model, write_catalogue
from tests.update.support import Device, write_models, write_tree

REAL = f'DRAGOMAN_CATALOGUE= exec {sys.executable} -m device "$@"'
"""What a version does with ``models import``: the real thing."""


@pytest.fixture
def device(tmp_path, signer, monkeypatch):
    """A device with a version that has the real ``dragoman models``."""
    device = Device(tmp_path / "device", signer)
    tree = write_tree(tmp_path / "v1", "1.0", 100, models=REAL)
    device.updater.adopt(tree)
    return device


@pytest.fixture
def bundle(tmp_path, signer):
    """Make a bundle of one model whose only file has the given bytes."""

    def make(serial: int, data: bytes, promised: bytes | None = None):
        described = model("talk", file("talk.onnx", data if promised is None else promised, hub("talk")))
        entry = (write_catalogue(tmp_path / f"catalogue-{serial}", described) / "talk.toml").read_bytes()
        files = {"talk/talk.onnx": data, "catalogue.d/talk.toml": entry}
        return write_models(tmp_path / f"{serial}.update", serial, signer, files)

    return make


def store(device: Device) -> ModelStore:
    folder = device.home.models(device.home.generation(CURRENT))
    return ModelStore(folder, catalogue=load_catalogue([folder / "catalogue.d"]))


def content(device: Device) -> bytes:
    return (store(device).path("talk") / "talk.onnx").read_bytes()


def test_models_are_updated_and_the_ones_before_are_kept(device, bundle):
    device.apply(bundle(200, b"first" * 100))
    assert content(device) == b"first" * 100
    device.apply(bundle(300, b"second" * 100))
    assert content(device) == b"second" * 100
    assert store(device).verify("talk") == []
    device.updater.rollback()
    assert content(device) == b"first" * 100
    assert store(device).verify("talk") == []


def test_models_that_are_not_what_their_catalogue_says_change_nothing(device, bundle):
    device.apply(bundle(200, b"first" * 100))
    with pytest.raises(DragomanError, match="models cannot be used"):
        device.apply(bundle(300, b"other" * 100, promised=b"third" * 100))
    assert content(device) == b"first" * 100


def test_program_and_models_are_numbered_apart(device, bundle):
    device.apply(bundle(50, b"first" * 100))  # older than the program, and yet the newest models
    with pytest.raises(DragomanError, match="older"):
        device.apply(bundle(49, b"zeroth" * 100))
    assert device.home.state().highest == {"program": 100, "models": 50}


def test_a_pull_after_an_update_does_not_touch_the_models_before(device, bundle):
    device.apply(bundle(200, b"first" * 100))
    before = device.home.models(device.home.generation(CURRENT))
    device.apply(bundle(300, b"second" * 100))
    now = device.home.models(device.home.generation(CURRENT))
    (now / "talk" / "talk.onnx").unlink()
    (now / "catalogue.d" / "talk.toml").unlink()
    assert (before / "talk" / "talk.onnx").read_bytes() == b"first" * 100
    assert tomllib.loads((before / "catalogue.d" / "talk.toml").read_text())["id"] == "talk"
