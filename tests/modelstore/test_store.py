"""What is in the store is whole, and the store knows when it is not."""

import os
import shutil
from pathlib import Path

import pytest

from device.config import ModelSettings, Settings
from device.errors import DragomanError
from device.modelstore.store import ModelStore, default_directory
from tests.modelstore.support import file, model, random_bytes, store
from tests.modelstore.support import hub as on_hub

DATA = random_bytes(2_000_000)


@pytest.fixture
def installed(hub, tmp_path):
    """A store with one installed model of two files."""
    hub.files = {"model": DATA, "tokens": b"tokens"}
    models = store(
        tmp_path / "store",
        model("one", file("model", DATA, on_hub("model")), file("sub/tokens", b"tokens", on_hub("tokens"))),
    )
    models.pull(["one"])
    hub.requests.clear()
    return models


def test_opening_reads_no_bytes(installed, monkeypatch):
    monkeypatch.setattr("device.modelstore.modelfolder.sha256_of", lambda _: pytest.fail("a file was read"))
    assert installed.path("one") == installed.directory / "one"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(DATA[:-1]), r"damaged \(model has 1999999 bytes instead of 2000000\)"),
        (lambda path: path.write_bytes(b""), r"damaged \(model has 0 bytes instead of 2000000\)"),
        (lambda path: path.write_bytes(random_bytes(len(DATA), 4)), r"damaged \(model does not have its SHA-256\)"),
        (lambda path: path.unlink(), r"not complete \(model is missing\)"),
        (lambda path: (path.unlink(), path.mkdir()), r"not complete \(model is missing\)"),
    ],
)
def test_a_damaged_file_is_found_when_the_model_is_opened_and_mended_by_a_pull(installed, damage, reason):
    damage(installed.directory / "one" / "model")
    with pytest.raises(DragomanError, match=rf"model one is {reason}: run `dragoman models pull one`"):
        installed.path("one")
    if (installed.directory / "one" / "model").is_dir():
        (installed.directory / "one" / "model").rmdir()
    installed.pull(["one"])
    assert (installed.path("one") / "model").read_bytes() == DATA


def test_bits_that_rot_under_an_unchanged_time_are_found_by_verify(installed, hub):
    path = installed.directory / "one" / "model"
    before = path.stat()
    path.write_bytes(random_bytes(len(DATA), 4))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert installed.path("one")
    assert [str(problem) for problem in installed.verify("one")] == ["one: model does not have its SHA-256"]
    with pytest.raises(DragomanError, match="is damaged"):
        installed.path("one")
    installed.pull(["one"])
    assert hub.gets("model") == [None]
    assert hub.gets("tokens") == []
    assert installed.verify("one") == []


def test_a_copied_store_works_though_every_time_differs(installed, tmp_path, hub):
    copy = tmp_path / "copy"
    shutil.copytree(installed.directory, copy, copy_function=shutil.copyfile)
    other = ModelStore(copy, offline=True, catalogue=installed.catalogue)
    assert (other.path("one") / "model").read_bytes() == DATA
    assert other.installed() == ["one"]


def test_files_that_somebody_put_there_by_hand_are_taken_in(installed, tmp_path):
    folder = tmp_path / "hand" / "one"
    (folder / "sub").mkdir(parents=True)
    (folder / "model").write_bytes(DATA)
    (folder / "sub" / "tokens").write_bytes(b"tokens")
    assert ModelStore(tmp_path / "hand", offline=True, catalogue=installed.catalogue).path("one") == folder


def test_a_damaged_manifest_only_costs_time(installed, hub):
    (installed.directory / "one" / ".manifest.json").write_text('{"format": 1, "files": {"model": 3}')
    assert installed.path("one")
    assert installed.installed() == ["one"]
    assert hub.requests == []


def test_a_catalogue_that_wants_other_bytes_makes_the_model_incomplete(installed, hub):
    newer = random_bytes(100, 8)
    hub.files["newer"] = newer
    changed = model("one", file("model", newer, on_hub("newer")), installed.catalogue["one"].files[1])
    models = store(installed.directory, changed)
    assert models.installed() == []
    models.pull(["one"])
    assert (models.path("one") / "model").read_bytes() == newer
    assert hub.gets("tokens") == []


def test_removing_frees_the_disk(installed):
    assert installed.disk_size("one") > len(DATA)
    assert installed.remove("one")
    assert not installed.remove("one")
    assert [path.name for path in installed.directory.iterdir()] == [".lock"]
    with pytest.raises(DragomanError, match="model one is not installed: run `dragoman models pull one`"):
        installed.path("one")


def test_too_little_room_is_told_before_anything_is_fetched(hub, tmp_path, monkeypatch):
    hub.files = {"model": DATA}
    monkeypatch.setattr("device.modelstore.store.free_bytes", lambda _: 1_000_000)
    models = store(tmp_path, model("one", file("model", DATA, on_hub("model"))))
    with pytest.raises(DragomanError, match=r"is full \(2.0 MB needed"):
        models.pull(["one"])
    assert hub.requests == []


def test_a_folder_that_may_not_be_written_is_told(hub, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    models = store(blocker / "store", model("one", file("model", DATA, on_hub("model"))))
    with pytest.raises(DragomanError) as caught:
        models.pull(["one"])
    assert "Not a directory" in str(caught.value)


def test_the_store_is_where_environment_and_settings_say(monkeypatch, tmp_path):
    for name in ("DRAGOMAN_MODELS", "STATE_DIRECTORY", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_directory() == tmp_path / ".local/share/dragoman/models"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_directory() == Path("/data/dragoman/models")
    monkeypatch.setenv("STATE_DIRECTORY", "/state:/other")
    assert default_directory(Settings()) == Path("/state/models")
    configured = Settings(models=ModelSettings(directory=Path("/configured")))
    assert default_directory(configured) == Path("/configured")
    monkeypatch.setenv("DRAGOMAN_MODELS", "/own")
    assert default_directory(configured) == Path("/own")
