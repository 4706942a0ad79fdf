"""One model's folder in the store: what is whole, what is missing, and how files get into it."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

from device.errors import DragomanError
from device.modelstore import derive
from device.modelstore.catalogue import Derived, Model, ModelFile
from device.modelstore.files import install, plain_disk_errors, sha256_of
from device.modelstore.manifest import NEVER, Manifest, record
from device.modelstore.progress import Progress


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with an installed file."""

    model: str
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.model}: {self.file} {self.reason}"


class ModelFolder:
    """The folder of ``model`` at ``path``; unfinished files lie in ``work``, on the same disk.

    Whoever calls a method that changes something holds the store's lock.
    """

    def __init__(self, model: Model, path: Path, work: Path) -> None:
        self.model = model
        self.path = path
        self._work = work

    def is_whole(self, file: ModelFile) -> bool:
        """Whether a file was verified and still has the size and time that it had then."""
        return self._is_whole(file, Manifest.read(self.path))

    def is_installed(self) -> bool:
        """Whether all files have the size they should; derived ones may still have to be made.

        Of a copy of a store the times differ: its files are read again before they are used.
        """
        recorded = Manifest.read(self.path).files
        return all(
            (entry := recorded.get(file.name)) is not None
            and file.accepts(entry.sha256, entry.size)
            and entry.has_size(self.path / file.name)
            for file in self.model.files
        )

    def is_ready(self) -> bool:
        """Whether every file, derived ones included, looks whole and is up to date."""
        manifest = Manifest.read(self.path)
        return all(self._is_whole(file, manifest) for file in self.model.files) and all(
            self._is_derived(step, manifest) for step in self.model.derived
        )

    def pinned(self, file: ModelFile) -> str | None:
        """Return the hash that a file without one in the catalogue had when it was first installed."""
        entry = Manifest.read(self.path).files.get(file.name)
        return entry.sha256 if entry is not None and file.sha256 is None else None

    def place(self, file: ModelFile, partial: Path, sha256: str, origin: str) -> None:
        """Give a verified file its name and record it."""
        target = self.path / file.name
        install(partial, target)
        manifest = Manifest.read(self.path)
        manifest.files[file.name] = record(target, origin, sha256)
        manifest.write(self.path)

    def settle(self, *, thorough: bool = False) -> list[Problem]:
        """Bring the manifest in line with the files and return what is wrong with them.

        Files are read where their size or time is not the recorded one, or all of them when ``thorough``. Files
        without a record (somebody copied them here) are taken in when their hash is the catalogue's.
        """
        before = Manifest.read(self.path)
        after = Manifest(dict(before.files), dict(before.derived))
        problems = [
            Problem(self.model.id, file.name, reason)
            for file in self.model.files
            if (reason := self._settle_file(file, after, thorough=thorough))
        ]
        for name, entry in before.derived.items():
            target = self.path / name
            if not thorough and entry.looks_whole(target):
                continue
            if target.is_file() and sha256_of(target) == entry.sha256:
                after.derived[name] = record(target, entry.origin, entry.sha256)
            else:
                del after.derived[name]
        if after != before:
            with contextlib.suppress(DragomanError), plain_disk_errors(self.path):
                after.write(self.path)
        return problems

    def derive(self, progress: Progress) -> None:
        """Make the derived files that are missing or outdated.

        Raises
        ------
        DragomanError
            A tool refused the model.
        """
        for step in self.model.derived:
            manifest = Manifest.read(self.path)
            if self._is_derived(step, manifest):
                continue
            with progress.task(f"preparing {self.model.id} ({step.tool})"):
                made = self._run_tool(step)
            origin = self._stamp(step, manifest)
            for name in [n for n, entry in manifest.derived.items() if entry.origin == origin]:
                del manifest.derived[name]
            manifest.derived.update((name, record(self.path / name, origin)) for name in made)
            manifest.write(self.path)

    def _is_whole(self, file: ModelFile, manifest: Manifest) -> bool:
        entry = manifest.files.get(file.name)
        return entry is not None and file.accepts(entry.sha256, entry.size) and entry.looks_whole(self.path / file.name)

    def _stamp(self, step: Derived, manifest: Manifest) -> str:
        return derive.stamp(step, {name: manifest.files[name].sha256 for name in step.inputs})

    def _is_derived(self, step: Derived, manifest: Manifest) -> bool:
        origin = self._stamp(step, manifest)
        made = {name: entry for name, entry in manifest.derived.items() if entry.origin == origin}
        return set(step.outputs) <= set(made) and all(
            entry.looks_whole(self.path / name) for name, entry in made.items()
        )

    def _settle_file(self, file: ModelFile, manifest: Manifest, *, thorough: bool) -> str | None:
        path = self.path / file.name
        entry = manifest.files.get(file.name)
        if not path.is_file():
            return "is missing"
        if not thorough and self._is_whole(file, manifest):
            return None
        size = path.stat().st_size
        if file.size is not None and not file.variants and size != file.size:
            return f"has {size} bytes instead of {file.size}"
        if file.sha256 is None and entry is None:
            return "was never verified"
        digest = sha256_of(path)
        if not file.accepts(digest, size) or (file.sha256 is None and entry is not None and digest != entry.sha256):
            if entry is not None:
                manifest.files[file.name] = dataclasses.replace(entry, mtime=NEVER)
            return "does not have its SHA-256"
        manifest.files[file.name] = record(path, entry.origin if entry else "folder", digest)
        return None

    def _run_tool(self, step: Derived) -> list[str]:
        """Run a tool on links to its inputs in a folder of its own, then move in what it wrote."""
        scratch = self._work / f"derive-{self.model.id}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            for name in step.inputs:
                link = scratch / name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(self.path.absolute() / name)
            try:
                derive.TOOLS[step.tool].run(scratch, step)
            except DragomanError as error:
                raise DragomanError(f"model {self.model.id} cannot be prepared: {error}") from None
            made = [path for path in sorted(scratch.rglob("*")) if path.is_file() and not path.is_symlink()]
            names = [str(path.relative_to(scratch)) for path in made]
            if absent := set(step.outputs) - set(names):
                raise DragomanError(f"model {self.model.id}: {step.tool} did not write {', '.join(sorted(absent))}")
            for path, name in zip(made, names, strict=True):
                install(path, self.path / name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return names
