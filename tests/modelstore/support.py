"""A catalogue of made-up models, and stand-ins for the places that models come from, all on loopback."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from device.modelstore.catalogue import Catalogue, Derived, Model, ModelFile
from device.modelstore.store import ModelStore

REPOSITORY = "owner/repo"
DEADLINE = 60.0
"""Seconds after which a test that waits for something gives up."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def random_bytes(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress and are the same each time."""
    return hashlib.shake_256(str(seed).encode()).digest(size)


def hub(path: str) -> str:
    return f"hf:{REPOSITORY}@main/{path}"


def file(name: str, data: bytes, *sources: str, pinned: bool = True) -> ModelFile:
    if pinned:
        return ModelFile(name, sha256(data), len(data), tuple(sources))
    return ModelFile(name, sources=tuple(sources))


def model(model_id: str, *files: ModelFile, derived: tuple[Derived, ...] = (), **fields: Any) -> Model:
    described = {
        "task": "vad",
        "engine": "silero",
        "name": model_id,
        "licence": "MIT",
        "homepage": "https://example.org",
        "verified": all(f.sha256 for f in files),
    }
    return Model(model_id, files=files, derived=derived, **(described | fields))  # type: ignore[arg-type]


def store(folder: Path, *models: Model, offline: bool = False) -> ModelStore:
    return ModelStore(folder, offline=offline, catalogue=Catalogue({m.id: m for m in models}))


def write_catalogue(folder: Path, *models: Model) -> Path:
    """Write the models as the TOML files that a user would write."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in models:
        lines = [
            f"{key} = {json.dumps(getattr(entry, key))}"
            for key in ("id", "task", "engine", "name", "licence", "homepage", "verified", "default")
        ]
        for item in entry.files:
            lines += ["[[files]]", f'name = "{item.name}"', f"sources = {json.dumps(item.sources)}"]
            if item.sha256:
                lines += [f'sha256 = "{item.sha256}"', f"size = {item.size}"]
        (folder / f"{entry.id}.toml").write_text("\n".join(lines))
    return folder


class Hub(ThreadingHTTPServer):
    """Answers as a model hub does: ``X-Linked-Etag`` for files in LFS, the git id for others, ranges, redirects."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.files: dict[str, bytes] = {}
        self.plain: set[str] = set()
        """Files that are not in LFS."""
        self.etags: dict[str, str] = {}
        """Lies about hashes."""
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, path and range of each request."""
        self.cut: dict[str, int] = {}
        """Bytes after which the connection breaks, once."""
        self.cuts: dict[str, int] = {}
        """Bytes after which every connection breaks."""
        self.hold: dict[str, int] = {}
        """Bytes after which the answer stops until ``released``."""
        self.holding = threading.Event()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def gets(self, path: str) -> list[str | None]:
        """The ranges that were asked for of one file."""
        return [asked for method, name, asked in self.requests if method == "GET" and name == path]


class _HubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        path = self.path.removeprefix(f"/{REPOSITORY}/resolve/main/")
        data = self.server.files.get(path)
        self.server.requests.append(("HEAD", path, None))
        if data is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        self.send_response(200 if path in self.server.plain else 302)
        self.send_header("X-Repo-Commit", "c" * 40)
        if path in self.server.plain:
            self.send_header("ETag", f'"{self.server.etags.get(path, git)}"')
            self.send_header("Content-Length", str(len(data)))
        else:
            self.send_header("X-Linked-Etag", f'"{self.server.etags.get(path, sha256(data))}"')
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("Location", f"http://localhost:{self.server.server_port}/cdn/{path}")  # another host
            self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        path = self.path.removeprefix("/cdn/").removeprefix(f"/{REPOSITORY}/resolve/main/").lstrip("/")
        data = self.server.files.get(path)
        asked = self.headers.get("Range")
        self.server.requests.append(("GET", path, asked))
        if data is None:
            self.send_error(404)
            return
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if begin >= len(data) > 0:
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._send(path, data, begin)

    def _send(self, path: str, data: bytes, begin: int) -> None:
        if path in self.server.cut or path in self.server.cuts:
            size = self.server.cut.pop(path, 0) or self.server.cuts[path]
            self.wfile.write(data[begin : begin + size])
            self.close_connection = True
        elif path in self.server.hold:
            end = begin + self.server.hold.pop(path)
            self.wfile.write(data[begin:end])
            self.wfile.flush()
            self.server.holding.set()
            self.server.released.wait(DEADLINE)
            self.wfile.write(data[end:])
        else:
            self.wfile.write(data[begin:])


@contextlib.contextmanager
def running_hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, name="hub", kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def write_wheel(folder: Path, name: str, version: str, members: dict[str, bytes], tag: str = "any") -> Path:
    """Write a wheel that pip takes; ``tag`` is its platform."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    every = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-{tag}\n".encode(),
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}\n"
        for path, data in every.items()
    )
    wheel = folder / f"{name}-{version}-py3-none-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in every.items():
            archive.writestr(path, data)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return wheel


def dragoman(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the real command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "device", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
    )
