"""Releases small enough to install a hundred times, and a signer that writes minisign's format by its description."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device.update import bundle
from device.update.health import Health
from device.update.home import CURRENT, Home
from device.update.manifest import NAME, Entry, Manifest
from device.update.minisign import read_keys
from device.update.units import Units
from device.update.updater import Updater
from tools.release import entries

MACHINE = platform.machine()
PROGRAM = """\
#!/bin/sh
# A version of the program: {version}
case "$1" in
doctor) {doctor} ;;
models) {models} ;;
version) echo {version} ;;
esac
"""
WELL = """echo '{"check": "models", "status": "ok", "text": "all there"}'"""
ILL = """echo '{"check": "libraries", "status": "problem", "text": "cannot be loaded"}'; exit 1"""


class Signer:
    """A key pair; ``public`` is the file that the device has."""

    def __init__(self, folder: Path, name: str = "update") -> None:
        self._key = Ed25519PrivateKey.generate()
        self._id = os.urandom(8)
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        folder.mkdir(parents=True, exist_ok=True)
        self.public = folder / f"{name}.pub"
        line = base64.b64encode(b"Ed" + self._id + raw).decode()
        self.public.write_text(f"untrusted comment: minisign public key\n{line}\n")

    def sign(self, data: bytes, comment: str = "timestamp:1") -> bytes:
        signed = self._key.sign(hashlib.blake2b(data, digest_size=64).digest())
        sealed = self._key.sign(signed + comment.encode())
        head = base64.b64encode(b"ED" + self._id + signed).decode()
        tail = base64.b64encode(sealed).decode()
        return f"untrusted comment: x\n{head}\ntrusted comment: {comment}\n{tail}\n".encode()


def write_tree(
    folder: Path,
    version: str,
    serial: int,
    *,
    doctor: str = WELL,
    models: str = "true",
    machine: str = MACHINE,
    unit: str = "",
    **files,
) -> Path:
    """Write a release that is a shell script and some files, and may have units."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "dragoman"
    program.write_text(PROGRAM.format(version=version, doctor=doctor, models=models))
    program.chmod(0o755)
    (folder / "lib").mkdir()
    (folder / "lib" / "same").write_bytes(b"the same in every version\n" * 20)
    (folder / "lib" / "data").write_bytes(version.encode() * 300)
    (folder / "lib" / "link").symlink_to("data")
    if unit:
        (folder / "systemd").mkdir()
        (folder / "systemd" / "dragoman.service").write_text(unit)
    for name, data in files.items():
        (folder / "lib" / name).write_bytes(data)
    manifest = Manifest(version, serial, machine, code=entries(folder))
    (folder / NAME).write_bytes(manifest.encode())
    return folder


def write_bundle(target: Path, tree: Path, signer: Signer, *, without: tuple[str, ...] = ()) -> Path:
    """Write a bundle of a tree; ``without`` names files that the device is expected to have."""
    data = (tree / NAME).read_bytes()
    files = {
        entry.blob: tree / path for path, entry in entries(tree).items() if entry.link is None and path not in without
    }
    bundle.write(target, data, signer.sign(data), files)
    return target


def write_models(target: Path, serial: int, signer: Signer, models: dict[str, bytes]) -> Path:
    """Write a bundle of models alone; keys are ``<model id>/<file>`` and ``catalogue.d/<model id>.toml``."""
    blobs = {}
    found = {}
    folder = target.with_suffix(".files")
    folder.mkdir()
    for name, data in models.items():
        entry = Entry(hashlib.sha256(data).hexdigest(), len(data))
        found[name] = entry
        blobs[entry.blob] = folder / entry.blob
        blobs[entry.blob].write_bytes(data)
    manifest = Manifest(f"of {serial}".replace(" ", "-"), serial, "any", models=found).encode()
    bundle.write(target, manifest, signer.sign(manifest), blobs)
    return target


class Device:
    """A device with versions in a folder of its own."""

    def __init__(self, folder: Path, signer: Signer, health: Health | None = None) -> None:
        self.home = Home(folder / "home", folder / "modelsets")
        self.said: list[str] = []
        self.signer = signer
        nothing_booted = folder / "no-systemd"
        self.units = Units(folder / "packaged-units", folder / "units")
        health = health or Health(60, booted=nothing_booted)
        self.updater = Updater(self.home, health, self.said.append, self.units)

    def apply(self, path: Path, **options) -> Manifest:
        with path.open("rb") as stream:
            return self.updater.apply(stream, read_keys(self.signer.public), **options)

    def runs(self) -> str:
        """What the installed program says its version is; fails where no program can be run."""
        program = self.home.path / CURRENT / "code" / "bin" / "dragoman"
        assert os.access(program, os.X_OK)
        return program.read_text().splitlines()[1].rsplit(" ", 1)[-1]

    def is_whole(self) -> bool:
        """Whether every byte of the installed program is what its manifest says."""
        folder = self.home.path / CURRENT / "code"
        manifest = self.home.manifest(CURRENT)
        assert manifest is not None
        return entries(folder.resolve()) == dict(manifest.code) and not (folder.resolve().stat().st_mode & stat.S_IWOTH)


def finding(check: str, status: str = "problem", text: str = "so") -> str:
    """Return a line of the doctor's, as the shell prints it."""
    return "echo '" + json.dumps({"check": check, "status": status, "text": text}) + "'"
