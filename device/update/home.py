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

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from device.errors import DragomanError
from device.modelstore.files import sync
from device.update.manifest import Manifest, read
from device.update.records import Pending, State, load, store
from device.update.trees import replace_link, sync_all

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
        replace_link(self.path / link, Path("generations") / str(generation))

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
        return load(self.path / "pending.json", Pending)

    def set_pending(self, pending: Pending | None) -> None:
        """Write down, or with None forget, that an update is not decided yet."""
        if pending is not None:
            store(self.path / "pending.json", pending)
        elif (path := self.path / "pending.json").exists():
            path.unlink()
            sync(self.path)

    def state(self) -> State:
        """Return what became of updates."""
        return load(self.path / "state.json", State) or State()

    def set_state(self, state: State) -> None:
        """Write down what became of an update."""
        store(self.path / "state.json", state)

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
