"""How a pull tells a person what it does: bars on a terminal, one line a step elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from device.modelstore.files import human


class Task(Protocol):
    """One step that is going on."""

    def advance(self, size: int) -> None:
        """Tell that ``size`` more bytes are done."""
        ...

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


class _NoTask:
    def advance(self, size: int) -> None:
        pass

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


class _Bar:
    def __init__(self, bars: object, task: object) -> None:
        self._bars = bars
        self._task = task

    def advance(self, size: int) -> None:
        self._bars.advance(self._task, size)  # type: ignore[attr-defined]

    def reach(self, size: int, total: int | None = None) -> None:
        self._bars.update(self._task, completed=size, total=total)  # type: ignore[attr-defined]


class Bars:
    """Rich progress bars on standard error; use as a context."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TransferSpeedColumn,
        )

        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
        )

    def note(self, text: str) -> None:
        """Print one line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)

    @contextlib.contextmanager
    def task(self, text: str, total: int | None = None) -> Iterator[Task]:
        """Show one bar (a moving one while the size is not known); it stays when it is full."""
        with self._bars:
            task = self._bars.add_task(text, total=total)
            yield _Bar(self._bars, task)
            self._bars.stop_task(task)
            done = self._bars.tasks[self._bars.task_ids.index(task)]
            self._bars.update(task, total=done.completed or 1, completed=done.completed or 1)
        self._bars.remove_task(task)


def for_terminal() -> Progress:
    """Return bars where standard error is a terminal, else plain lines."""
    return Bars() if sys.stderr.isatty() else Lines()
