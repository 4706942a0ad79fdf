"""How a pull tells a person what it does: bars on a terminal, one line a step elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from device.modelstore.files import human

if TYPE_CHECKING:
    import rich.progress


class Task(Protocol):
    """One step that is going on."""

    def reach(self, size: int, total: int | None = None) -> None:
        """Tell that ``size`` bytes are done in all, of ``total`` where that is known by now."""
        ...


class Progress(Protocol):
    """Where a pull reports to."""

    def note(self, text: str) -> None:
        """Say one line."""
        ...

    def task(self, text: str, total: int | None = None) -> contextlib.AbstractContextManager[Task]:
        """Begin a step of ``total`` bytes; it ends with the context."""
        ...


class Share:
    """What one file contributes to a task: it begins where the files before it ended, and may start over."""

    def __init__(self, task: Task, begin: int) -> None:
        self._task = task
        self._begin = begin

    def reach(self, size: int) -> None:
        """Tell that ``size`` bytes of this file are done."""
        self._task.reach(self._begin + size)


class _NoTask:
    def reach(self, size: int, total: int | None = None) -> None:
        pass


class Silent:
    """Says nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    @contextlib.contextmanager
    def task(self, text: str, total: int | None = None) -> Iterator[Task]:  # noqa: ARG002
        """Say nothing."""
        yield _NoTask()


class Lines:
    """One plain line on standard error when a step begins and when it is done."""

    def note(self, text: str) -> None:
        """Say one line."""
        print(text, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def task(self, text: str, total: int | None = None) -> Iterator[Task]:
        """Say what begins, and how long it took."""
        self.note(text if total is None else f"{text} ({human(total)})")
        begun = time.monotonic()
        yield _NoTask()
        self.note(f"{text}: done in {time.monotonic() - begun:.1f} s")


class Bars:
    """Rich progress bars on standard error; they disappear as they fill up, and a line says what was done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        self._bars = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._open = 0

    def note(self, text: str) -> None:
        """Print one line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)

    @contextlib.contextmanager
    def task(self, text: str, total: int | None = None) -> Iterator[Task]:
        """Show one bar, a moving one while the size is not known."""
        begun = time.monotonic()
        bar = _Bar(self._bars, text, total)
        self._open += 1
        self._bars.start()
        try:
            yield bar
        finally:
            bar.remove()
            self._open -= 1
            if not self._open:
                self._bars.stop()
        self.note(f"{text}: done in {time.monotonic() - begun:.1f} s")


class _Bar:
    def __init__(self, bars: rich.progress.Progress, text: str, total: int | None) -> None:
        self._bars = bars
        self._task = bars.add_task(text, total=total)

    def reach(self, size: int, total: int | None = None) -> None:
        self._bars.update(self._task, completed=size, total=total)

    def remove(self) -> None:
        self._bars.remove_task(self._task)


def for_terminal(otherwise: Progress | None = None) -> Progress:
    """Return bars where standard error is a terminal, else ``otherwise`` (plain lines)."""
    return Bars() if sys.stderr.isatty() else otherwise or Lines()
