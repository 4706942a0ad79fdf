"""Installs a release, tries it, and keeps it or goes back.

Killed or unplugged at any moment, `Updater.finish` goes on where it stopped: what was not tried yet is thrown away,
what was on trial is checked again, and what failed or could not be decided in `TRIES` starts is undone.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from device.errors import DragomanError
from device.update.bundle import Readable, opened
from device.update.health import Health
from device.update.home import CURRENT, GOOD, PREVIOUS, Home, Phase
from device.update.making import Maker
from device.update.manifest import Manifest, read
from device.update.minisign import PublicKey
from device.update.records import Pending, State
from device.update.trees import link_tree
from device.update.units import Units

TRIES = 3
"""Starts of the machine within which a trial must be decided."""


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
        self._maker = Maker(home, health, say)

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
            with self._maker.cleaned_up():
                with opened(stream, keys) as bundle:
                    self.refuse(bundle.manifest, force=force)
                    self._say(f"unpacking {title(bundle.manifest)}")
                    code, models = self._maker.unpack(bundle)
                number = self._maker.add(bundle.manifest, code, models)
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
            with self._maker.cleaned_up():
                code = self.home.fresh_staging() / "code"
                link_tree(tree, code)
                number = self._maker.add(manifest, code, None)
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


def _now(state: State, result: str, text: str) -> State:
    state.result, state.text, state.time = result, text, datetime.now(UTC).isoformat(timespec="seconds")
    return state
