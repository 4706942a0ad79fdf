"""Installs a release, tries it, and keeps it or goes back.

Killed or unplugged at any moment, `Updater.finish` goes on where it stopped: what was not tried yet is thrown away,
what was on trial is checked again, and what failed or could not be decided in `TRIES` starts is undone.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from device.errors import DragomanError
from device.modelstore.files import free_bytes, human, sha256_of
from device.update.bundle import Bundle, Readable, opened
from device.update.health import Health
from device.update.home import (
    CURRENT,
    GOOD,
    NOT_COPIED,
    PREVIOUS,
    Home,
    Pending,
    Phase,
    State,
    link_or_copy,
    link_tree,
    sync_all,
)
from device.update.manifest import NAME, Entry, Manifest, read
from device.update.minisign import PublicKey
from device.update.units import Units

TRIES = 3
"""Starts of the machine within which a trial must be decided."""
PULL = 3600.0
"""Seconds for fetching models."""
ROOM = 64_000_000
"""Bytes that an update leaves free."""


class UpdateFailedError(DragomanError):
    """The new version failed its health check; the old one runs again."""


class Updater:
    """Changes what is installed.

    Parameters
    ----------
    home
        The versions.
    health
        Restarts and judges them.
    say
        Receives a line about each step.
    units
        The folders of the service manager.
    """

    def __init__(self, home: Home, health: Health, say: Callable[[str], None], units: Units | None = None) -> None:
        self.home, self.health, self._say = home, health, say
        self._units = units or Units()

    def apply(self, stream: Readable, keys: Sequence[PublicKey], *, force: bool = False) -> Manifest:
        """Install a bundle, and return what it was.

        Parameters
        ----------
        force
            Take also what is older than what was installed before, the same, or failed before.

        Raises
        ------
        UpdateFailedError
            It was installed, failed its health check, and was taken back.
        DragomanError
            It is not signed by the owner, not for this machine, older, or damaged; nothing has changed.
        """
        with self.home.locked():
            self._finish()
            with self._cleaned_up():
                with opened(stream, keys) as bundle:
                    self.refuse(bundle.manifest, force=force)
                    self._say(f"unpacking {title(bundle.manifest)}")
                    code, models = self._stage(bundle)
                number = self._add(bundle.manifest, code, models)
            self._trial(number, bundle.manifest)
            return bundle.manifest

    def adopt(self, tree: Path, *, force: bool = False) -> Manifest:
        """Install a version that lies unpacked in a folder, as the Debian package brings it.

        The package manager has checked it. What runs may be newer, for bundles come by another way: then that stays,
        unless ``force`` says otherwise. The first version of all needs no health check.
        """
        manifest = read(tree)
        with self.home.locked():
            self._finish()
            current = self.home.manifest(CURRENT)
            if current is not None and (current == manifest or (current.serial >= manifest.serial and not force)):
                return current
            with self._cleaned_up():
                code = self.home.fresh_staging() / "code"
                link_tree(tree, code)
                number = self._add(manifest, code, None)
            self._trial(number, manifest)
            return manifest

    def rollback(self) -> str:
        """Go back to the version before, which gets its trial as any other, and return its name."""
        with self.home.locked():
            self._finish()
            number = self.home.generation(PREVIOUS)
            if number is None or number == self.home.generation(GOOD):
                raise DragomanError("there is no previous version to go back to")
            manifest = read(self.home.code(number))
            self._trial(number, manifest, is_rollback=True)
            return manifest.version

    def finish(self) -> str:
        """Go on with, or undo, an update that was interrupted, and say what was done."""
        with self.home.locked():
            return self._finish()

    def refuse(self, manifest: Manifest, *, force: bool = False) -> None:
        """Raise `DragomanError` where a release is not for this machine, or not newer than what there was."""
        if manifest.machine not in {platform.machine(), "any"}:
            raise DragomanError(f"{title(manifest)} is for {manifest.machine}, and this is {platform.machine()}")
        if force:
            return
        state = self.home.state()
        newest = state.highest.get(manifest.kind, 0)
        for link in (GOOD, PREVIOUS):  # whose word stands where the state is damaged
            if (kept := self.home.manifest(link)) is not None and kept.kind == manifest.kind:
                newest = max(newest, kept.serial)
        if manifest.serial == newest:
            raise DragomanError(f"{title(manifest)} was installed already")
        if manifest.serial < newest:
            raise DragomanError(f"{title(manifest)} is older than what was installed already ({newest})")
        if manifest.serial in state.failed:
            raise DragomanError(f"{title(manifest)} failed its health check before")

    # --- making a generation ---

    @contextmanager
    def _cleaned_up(self) -> Iterator[None]:
        """Leave nothing of a version that could not be made complete: the disk may be full of it."""
        try:
            yield
        except Exception:
            with suppress(OSError):
                self.home.prune()
            raise

    def _stage(self, bundle: Bundle) -> tuple[Path | None, Path | None]:
        """Unpack a bundle and return the folders of its program and its models, each complete."""
        manifest = bundle.manifest
        staging = self.home.fresh_staging()
        need = sum(entry.size for entry in manifest.files.values()) + ROOM
        if need > (free := free_bytes(staging)):
            raise DragomanError(
                f"the update needs {human(need)}, and {human(free)} are free on the disk of {self.home.path}"
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
        if missing and (current := self.home.manifest(CURRENT)) is not None:
            folder = self.home.path.joinpath(CURRENT, "code").resolve()
            for path, entry in current.code.items():
                if entry.link is None and entry.blob in missing and sha256_of(folder / path) == entry.sha256:
                    link_or_copy(folder / path, blobs / entry.blob)
                    del missing[entry.blob]
        if missing:
            raise DragomanError(
                f"the update leaves out {len(missing)} file{'s' * (len(missing) != 1)} that this machine lacks:"
                " take the full one"
            )

    def _add(self, manifest: Manifest, code: Path | None, models: Path | None) -> int:
        """Make a generation of a staged program, or the one that runs, and staged models; return its number."""
        home = self.home
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
        sets = self.home.model_sets
        target = sets / str(number)
        shutil.rmtree(target, ignore_errors=True)
        sets.mkdir(parents=True, exist_ok=True)
        old = self.home.models(good) if good is not None else None
        if old is not None and old.is_dir():
            link_tree(old, target, ignore=NOT_COPIED)
        else:
            target.mkdir()
            status = sets.parent.stat()
            if os.geteuid() == 0:
                os.chown(target, status.st_uid, status.st_gid)
                os.chown(sets, status.st_uid, status.st_gid)
        if models is not None:
            self._import(code, models, self.health.own_models or target)
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
        done = self.health.call(code, target, "models", "import", str(models))
        # What it makes of models that the update does not bring is its own affair.
        for path in (path for path in models.rglob("*") if path.is_file()):
            arrived = target / path.relative_to(models)
            if not arrived.is_file() or sha256_of(arrived) != sha256_of(path):
                reason = done.stderr.strip()[-300:] or f"{arrived.name} is not the one that the catalogue names"
                raise DragomanError(f"the update's models cannot be used: {reason}")

    def _complete(self, code: Path, target: Path) -> None:
        """Fetch what a new catalogue wants and the update did not bring, where there is a network."""
        try:
            done = self.health.call(code, target, "models", "pull", "--configured", timeout=PULL)
        except (OSError, subprocess.TimeoutExpired):
            return  # the health check will have its say
        if done.returncode:
            self._say(f"models: {done.stderr.strip()[-300:]}")

    # --- trying it ---

    def _trial(self, number: int, manifest: Manifest, *, is_rollback: bool = False) -> None:
        """Switch to a generation, and decide.

        Raises
        ------
        UpdateFailedError
            It is worse than the one before, which runs again.
        """
        home = self.home
        good = home.generation(GOOD)
        pending = Pending(number, title(manifest), manifest.serial, manifest.kind, is_rollback=is_rollback)
        if good is None:
            home.point(GOOD, number)
            self._switch(number)
            self._keep(pending)
            return
        pending.before = self._before(good)
        home.set_pending(pending)
        self._switch(number)
        self._decide(pending)

    def _switch(self, number: int) -> None:
        """Let a generation run from the next start on."""
        self.home.point(CURRENT, number)
        self._units.follow(self.home.code(number))

    def _before(self, good: int) -> list[str]:
        """Return what the health check complains about already, which no update can be blamed for."""
        try:
            return sorted(self.health.problems(self.home.code(good), self.home.models(good)))
        except DragomanError as error:
            self._say(f"{error} (before the update)")
            return []

    def _decide(self, pending: Pending) -> None:
        number = pending.generation
        self._say(f"trying {pending.was}")
        fault = self.health.restart() or self.health.check(
            self.home.code(number), self.home.models(number), pending.before
        )
        if fault is None:
            self._keep(pending)
            self._say(f"{pending.was} is installed")
            return
        if self.health.is_going_down():
            raise DragomanError(f"the machine is going down: {pending.was} is decided about when it is up again")
        self._take_back(pending, fault)
        raise UpdateFailedError(f"{pending.was} was taken back: {fault}")

    def _keep(self, pending: Pending) -> None:
        """Make what is on trial the good one."""
        home = self.home
        state = home.state()
        state.highest[pending.kind] = max(state.highest.get(pending.kind, 0), pending.serial)
        home.set_state(_now(state, "rolled back" if pending.is_rollback else "installed", pending.was))
        good = home.generation(GOOD)
        if good is not None and good != pending.generation:
            home.point(PREVIOUS, good)
        home.point(GOOD, pending.generation)
        home.set_pending(None)
        home.prune()

    def _take_back(self, pending: Pending, fault: str) -> None:
        """Run the good one again."""
        home = self.home
        state = home.state()
        if not pending.is_rollback:
            state.failed = [*state.failed[-19:], pending.serial]
        state = _now(state, "failed", f"{pending.was}: {fault}")
        good = home.generation(GOOD)
        assert good is not None
        try:
            home.set_state(state)
        except OSError:  # going back needs no room, and makes some
            home.point(CURRENT, good)
            home.prune()
            home.set_state(state)
        self._switch(good)
        if again := self.health.restart():
            self._say(f"the version before: {again}")
        home.set_pending(None)
        home.prune()

    def _finish(self) -> str:
        home = self.home
        pending = home.pending()
        phase = home.phase()
        done = "nothing was left to do"
        if (good := home.generation(GOOD)) is not None and home.generation(CURRENT) is None:
            home.point(CURRENT, good)
        if (current := home.generation(CURRENT)) is not None:
            self._units.follow(home.code(current))
        if phase is Phase.TRIAL and current is not None:
            done = self._go_on(pending or _reconstructed(current, home.manifest(CURRENT)))
        elif phase is Phase.READY and pending is not None:
            home.set_pending(None)
            self.health.restart()
            done = f"{pending.was} had not been switched to, and was thrown away"
        elif pending is not None:
            home.set_pending(None)
        if home.exists():
            home.prune()
        return done

    def _go_on(self, pending: Pending) -> str:
        pending.tries += 1
        try:
            self.home.set_pending(pending)
        except OSError as error:
            self._take_back(pending, f"its trial cannot be written down ({error.strerror})")
            return f"{pending.was} was taken back"
        if pending.tries > TRIES:
            self._take_back(pending, f"not decided after {TRIES} starts")
            return f"{pending.was} was taken back"
        try:
            self._decide(pending)
        except UpdateFailedError as error:
            return str(error)
        return "the interrupted update is decided"


def title(manifest: Manifest) -> str:
    """Return what people call a release."""
    serial = str(manifest.serial)
    return (
        f"{'' if manifest.code else 'models '}{manifest.version}{'' if serial in manifest.version else f' ({serial})'}"
    )


def _reconstructed(generation: int, manifest: Manifest | None) -> Pending:
    """Return what can still be told of a trial that nothing is written about any more."""
    if manifest is None:
        return Pending(generation, "a version without a manifest")
    return Pending(generation, title(manifest), manifest.serial, manifest.kind)


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


def _now(state: State, result: str, text: str) -> State:
    state.result, state.text, state.time = result, text, datetime.now(UTC).isoformat(timespec="seconds")
    return state
