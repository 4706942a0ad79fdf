"""Keys of the terminal as triggers: space talks, 1 and 2 choose a direction, q ends."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self, TextIO


class Key(Enum):
    """What a key asks for."""

    TALK = " "
    """Begin a turn, or end the one that runs."""
    FIRST = "1"
    """Talk in the first direction."""
    SECOND = "2"
    """Talk in the second direction."""
    QUIT = "q"


class Keyboard:
    """Reads keys as they are pressed, while it is entered, and leaves the terminal as it was.

    Where standard input is no terminal there are no keys, and nothing is changed (`available` is false). Control-C
    and Control-Z work as always. ``on_key`` is called from the keyboard's own thread. Other keys are ignored; the
    end of input counts as `Key.QUIT`.
    """

    def __init__(self, on_key: Callable[[Key], None], stdin: TextIO | None = None) -> None:
        self._on_key = on_key
        self._stdin = sys.stdin if stdin is None else stdin
        self._thread: threading.Thread | None = None

    @property
    def available(self) -> bool:
        """Whether there is a terminal to read from."""
        try:
            return self._stdin.isatty()
        except (AttributeError, ValueError):  # no standard input at all, or a closed one
            return False

    def __enter__(self) -> Self:
        if not self.available:
            return self
        self._fd = self._stdin.fileno()
        self._saved = termios.tcgetattr(self._fd)
        self._wake, self._waker = os.pipe()
        tty.setcbreak(self._fd)
        self._on_term = None
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._on_term = signal.signal(signal.SIGTERM, self._terminated)
        self._thread = threading.Thread(target=self._read, name="dragoman-keyboard", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None:
            return
        self._restore()
        if self._on_term is not None:
            signal.signal(signal.SIGTERM, self._on_term)
        os.close(self._waker)
        self._thread.join()
        self._thread = None

    def _restore(self) -> None:
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)

    def _terminated(self, number: int, _frame: object) -> None:
        """Restore the terminal on the way out of a process that is told to end and does not listen to that."""
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _read(self) -> None:
        try:
            self._read_keys()
        finally:
            os.close(self._wake)

    def _read_keys(self) -> None:
        while True:
            ready, _, _ = select.select([self._fd, self._wake], [], [])
            if self._wake in ready:
                return
            try:
                typed = os.read(self._fd, 64).decode("utf-8", "ignore")
            except OSError:  # the terminal is gone
                typed = ""
            for character in typed.lower():
                if character in {key.value for key in Key}:
                    self._on_key(Key(character))
            if not typed:
                self._on_key(Key.QUIT)
                return
