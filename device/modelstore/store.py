"""The model store: a folder of verified models, ``<store>/<model id>/<file name>``.

Everything that changes the store holds one lock between processes and gives files their names only when
they are whole, so a pull may be killed at any moment and two may run at once. Reading takes no lock.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from device.config import Settings
from device.errors import DragomanError
from device.modelstore.catalogue import Catalogue, Model, ModelFile
from device.modelstore.fetch import Fetcher, UnobtainableError
from device.modelstore.files import (
    copy_stream,
    disk_full,
    free_bytes,
    locked,
    plain_disk_errors,
    sha256_of,
)
from device.modelstore.importing import (
    ImportReport,
    Match,
    by_hash,
    by_name,
    packages_in,
    packages_of,
    scan,
    without_strays,
)
from device.modelstore.loading import load_catalogue, packaged_folder
from device.modelstore.modelfolder import ModelFolder, Problem
from device.modelstore.progress import Progress, Share, Silent

_WORK = ".partial"
_PACKAGES = ".packages"
_LOCK = ".lock"


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
        What there is; by default the packaged catalogue, ``<store>/catalogue.d`` and
        ``$DRAGOMAN_CATALOGUE``.
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
        folder = self._folder(model)
        if folder.is_ready():
            return folder.path
        if not folder.path.is_dir():
            raise DragomanError(f"model {model.id} is not installed: {self._remedy(model)}")
        with self._reading(), plain_disk_errors(self.directory):
            problems = folder.settle()
            if problems:
                state = "not complete" if all(p.reason == "is missing" for p in problems) else "damaged"
                first = f"{problems[0].file} {problems[0].reason}"
                raise DragomanError(f"model {model.id} is {state} ({first}): {self._remedy(model)}")
            folder.derive(Silent())
        return folder.path

    def is_installed(self, model_id: str) -> bool:
        """Whether all files of a model are there and look whole (derived files may still have to be made)."""
        return self._folder(self.catalogue[model_id]).is_installed()

    def installed(self) -> list[str]:
        """Return the ids of all installed models, sorted."""
        return [name for name in self.begun() if self.is_installed(name)]

    def begun(self) -> list[str]:
        """Return the ids of all models that have a folder in the store, whole or not, sorted."""
        if not self.directory.is_dir():
            return []
        folders = {path.name for path in self.directory.iterdir() if path.is_dir()}
        return sorted(name for name in folders if name in self.catalogue)

    def disk_size(self, model_id: str) -> int:
        """Return the bytes that a model takes in the store, derived files included."""
        folder = self.directory / self.catalogue[model_id].id
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def verify(self, model_id: str) -> list[Problem]:
        """Read every byte of a model and return what is wrong.

        A damaged file no longer counts as installed. A damaged derived file is simply made again.
        """
        folder = self._folder(self.catalogue[model_id])
        with self._reading(), plain_disk_errors(self.directory):
            problems = folder.settle(thorough=True)
            if not problems:
                folder.derive(Silent())
            return problems

    def pull(self, ids: Iterable[str], progress: Progress | None = None) -> None:
        """Fetch what is missing of the models, verify it, and make what is derived from it.

        Files that are right already are not fetched again; an interrupted pull goes on where it was.

        Raises
        ------
        DragomanError
            A file cannot be had from any of its sources, the disk is full, or the store is offline.
        UsageError
            There is no such model.
        """
        progress = progress or Silent()
        models = [self.catalogue[model_id] for model_id in dict.fromkeys(ids)]
        if all(self._folder(model).is_ready() for model in models):
            return
        with plain_disk_errors(self.directory), self._lock(progress):
            missing = {model.id: [problem.file for problem in self._folder(model).settle()] for model in models}
            wanted = [(m, f) for m in models for f in m.files if f.name in missing[m.id]]
            if wanted and self.offline:
                names = " ".join(dict.fromkeys(model.id for model, _ in wanted))
                raise DragomanError(f"offline: {names} cannot be fetched; use `dragoman models import FOLDER`")
            self._check_room(wanted)
            fetcher = self._fetcher(progress)
            fetcher.tidy()
            failures: dict[str, DragomanError] = {}
            for model in models:
                try:
                    self._obtain_all(fetcher, model, missing[model.id], progress)
                    self._folder(model).derive(progress)
                except UnobtainableError as error:
                    failures[model.id] = error
            if failures:
                first, *others = failures
                more = f" (nor {', '.join(others)})" if others else ""
                raise DragomanError(f"{failures[first]}{more}")
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
        if folder.resolve().is_relative_to(self.directory.resolve()):
            raise DragomanError(f"{folder} is in the model store itself")
        report = ImportReport()
        models = list(self.catalogue.values())
        with plain_disk_errors(self.directory), self._lock(progress):
            paths = [path for path in scan(folder) if not path.is_relative_to(self.directory)]
            wanted = {(m.id, f.name): (m, f) for m in models for f in m.files if not self._folder(m).is_whole(f)}
            packages = packages_in(paths, models)
            matches = [*by_hash(paths, wanted.values()), *by_name(paths, wanted.values())]
            for match in without_strays(matches, wanted.values(), packages, self.begun()):
                if wanted.pop((match.model.id, match.file.name), None):
                    self._copy_in(match, progress)
                    report.taken.append(f"{match.model.id}/{match.file.name}")
            self._import_packages(packages, wanted, report, progress)
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

    def _folder(self, model: Model) -> ModelFolder:
        return ModelFolder(model, self.directory / model.id, self.directory / _WORK)

    def _lock(self, progress: Progress) -> contextlib.AbstractContextManager[None]:
        return locked(
            self.directory / _LOCK,
            lambda: progress.note("another program is changing the model store: waiting for it"),
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Hold the lock where that is possible: a read-only store needs none, nobody changes it."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(DragomanError), plain_disk_errors(self.directory):
                stack.enter_context(self._lock(Silent()))
            yield

    def _fetcher(self, progress: Progress, found: Mapping[str, Path] | None = None, *, online: bool = True) -> Fetcher:
        return Fetcher(self.directory / _WORK, self.directory / _PACKAGES, progress, dict(found or {}), online=online)

    def _remedy(self, model: Model) -> str:
        if self.offline:
            return "use `dragoman models import FOLDER` (the store is offline)"
        return f"run `dragoman models pull {model.id}`"

    def _check_room(self, wanted: Iterable[tuple[Model, ModelFile]]) -> None:
        need = sum(file.size or 0 for _, file in wanted)
        if need > free_bytes(self.directory):
            raise disk_full(self.directory, need)

    def _obtain_all(self, fetcher: Fetcher, model: Model, names: Collection[str], progress: Progress) -> None:
        """Fetch the named files of a model as one step."""
        files = [file for file in model.files if file.name in names]
        if not files:
            return
        known = None if any(file.size is None for file in files) else sum(file.size or 0 for file in files)
        done = 0
        with progress.task(model.id, known) as task:
            for file in files:
                done += self._obtain(fetcher, model, file, Share(task, done))

    def _obtain(self, fetcher: Fetcher, model: Model, file: ModelFile, share: Share) -> int:
        """Fetch one file, record it, and return its size."""
        folder = self._folder(model)
        fetched = fetcher.fetch(model, file, share, folder.pinned(file))
        folder.place(file, fetched.path, fetched.sha256, fetched.origin)
        return (folder.path / file.name).stat().st_size

    def _copy_in(self, match: Match, progress: Progress) -> None:
        """Copy a file that was found; what arrives is checked again, sticks lie."""
        partial = self.directory / _WORK / f"import-{match.sha256}"
        partial.parent.mkdir(parents=True, exist_ok=True)
        size = match.path.stat().st_size
        try:
            with (
                progress.task(f"{match.model.id}: {match.file.name}", size) as task,
                match.path.open("rb") as source,
                partial.open("wb") as target,
            ):
                copy_stream(source, target, task.reach)
            if sha256_of(partial) != match.sha256:
                raise DragomanError(f"{match.path} reads differently each time: the medium is damaged")
            self._folder(match.model).place(match.file, partial, match.sha256, "folder")
        finally:
            partial.unlink(missing_ok=True)

    def _import_packages(
        self,
        found: Mapping[str, Path],
        wanted: dict[tuple[str, str], tuple[Model, ModelFile]],
        report: ImportReport,
        progress: Progress,
    ) -> None:
        """Take what is still wanted out of packages that were found; what was taken leaves ``wanted``."""
        fetcher = self._fetcher(progress, found, online=False)
        for model in {model.id: model for model, _ in wanted.values()}.values():
            for file in model.files:
                if (model.id, file.name) not in wanted or not any(k <= set(found) for k in packages_of(file)):
                    continue
                with (
                    contextlib.suppress(UnobtainableError),
                    progress.task(f"{model.id}: {file.name}", file.size) as task,
                ):
                    self._obtain(fetcher, model, file, Share(task, 0))
                    del wanted[model.id, file.name]
                    report.taken.append(f"{model.id}/{file.name}")
        fetcher.close()

    def _finish(self, report: ImportReport, wanted: Iterable[tuple[Model, ModelFile]], progress: Progress) -> None:
        """Make derived files of what is complete now, and report what is missing."""
        begun = {name.split("/", 1)[0] for name in report.taken}
        for model, file in wanted:
            if model.id in begun or model.default:
                report.missing.setdefault(model.id, []).append(file.name)
        for model_id in sorted(begun - set(report.missing)):
            try:
                self._folder(self.catalogue[model_id]).derive(progress)
                report.complete.append(model_id)
            except DragomanError as error:
                report.failed[model_id] = str(error)
