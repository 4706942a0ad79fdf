"""Models from a folder or a USB stick, with no network at all."""

import shutil

import pytest

from device.errors import DragomanError
from device.modelstore.catalogue import Catalogue
from device.modelstore.store import ModelStore
from tests.modelstore.support import file, model, random_bytes, store, write_wheel
from tests.modelstore.support import hub as on_hub

DATA = random_bytes(500_000)
TOKENS = b"tokens" * 100


@pytest.fixture
def entries():
    return (
        model("one", file("model.onnx", DATA, on_hub("m")), file("tokens.txt", TOKENS, on_hub("t")), default=True),
        model("same", file("copy.onnx", DATA, on_hub("m"))),
        model("packed", file("a", TOKENS[:100], "pip:My_Voices==1.0:voices/a")),
    )


@pytest.fixture
def offline(tmp_path, entries):
    return ModelStore(tmp_path / "store", offline=True, catalogue=Catalogue({m.id: m for m in entries}))


def test_files_are_known_whatever_they_are_called(offline, tmp_path):
    stick = tmp_path / "stick" / "photos" / "holiday"
    stick.mkdir(parents=True)
    (stick / "IMG_0001.jpg").write_bytes(DATA)
    (stick / "IMG_0002.jpg").write_bytes(random_bytes(len(DATA), 1))  # of the same size, but another
    (tmp_path / "stick" / "tok").write_bytes(TOKENS)
    report = offline.import_folder(tmp_path / "stick")
    assert sorted(report.taken) == ["one/model.onnx", "one/tokens.txt", "same/copy.onnx"]
    assert sorted(report.complete) == ["one", "same"]
    assert report.missing == {}
    assert (offline.path("one") / "model.onnx").read_bytes() == DATA
    assert (stick / "IMG_0001.jpg").read_bytes() == DATA


def test_what_is_still_missing_is_told(offline, tmp_path):
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "x").write_bytes(DATA)
    report = offline.import_folder(stick)
    assert report.missing == {"one": ["tokens.txt"]}
    (stick / "y").write_bytes(TOKENS)
    report = offline.import_folder(stick)
    assert report.taken == ["one/tokens.txt"]
    assert report.complete == ["one"]


def test_packages_are_unpacked(offline, tmp_path):
    write_wheel(tmp_path / "stick", "my_voices", "1.0", {"voices/a": TOKENS[:100], "voices/b": b"b"})
    report = offline.import_folder(tmp_path / "stick")
    assert report.complete == ["packed"]
    assert offline.verify("packed") == []


def test_a_damaged_or_wrong_package_is_passed_over(offline, tmp_path):
    wheel = write_wheel(tmp_path / "stick", "my_voices", "1.0", {"voices/a": b"another"})
    assert offline.import_folder(tmp_path / "stick").taken == []
    wheel.write_bytes(wheel.read_bytes()[:100])
    assert offline.import_folder(tmp_path / "stick").taken == []


def test_another_machine_s_store_is_taken_whole(offline, tmp_path, hub, entries):
    hub.files = {"m": DATA, "t": TOKENS, "u": b"unpinned"}
    unpinned = model("fresh", file("deep/u", b"unpinned", on_hub("u"), pinned=False))
    everything = {m.id: m for m in (*entries, unpinned)}
    other = ModelStore(tmp_path / "other", catalogue=Catalogue(everything))
    other.pull(["one", "fresh"])
    shutil.copytree(other.directory, tmp_path / "stick", copy_function=shutil.copyfile)
    mine = ModelStore(tmp_path / "mine", offline=True, catalogue=Catalogue(everything))
    report = mine.import_folder(tmp_path / "stick")
    assert sorted(report.complete) == ["fresh", "one", "same"]
    assert (mine.path("fresh") / "deep" / "u").read_bytes() == b"unpinned"


def test_a_file_that_is_not_what_its_own_manifest_says_is_not_taken(tmp_path, hub):
    hub.files = {"u": b"unpinned"}
    unpinned = model("fresh", file("u", b"unpinned", on_hub("u"), pinned=False))
    other = store(tmp_path / "other", unpinned)
    other.pull(["fresh"])
    (tmp_path / "other" / "fresh" / "u").write_bytes(b"damaged!")
    report = store(tmp_path / "mine", unpinned, offline=True).import_folder(tmp_path / "other")
    assert report.taken == []


def test_a_folder_that_is_none_is_told(offline, tmp_path):
    with pytest.raises(DragomanError, match="absent is not a folder"):
        offline.import_folder(tmp_path / "absent")


def test_the_store_itself_is_not_imported(offline):
    offline.directory.mkdir()
    with pytest.raises(DragomanError, match="is in the model store itself"):
        offline.import_folder(offline.directory)


def test_a_file_that_models_share_does_not_begin_the_models_that_were_not_brought(tmp_path):
    shared, small, large = random_bytes(100, 1), random_bytes(200, 2), random_bytes(300, 3)
    models = [
        model("small", file("tokens", shared, on_hub("t")), file("net", small, on_hub("s"))),
        model("large", file("tokens", shared, on_hub("t")), file("net", large, on_hub("l"))),
    ]
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "a").write_bytes(shared)
    (stick / "b").write_bytes(small)
    brought = store(tmp_path / "store", *models)
    assert brought.import_folder(stick).complete == ["small"]
    assert brought.begun() == ["small"]
    (stick / "c").write_bytes(large)
    assert brought.import_folder(stick).complete == ["large"]
