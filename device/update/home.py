"""Where versions live, and the links that say which of them runs.

::

    versions/<version>-<serial>/    a program: its interpreter, packages, units; written once, never changed
    generations/<n>/code, models    links to a version and to a set of models: what belongs together
    current                         the generation that runs; one rename changes it, program and models at once
    good                            the last generation that passed its health check; differs while one is on trial
    previous                        the good one before
    pending.json                    an update has begun and is not decided yet
    state.json                      what was installed last, and what failed

Every change is a rename of something complete that lies on the disk already, so after a power cut each of these is
the old one or the new one. What is there says where an update stopped: see `Phase`.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from device.errors import DragomanError
from device.modelstore.files import sync, write_atomically
from device.update.manifest import Manifest, read

HOME = Path("/opt/dragoman")
MODEL_SETS = Path("/var/lib/dragoman/modelsets")
CURRENT, GOOD, PREVIOUS = "current", "good", "previous"
NOT_COPIED = {".partial", ".packages", ".lock"}
"""What of a model store is written in place, and so cannot be shared between two sets."""


class Phase(StrEnum):
    """How far an update has come, told by what is on the disk."""

    IDLE = "idle"
    """The good generation runs."""
    READY = "ready"
    """A new generation is complete, and does not run yet."""
    TRIAL = "trial"
    """The new generation runs, and its health is not known yet."""


@dataclass
class Pending:
    """An update that is not decided yet."""

    generation: int
    was: str
    """What the trial is of, for people: the version and where it came from."""
    serial: int = 0
    kind: str = "program"
    tries: int = 0
    before: list[str] = field(default_factory=list)
    """What the health check complained about before."""
    is_rollback: bool = False


@dataclass
class State:
    """What became of updates."""

    highest: dict[str, int] = field(default_factory=dict)
    """The highest serial that was ever good, by kind: nothing older is taken any more."""
    failed: list[int] = field(default_factory=list)
    """Serials of what failed its health check."""
    result: str = ""
    """``installed``, ``rolled back`` or ``failed``; empty before the first update."""
    text: str = ""
    time: str = ""


_T = TypeVar("_T", Pending, State)


class Home:
    """The folder of all versions.

    Parameters
    ----------
    path
        ``/opt/dragoman``.
    model_sets
        Where sets of models lie, one for each generation.
    """

    def __init__(self, path: Path = HOME, model_sets: Path = MODEL_SETS) -> None:
        self.path, self.model_sets = path, model_sets
        self.staging = path / "staging"
        self.versions = path / "versions"
        self.generations = path / "generations"

    def exists(self) -> bool:
        """Whether a version is installed here."""
        return (self.path / CURRENT).is_symlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other updates out.

        Raises
        ------
        DragomanError
            One is running.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("ab") as file:
            try:
                flock(file, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise DragomanError("another update is running") from None
            yield

    # --- links ---

    def generation(self, link: str) -> int | None:
        """Return the number of the generation that a link leads to; None where there is none."""
        with suppress(OSError, ValueError):
            return int((self.path / link).readlink().name)
        return None

    def point(self, link: str, generation: int) -> None:
        """Make a link lead to a generation: before and after every instant it leads to the old or the new one."""
        _replace_link(self.path / link, Path("generations") / str(generation))

    def code(self, generation: int) -> Path:
        """Return the folder of a generation's program."""
        return (self.generations / str(generation) / "code").resolve()

    def models(self, generation: int) -> Path:
        """Return the folder of a generation's models, which may not be there yet."""
        return (self.generations / str(generation) / "models").readlink()

    def manifest(self, link: str) -> Manifest | None:
        """Return the manifest of the program a link leads to; None where there is none."""
        number = self.generation(link)
        if number is None:
            return None
        with suppress(DragomanError):
            return read(self.code(number))
        return None

    def phase(self) -> Phase:
        """Say how far an update has come."""
        pending = self.pending()
        current, good = self.generation(CURRENT), self.generation(GOOD)
        if pending is None and None not in {current, good} and current != good:
            return Phase.TRIAL  # what was written down about it is damaged
        if pending is None or pending.generation == good:
            return Phase.IDLE
        return Phase.TRIAL if pending.generation == current else Phase.READY

    # --- small files ---

    def pending(self) -> Pending | None:
        """Return the update that is not decided yet."""
        return self._load("pending.json", Pending)

    def set_pending(self, pending: Pending | None) -> None:
        """Write down, or with None forget, that an update is not decided yet."""
        if pending is not None:
            self._store("pending.json", asdict(pending))
        elif (path := self.path / "pending.json").exists():
            path.unlink()
            sync(self.path)

    def state(self) -> State:
        """Return what became of updates."""
        return self._load("state.json", State) or State()

    def set_state(self, state: State) -> None:
        """Write down what became of an update."""
        self._store("state.json", asdict(state))

    def _load(self, name: str, kind: type[_T]) -> _T | None:
        """Read a small file; what is damaged, or is written by a newer version alone, counts as not there."""
        try:
            data = json.loads((self.path / name).read_text(encoding="utf-8"))
            known = {
                key: data[key]
                for key, hint in get_type_hints(kind).items()
                if isinstance(data.get(key), get_origin(hint) or hint)
            }
            return kind(**known)
        except (OSError, ValueError, AttributeError, TypeError):
            return None

    def _store(self, name: str, data: Mapping[str, Any]) -> None:
        write_atomically(self.path / name, json.dumps(data, indent=1).encode())

    # --- versions ---

    def fresh_staging(self) -> Path:
        """Return an empty folder to prepare things in, on the disk of the versions."""
        shutil.rmtree(self.staging, ignore_errors=True)
        self.staging.mkdir(parents=True)
        return self.staging

    def next_generation(self) -> int:
        """Return a number that no generation has."""
        numbers = [int(path.name) for path in self.generations.glob("[0-9]*") if path.name.isdecimal()]
        return max(numbers, default=0) + 1

    def add_version(self, staged: Path, name: str) -> Path:
        """Take in a complete version that lies in the staging folder, and return its place."""
        target = self.versions / name
        self.versions.mkdir(parents=True, exist_ok=True)
        sync_all(staged)
        used = {self.code(int(path.name)) for path in self._numbered()}
        while target.resolve() in used:  # the same release again, which may be damaged there
            target = target.with_name(f"{target.name}~")
        if target.exists():
            shutil.rmtree(target)
        staged.rename(target)
        sync(self.versions)
        return target

    def add_generation(self, number: int, code: Path, models: Path) -> None:
        """Take in a generation made of a version and a set of models."""
        self.generations.mkdir(parents=True, exist_ok=True)
        staged = self.staging / "generation"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        (staged / "code").symlink_to(Path("../../versions") / code.name)
        (staged / "models").symlink_to(models)
        sync_all(staged)
        staged.rename(self.generations / str(number))
        sync(self.generations)

    def prune(self) -> None:
        """Remove everything that neither runs nor is kept to go back to."""
        shutil.rmtree(self.staging, ignore_errors=True)
        kept = {number for link in (CURRENT, GOOD, PREVIOUS) if (number := self.generation(link)) is not None}
        if not kept:
            return
        for path in self._numbered():
            if int(path.name) not in kept:
                shutil.rmtree(path)
        used = {self.code(number) for number in kept}
        for path in self.versions.iterdir():
            if path.resolve() not in used:
                shutil.rmtree(path)
        sets = {self.models(number).name for number in kept}
        for path in self.model_sets.glob("*"):
            if path.name not in sets:
                shutil.rmtree(path)

    def _numbered(self) -> list[Path]:
        return [path for path in self.generations.glob("*") if path.name.isdecimal()]


def link_tree(source: Path, target: Path, *, ignore: frozenset[str] | set[str] = frozenset()) -> None:
    """Make a copy of a folder that shares its files' bytes with the original, where one disk holds both.

    Files of either must then never be written in place, only replaced.
    """
    shutil.copytree(
        source,
        target,
        symlinks=True,
        ignore=lambda _folder, names: ignore & set(names),
        copy_function=lambda old, new: link_or_copy(Path(old), Path(new)),
    )
    _same_owners(source, target)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or where that cannot be, copy it."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def sync_all(folder: Path) -> None:
    """Force everything on a folder's disk to it.

    Raises
    ------
    OSError
        Something could not be written (Linux 5.8 and later say so).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def _replace_link(link: Path, target: Path) -> None:
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    sync(link.parent)


def _same_owners(source: Path, target: Path) -> None:
    """Give copied folders the owners of the originals (files share them with their bytes)."""
    if os.geteuid() != 0:
        return
    for folder, _, names in os.walk(target):
        old = source / Path(folder).relative_to(target)
        for path in (old, *(old / name for name in names)):
            status = path.lstat()
            new = Path(folder) if path == old else Path(folder) / path.name
            os.chown(new, status.st_uid, status.st_gid, follow_symlinks=False)
