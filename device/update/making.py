"""Makes a generation, complete and on the disk, of what an update brings and what is here already."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from device.errors import DragomanError
from device.modelstore.files import free_bytes, human, sha256_of
from device.update.bundle import Bundle
from device.update.health import Health
from device.update.home import CURRENT, GOOD, NOT_COPIED, Home
from device.update.manifest import NAME, Entry, Manifest
from device.update.trees import link_or_copy, link_tree, sync_all

PULL = 3600.0
"""Seconds for fetching models."""
ROOM = 64_000_000
"""Bytes that an update leaves free."""


class Maker:
    """Makes generations; nothing of what runs is touched.

    Parameters
    ----------
    home
        Where they go.
    health
        Calls the programs that import models.
    say
        Receives a line about what did not work and need not.
    """

    def __init__(self, home: Home, health: Health, say: Callable[[str], None]) -> None:
        self._home, self._health, self._say = home, health, say

    @contextmanager
    def cleaned_up(self) -> Iterator[None]:
        """Leave nothing of a version that could not be made complete: the disk may be full of it."""
        try:
            yield
        except Exception:
            with suppress(OSError):
                self._home.prune()
            raise

    def unpack(self, bundle: Bundle) -> tuple[Path | None, Path | None]:
        """Unpack a bundle and return the folders of its program and its models, each complete."""
        manifest = bundle.manifest
        staging = self._home.fresh_staging()
        need = sum(entry.size for entry in manifest.files.values()) + ROOM
        if need > (free := free_bytes(staging)):
            raise DragomanError(
                f"the update needs {human(need)}, and {human(free)} are free on the disk of {self._home.path}"
            )
        blobs = staging / "files"
        blobs.mkdir()
        bundle.unpack(blobs)
        self._borrow(manifest, blobs)
        code = _arrange(manifest.code, blobs, staging / "code") if manifest.code else None
        models = _arrange(manifest.models, blobs, staging / "models") if manifest.models else None
        if code is not None:
            (code / NAME).write_bytes(manifest.encode())
        shutil.rmtree(blobs)
        return code, models

    def _borrow(self, manifest: Manifest, blobs: Path) -> None:
        """Take files that the bundle leaves out from the version that runs, if it still has their bytes."""
        missing = {name: entry for name, entry in manifest.files.items() if not (blobs / name).exists()}
        if missing and (current := self._home.manifest(CURRENT)) is not None:
            folder = self._home.path.joinpath(CURRENT, "code").resolve()
            for path, entry in current.code.items():
                if entry.link is None and entry.blob in missing and _is(folder / path, entry):
                    link_or_copy(folder / path, blobs / entry.blob)
                    del missing[entry.blob]
        if missing:
            raise DragomanError(
                f"the update leaves out {len(missing)} file{'s' * (len(missing) != 1)} that this machine lacks:"
                " take the full one"
            )

    def add(self, manifest: Manifest, code: Path | None, models: Path | None) -> int:
        """Make a generation of a staged program, or the one that runs, and staged models; return its number."""
        home = self._home
        good = home.generation(GOOD)
        if code is not None:
            place = home.add_version(code, f"{manifest.version}-{manifest.serial}")
        elif good is None:
            raise DragomanError("these are models alone, and no program is installed")
        else:
            place = home.code(good)
        number = home.next_generation()
        home.add_generation(number, place, self._model_set(number, good, place, models))
        return number

    def _model_set(self, number: int, good: int | None, code: Path, models: Path | None) -> Path:
        """Make a set of models from the one in use and what an update brings."""
        sets = self._home.model_sets
        target = sets / str(number)
        shutil.rmtree(target, ignore_errors=True)
        sets.mkdir(parents=True, exist_ok=True)
        old = self._home.models(good) if good is not None else None
        if old is not None and old.is_dir():
            link_tree(old, target, ignore=NOT_COPIED)
        else:
            target.mkdir()
            status = sets.parent.stat()
            if os.geteuid() == 0:
                os.chown(target, status.st_uid, status.st_gid)
                os.chown(sets, status.st_uid, status.st_gid)
        if models is not None:
            self._import(code, models, self._health.own_models or target)
        if old is not None:
            self._complete(code, target)
        sync_all(target)
        return target

    def _import(self, code: Path, models: Path, target: Path) -> None:
        entries = models / "catalogue.d"
        if entries.is_dir():
            owner = target.stat()
            (target / "catalogue.d").mkdir(exist_ok=True)
            for entry in entries.iterdir():
                new = target / "catalogue.d" / entry.name
                new.unlink(missing_ok=True)
                shutil.copy(entry, new)
            if os.geteuid() == 0:
                for path in (target / "catalogue.d", *(target / "catalogue.d").iterdir()):
                    os.chown(path, owner.st_uid, owner.st_gid)
        done = self._health.call(code, target, "models", "import", str(models))
        # What it makes of models that the update does not bring is its own affair.
        for path in (path for path in models.rglob("*") if path.is_file()):
            arrived = target / path.relative_to(models)
            if not arrived.is_file() or sha256_of(arrived) != sha256_of(path):
                reason = done.stderr.strip()[-300:] or f"{arrived.name} is not the one that the catalogue names"
                raise DragomanError(f"the update's models cannot be used: {reason}")

    def _complete(self, code: Path, target: Path) -> None:
        """Fetch what a new catalogue wants and the update did not bring, where there is a network."""
        try:
            done = self._health.call(code, target, "models", "pull", "--configured", timeout=PULL)
        except (OSError, subprocess.TimeoutExpired):
            return  # the health check will have its say
        if done.returncode:
            self._say(f"models: {done.stderr.strip()[-300:]}")


def _is(path: Path, entry: Entry) -> bool:
    """Whether a file is there and readable and what it should be."""
    try:
        return sha256_of(path) == entry.sha256
    except OSError:
        return False


def _arrange(entries: Mapping[str, Entry], blobs: Path, folder: Path) -> Path:
    """Give files their paths."""
    folder.mkdir()
    for path, entry in entries.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.link is not None:
            target.symlink_to(entry.link)
        else:
            link_or_copy(blobs / entry.blob, target)
    return folder
