"""Keeping the chatter of ALSA, JACK and PortAudio from the user.

PortAudio asks every device that could exist, and the libraries below it complain on C's ``stderr`` about
each that does not. Two measures, because neither is enough: ALSA and JACK are given error handlers that do
nothing, for good; and while `quiet` holds, C's ``stderr`` is a file in memory. The GNU C library lets a
program assign that variable (its manual, "Standard Streams"). File descriptor 2, which Python and child
processes write to, is never touched.

One thing is left: PortAudio prints three lines of its own when a device dies while it streams, on its own thread and
at a moment that nobody knows beforehand. To keep ``stderr`` swapped until then would hide what any other library says
last before it ends the process, and PortAudio's own switch for its messages is not exported.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import threading
from collections.abc import Iterator

_LOG = logging.getLogger(__name__)

_CHATTER = re.compile(
    rb"ALSA lib |Expression '.*' failed in |Cannot connect to server |jack server is not running"
    rb"|Jack|connect\(2\) call to |attempt to connect to server failed|\s*$"
)
_UNBUFFERED = 2


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep native audio chatter off standard error for a moment.

    May be entered by several threads at once and again by the same; the last to leave restores the stream.
    What native code wrote there meanwhile that is not chatter comes out then.
    """
    _gag.enter()
    try:
        yield
    finally:
        _gag.leave()


def silence_handlers() -> None:
    """Give ALSA and JACK error handlers that do nothing, for the rest of the process.

    They also talk while streams run. The handler is a C function that ignores its arguments and needs no
    interpreter lock, so it may be called on any thread and while Python shuts down.
    """
    nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
    for library, setters in (
        ("libasound.so.2", ("snd_lib_error_set_handler",)),
        ("libjack.so.0", ("jack_set_error_function", "jack_set_info_function")),
    ):
        with contextlib.suppress(OSError, AttributeError):
            handle = ctypes.CDLL(library)
            for name in setters:
                getattr(handle, name)(nothing)


class _Gag:
    """Swaps C's ``stderr`` for a file in memory, made once: another thread may write to it at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._descriptor = -1
        self._memory: int | None = None
        self._real: int | None = None

    def enter(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth > 1:
                return
            try:
                variable = _stderr_variable()
                if self._memory is None:
                    self._open_memory()
                self._real, variable.value = variable.value, self._memory
            except (OSError, AttributeError, ValueError):
                # Another C library: its chatter is seen, and nothing else is lost.
                self._real = None

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth or self._real is None:
                return
            _stderr_variable().value = self._real
            said = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
            os.ftruncate(self._descriptor, 0)
        theirs = [line for line in said.splitlines(keepends=True) if not _CHATTER.match(line)]
        with contextlib.suppress(OSError):
            os.write(2, b"".join(theirs))
        if _LOG.isEnabledFor(logging.DEBUG):
            for line in said.decode(errors="replace").splitlines():
                _LOG.debug("native: %s", line)

    def _open_memory(self) -> None:
        libc = ctypes.CDLL(None)
        libc.fdopen.restype = ctypes.c_void_p
        self._descriptor = os.memfd_create("stderr", os.MFD_CLOEXEC)
        self._memory = libc.fdopen(self._descriptor, b"a")
        libc.setvbuf(ctypes.c_void_p(self._memory), None, _UNBUFFERED, 0)


def _stderr_variable() -> ctypes.c_void_p:
    return ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")


_gag = _Gag()
