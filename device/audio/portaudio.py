"""The one PortAudio of the process.

PortAudio learns of devices only when it is initialised, and initialising it again closes every stream. So
the streams of capture and playback are opened here, and a search for new devices asks the others first.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyaudio

from device.audio.quiet import quiet, silence_handlers
from device.errors import DragomanError

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
        """PyAudio's object, initialised when first asked for.

        Raises
        ------
        DragomanError
            The sound system's configuration is broken. Once it is mended, asking again works.
        """
        with self._lock:
            if self._library is None:
                with quiet():
                    self._cards = _sound_cards()
                    silence_handlers()
                    check_alsa()
                    try:
                        self._library = pyaudio.PyAudio()
                    except OSError as error:
                        why = error.args[-1] if error.args else error
                        raise DragomanError(f"the sound system cannot be used: {why}") from None
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
        DragomanError
            The sound system cannot be used at all.
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


def check_alsa() -> None:
    """Find out whether ALSA's configuration is one that PortAudio survives.

    Where it has no device of the name "default", an assertion in PortAudio's list of devices ends the process.

    Raises
    ------
    DragomanError
        It is not.
    """
    try:
        alsa = ctypes.CDLL("libasound.so.2")
        error, found = alsa.snd_config_update(), ctypes.c_void_p()
        tree = ctypes.c_void_p.in_dll(alsa, "snd_config")
    except (OSError, AttributeError, ValueError):
        return  # PortAudio was built without ALSA
    if error >= 0 and tree and alsa.snd_config_search(tree, b"pcm.default", ctypes.byref(found)) >= 0:
        return
    why = "has an error in it" if error < 0 else "is missing, or has no device called default"
    places = f"ALSA_CONFIG_PATH={path}" if (path := os.environ.get("ALSA_CONFIG_PATH")) else "/usr/share/alsa/alsa.conf"
    raise DragomanError(
        f"the sound system cannot be used: ALSA's configuration {why}; see {places}, /etc/asound.conf and ~/.asoundrc"
    )


def _sound_cards() -> str:
    """Return something that changes when a sound card comes or goes."""
    with contextlib.suppress(OSError):
        return Path("/proc/asound/cards").read_text()
    return ""


portaudio = PortAudio()
"""The process's own."""
