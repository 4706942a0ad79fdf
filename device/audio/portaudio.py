"""The one PortAudio of the process.

PortAudio learns of devices only when it is initialised, and initialising it again closes every stream. So
the streams of capture and playback are opened here, and a search for new devices asks the others first.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyaudio

from device.audio.quiet import quiet, silence_handlers

_PRIORITY = 5
_NICE = -11

Release = Callable[[], bool]
"""Asked to close its stream for a moment; false when that would be heard."""


def hurry() -> None:
    """Ask that this thread, which a device waits for, be run before those that compute.

    Real-time scheduling needs a permission (``LimitRTPRIO=`` in a unit), a better nice value another; without either
    nothing changes.
    """
    thread = threading.get_native_id()
    try:
        os.sched_setscheduler(thread, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except OSError:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, _NICE)


class PortAudio:
    """Owns PortAudio's initialisation, and every stream.

    Locking: nobody may call in here while holding a lock that its ``Release`` takes.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._library: pyaudio.PyAudio | None = None
        self._owners: dict[int, Release] = {}
        self._cards = ""

    @property
    def library(self) -> Any:
        """PyAudio's object, initialised when first asked for."""
        with self._lock:
            if self._library is None:
                with quiet():
                    self._cards = _sound_cards()
                    silence_handlers()
                    self._library = pyaudio.PyAudio()
                    # PortAudio's own initialisation may have set JACK's.
                    silence_handlers()
            return self._library

    def open(self, release: Release, **how: Any) -> Any:
        """Open a stream.

        Parameters
        ----------
        release
            Called, on another thread, when somebody else wants to look for new devices.
        how
            What ``PyAudio.open`` takes.

        Raises
        ------
        OSError, ValueError
            PortAudio's reason.
        """
        with self._lock:
            library = self.library
            with quiet():
                stream = library.open(**how)
            self._owners[id(stream)] = release
            return stream

    def close(self, stream: Any) -> None:
        """Close a stream; it may be broken already."""
        with self._lock:
            self._owners.pop(id(stream), None)
            with quiet(), contextlib.suppress(OSError):
                stream.close()

    def rescan(self, *, urgent: bool) -> bool:
        """Look for devices anew.

        Parameters
        ----------
        urgent
            Whether the others' streams may be interrupted even though no card has come or gone.

        Returns
        -------
        bool
            False when it was not done: it was not worth an interruption, or somebody's stream must not be
            closed now.
        """
        with self._lock:
            if self._owners and not urgent and self._cards == _sound_cards():
                return False
            if not all(release() for release in list(self._owners.values())):
                return False
            self.terminate()
            return True

    def terminate(self) -> None:
        """Let PortAudio go; whoever asks next has it initialised again."""
        with self._lock:
            if self._library is not None:
                with quiet(), contextlib.suppress(OSError):
                    self._library.terminate()
            self._library = None
            self._owners.clear()


def _sound_cards() -> str:
    """Return something that changes when a sound card comes or goes."""
    with contextlib.suppress(OSError):
        return Path("/proc/asound/cards").read_text()
    return ""


portaudio = PortAudio()
"""The process's own."""
