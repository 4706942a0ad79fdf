"""The model store: a folder of verified models, ``<store>/<model id>/<file name>``.

Everything that changes the store holds one lock between processes and gives files their names only when they
are whole, so a pull may be killed at any moment and two may run at once. Reading takes no lock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from device.config import Settings
from device.errors import DragomanError
from device.modelstore import derive
from device.modelstore.catalogue import Catalogue, Derived, Model, ModelFile
from device.modelstore.fetch import Fetcher, UnobtainableError
from device.modelstore.files import (
    copy_stream,
    disk_full,
    free_bytes,
    install,
    locked,
    plain_disk_errors,
    sha256_of,
)
from device.modelstore.importing import ImportReport, Match, by_hash, by_name, packages_in, packages_of, scan
from device.modelstore.loading import load_catalogue, packaged_folder
from device.modelstore.manifest import NEVER, Manifest, record
from device.modelstore.progress import Progress, Silent, Task

_WORK = ".partial"
_PACKAGES = ".packages"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with an installed file."""

    model: str
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.model}: {self.file} {self.reason}"


def default_directory(settings: Settings | None = None) -> Path:
    """Return where models live.

    ``$DRAGOMAN_MODELS``, else the settings, else systemd's state folder, else the user's data folder.
    """
    if own := os.environ.get("DRAGOMAN_MODELS"):
        return Path(own).expanduser()
    if settings is not None and settings.models.directory is not None:
        return settings.models.directory.expanduser()
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.split(":", 1)[0]) / "models"
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "dragoman" / "models"


def open_store(settings: Settings | None = None) -> ModelStore:
    """Return the store that the settings and the environment name."""
    return ModelStore(default_directory(settings), offline=settings is not None and settings.models.offline)


class ModelStore:
    """Installed models, and how to get more.

    Parameters
    ----------
    directory
        The store; by default see ``default_directory``. It is made when something is put into it.
    offline
        Never fetch.
    catalogue
        What there is; by default the packaged catalogue, ``<store>/catalogue.d`` and ``$DRAGOMAN_CATALOGUE``.
    """

    def __init__(
        self, directory: Path | None = None, *, offline: bool = False, catalogue: Catalogue | None = None
    ) -> None:
        self.directory = directory or default_directory()
        self.offline = offline
        self._catalogue = catalogue

    @property
    def catalogue(self) -> Catalogue:
        """Every model that is known; read at first use."""
        if self._catalogue is None:
            self._catalogue = load_catalogue([packaged_folder(), self.directory / "catalogue.d"])
        return self._catalogue

    def path(self, model_id: str) -> Path:
        """Return the folder of an installed model, ready to be loaded.

        Sizes and times are compared with what was verified, which costs microseconds. A file whose time
        changed is read again, and derived files that are missing or outdated are made anew.

        Raises
        ------
        DragomanError
            The model is not installed, or is damaged, with what to do.
        UsageError
            There is no such model.
        """
        model = self.catalogue[model_id]
        folder = self.directory / model.id
        if self._is_ready(model):
            return folder
        if not folder.is_dir():
            raise DragomanError(f"model {model.id} is not installed: {self._remedy(model)}")
        with plain_disk_errors(self.directory), self._lock(Silent()):
            problems = self._settle(model)
            if problems:
                state = "not complete" if all(p.reason == "is missing" for p in problems) else "damaged"
                first = f"{problems[0].file} {problems[0].reason}"
                raise DragomanError(f"model {model.id} is {state} ({first}): {self._remedy(model)}")
            self._derive(model, Silent())
        return folder

    def is_installed(self, model_id: str) -> bool:
        """Whether all files of a model are there and look whole (derived files may still have to be made)."""
        model = self.catalogue[model_id]
        manifest = Manifest.read(self.directory / model.id)
        return all(self._looks_whole(model, file, manifest) for file in model.files)

    def installed(self) -> list[str]:
        """Return the ids of all installed models, sorted."""
        if not self.directory.is_dir():
            return []
        folders = {path.name for path in self.directory.iterdir() if path.is_dir()}
        return sorted(name for name in folders if name in self.catalogue and self.is_installed(name))

    def disk_size(self, model_id: str) -> int:
        """Return the bytes that a model takes in the store, derived files included."""
        folder = self.directory / self.catalogue[model_id].id
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def verify(self, model_id: str) -> list[Problem]:
        """Read every byte of a model and return what is wrong; a damaged file no longer counts as installed.

        A damaged derived file is simply made again.
        """
        model = self.catalogue[model_id]
        with plain_disk_errors(self.directory), self._lock(Silent()):
            problems = self._settle(model, thorough=True)
            if not problems:
                self._derive(model, Silent())
            return problems

    def pull(self, ids: Iterable[str], progress: Progress | None = None) -> None:
        """Fetch what is missing of the models, verify it, and make what is derived from it.

        Files that are already right are not fetched again; a pull that was interrupted goes on where it was.

        Raises
        ------
        DragomanError
            A file cannot be had from any of its sources, the disk is full, or the store is offline.
        UsageError
            There is no such model.
        """
        progress = progress or Silent()
        models = [self.catalogue[model_id] for model_id in dict.fromkeys(ids)]
        if all(self._is_ready(model) for model in models):
            return
        with plain_disk_errors(self.directory), self._lock(progress):
            missing = {model.id: [problem.file for problem in self._settle(model)] for model in models}
            wanted = [(m, f) for m in models for f in m.files if f.name in missing[m.id]]
            if wanted and self.offline:
                names = " ".join(dict.fromkeys(model.id for model, _ in wanted))
                raise DragomanError(
                    f"offline: {names} cannot be fetched; use `dragoman models import FOLDER`"
                )
            self._check_room(wanted)
            fetcher = self._fetcher(progress)
            fetcher.tidy()
            failures: list[DragomanError] = []
            for model in models:
                try:
                    for file in model.files:
                        if file.name in missing[model.id]:
                            self._obtain(fetcher, model, file)
                    self._derive(model, progress)
                except UnobtainableError as error:
                    failures.append(error)
            if failures:
                more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
                raise DragomanError(f"{failures[0]}{more}")
            fetcher.close()

    def import_folder(self, folder: Path, progress: Progress | None = None) -> ImportReport:
        """Take everything that the catalogue knows from a folder and below it, for example a USB stick.

        Files are known by their hash, whatever they are called; packages (wheels, sdists, npm archives) by
        their names. Files for which the catalogue has no hash must lie at ``<model id>/<file name>``.

        Raises
        ------
        DragomanError
            The folder cannot be read, or the disk is full.
        """
        progress = progress or Silent()
        if not folder.is_dir():
            raise DragomanError(f"{folder} is not a folder")
        report = ImportReport()
        models = list(self.catalogue.values())
        with plain_disk_errors(self.directory), self._lock(progress):
            paths = scan(folder)
            wanted = {(m.id, f.name): (m, f) for m in models for f in m.files if not self._is_whole(m, f)}
            for match in (*by_hash(paths, wanted.values()), *by_name(paths, wanted.values())):
                if wanted.pop((match.model.id, match.file.name), None):
                    with progress.task(
                        f"{match.model.id}: {match.file.name}", match.path.stat().st_size
                    ) as task:
                        self._copy_in(match, task)
                    report.taken.append(f"{match.model.id}/{match.file.name}")
            fetcher = self._fetcher(progress, found := packages_in(paths, models), online=False)
            for model, file in list(wanted.values()):
                if any(keys <= set(found) for keys in packages_of(file)):
                    with contextlib.suppress(UnobtainableError):
                        self._obtain(fetcher, model, file)
                        del wanted[model.id, file.name]
                        report.taken.append(f"{model.id}/{file.name}")
            fetcher.close()
            self._finish(report, wanted.values(), progress)
        return report

    def remove(self, model_id: str) -> bool:
        """Delete a model's files and what was pinned about them; False where nothing was there."""
        folder = self.directory / self.catalogue[model_id].id
        if not folder.exists():
            return False
        with plain_disk_errors(self.directory), self._lock(Silent()):
            gone = folder.with_name(f".removed-{folder.name}")
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)
            shutil.rmtree(gone)
        return True

    # What follows needs the lock, except where it only reads.

    def _lock(self, progress: Progress) -> contextlib.AbstractContextManager[None]:
        return locked(
            self.directory / _LOCK,
            lambda: progress.note("another program is changing the model store: waiting for it"),
        )

    def _fetcher(
        self, progress: Progress, found: Mapping[str, Path] | None = None, *, online: bool = True
    ) -> Fetcher:
        return Fetcher(
            self.directory / _WORK, self.directory / _PACKAGES, progress, dict(found or {}), online=online
        )

    def _remedy(self, model: Model) -> str:
        if self.offline:
            return "use `dragoman models import FOLDER` (the store is offline)"
        return f"run `dragoman models pull {model.id}`"

    def _looks_whole(self, model: Model, file: ModelFile, manifest: Manifest) -> bool:
        entry = manifest.files.get(file.name)
        return (
            entry is not None
            and file.accepts(entry.sha256, entry.size)
            and entry.looks_whole(self.directory / model.id / file.name)
        )

    def _is_ready(self, model: Model) -> bool:
        """Whether every file, derived ones included, looks whole and is up to date."""
        manifest = Manifest.read(self.directory / model.id)
        return all(self._looks_whole(model, file, manifest) for file in model.files) and all(
            self._is_derived(model, manifest, step) for step in model.derived
        )

    def _is_derived(self, model: Model, manifest: Manifest, step: Derived) -> bool:
        folder = self.directory / model.id
        origin = derive.stamp(step, {name: manifest.files[name].sha256 for name in step.inputs})
        made = {name: entry for name, entry in manifest.derived.items() if entry.origin == origin}
        return set(step.outputs) <= set(made) and all(made[name].looks_whole(folder / name) for name in made)

    def _settle(self, model: Model, *, thorough: bool = False) -> list[Problem]:
        """Bring the manifest in line with the files and return what is wrong with them.

        Files are read where their size or time is not the recorded one, or all of them when ``thorough``.
        Files without a record (somebody copied them here) are taken in when their hash is the catalogue's.
        """
        folder = self.directory / model.id
        before = Manifest.read(folder)
        after = Manifest(dict(before.files), dict(before.derived))
        problems = [
            Problem(model.id, file.name, reason)
            for file in model.files
            if (reason := self._settle_file(folder, file, after, thorough=thorough))
        ]
        for name, entry in before.derived.items():
            path = folder / name
            if thorough or not entry.looks_whole(path):
                if path.is_file() and sha256_of(path) == entry.sha256:
                    after.derived[name] = record(path, entry.origin, entry.sha256)
                else:
                    del after.derived[name]
        if after != before:
            with contextlib.suppress(DragomanError), plain_disk_errors(folder):
                after.write(folder)
        return problems

    def _settle_file(
        self, folder: Path, file: ModelFile, manifest: Manifest, *, thorough: bool
    ) -> str | None:
        path = folder / file.name
        entry = manifest.files.get(file.name)
        if not path.is_file():
            return "is missing"
        if (
            entry is not None
            and not thorough
            and entry.looks_whole(path)
            and file.accepts(entry.sha256, entry.size)
        ):
            return None
        size = path.stat().st_size
        if file.size is not None and not file.variants and size != file.size:
            return f"has {size} bytes instead of {file.size}"
        if file.sha256 is None and entry is None:
            return "was never verified"
        digest = sha256_of(path)
        if not file.accepts(digest, size) or (
            file.sha256 is None and entry is not None and digest != entry.sha256
        ):
            if entry is not None:
                manifest.files[file.name] = dataclasses.replace(entry, mtime=NEVER)
            return "does not have its SHA-256"
        manifest.files[file.name] = record(path, entry.origin if entry else "folder", digest)
        return None

    def _check_room(self, wanted: Iterable[tuple[Model, ModelFile]]) -> None:
        need = sum(file.size or 0 for _, file in wanted)
        if need > free_bytes(self.directory):
            raise disk_full(self.directory, need)

    def _obtain(self, fetcher: Fetcher, model: Model, file: ModelFile) -> None:
        """Fetch one file and record it."""
        folder = self.directory / model.id
        manifest = Manifest.read(folder)
        pinned = manifest.files.get(file.name)
        fetched = fetcher.fetch(model, file, pinned.sha256 if pinned and file.sha256 is None else None)
        self._place(model, file, fetched.path, fetched.sha256, fetched.origin)

    def _is_whole(self, model: Model, file: ModelFile) -> bool:
        return self._looks_whole(model, file, Manifest.read(self.directory / model.id))

    def _copy_in(self, match: Match, task: Task) -> None:
        """Copy a file that was found; what arrives is checked again, sticks lie."""
        partial = self.directory / _WORK / f"import-{match.sha256}"
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            with match.path.open("rb") as source, partial.open("wb") as target:
                copy_stream(source, target, task.advance)
            if sha256_of(partial) != match.sha256:
                raise DragomanError(f"{match.path} reads differently each time: the medium is damaged")
            self._place(match.model, match.file, partial, match.sha256, "folder")
        finally:
            partial.unlink(missing_ok=True)

    def _finish(
        self, report: ImportReport, wanted: Iterable[tuple[Model, ModelFile]], progress: Progress
    ) -> None:
        """Make derived files of what is complete now, and report what is missing."""
        begun = {name.split("/", 1)[0] for name in report.taken}
        for model, file in wanted:
            if model.id in begun or model.default:
                report.missing.setdefault(model.id, []).append(file.name)
        for model_id in sorted(begun - set(report.missing)):
            try:
                self._derive(self.catalogue[model_id], progress)
                report.complete.append(model_id)
            except DragomanError as error:
                report.failed[model_id] = str(error)

    def _place(self, model: Model, file: ModelFile, partial: Path, sha256: str, origin: str) -> None:
        """Give a verified file its place and record it."""
        folder = self.directory / model.id
        install(partial, folder / file.name)
        manifest = Manifest.read(folder)
        manifest.files[file.name] = record(folder / file.name, origin, sha256)
        manifest.write(folder)

    def _derive(self, model: Model, progress: Progress) -> None:
        """Make the derived files that are missing or outdated."""
        folder = self.directory / model.id
        for step in model.derived:
            manifest = Manifest.read(folder)
            if self._is_derived(model, manifest, step):
                continue
            with progress.task(f"preparing {model.id} ({step.tool})"):
                made = self._run_tool(model, step)
            hashes = {name: manifest.files[name].sha256 for name in step.inputs}
            origin = derive.stamp(step, hashes)
            stale = [
                name for name, entry in manifest.derived.items() if entry.origin == origin or name in made
            ]
            for name in stale:
                del manifest.derived[name]
            manifest.derived.update((name, record(folder / name, origin)) for name in made)
            manifest.write(folder)

    def _run_tool(self, model: Model, step: Derived) -> list[str]:
        """Run a tool on links to its inputs in a folder of its own, then move in what it wrote."""
        folder = self.directory / model.id
        scratch = self.directory / _WORK / f"derive-{model.id}"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            for name in step.inputs:
                link = scratch / name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(folder / name)
            try:
                derive.TOOLS[step.tool].run(scratch, step)
            except DragomanError as error:
                raise DragomanError(f"model {model.id} cannot be prepared: {error}") from None
            made = [path for path in _regular_files(scratch) if not path.is_symlink()]
            names = [str(path.relative_to(scratch)) for path in made]
            absent = set(step.outputs) - set(names)
            if absent:
                raise DragomanError(
                    f"model {model.id}: {step.tool} did not write {', '.join(sorted(absent))}"
                )
            for path, name in zip(made, names, strict=True):
                install(path, folder / name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return names


def _regular_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
