"""The people of audio sessions: whoever is cut off and comes back goes on with the same numbers.

The Speech SDKs name a session when they diarize (``audioSessionId``), and how much of its audio has been answered
(``audioOffsetMs``): more than nothing where a connection was lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from device.speakers import Speakers

REMEMBERED = 600.0
"""Seconds for which the voices of a session are kept after its last connection began."""
MOST_SESSIONS = 256


class Guests:
    """Remembers who talked in which session. Safe to use from several threads.

    Parameters
    ----------
    make
        Returns people of whom nobody is known yet.
    """

    def __init__(self, make: Callable[[], Speakers]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Speakers]] = {}

    def of(self, session: str, *, resumed: bool) -> Speakers:
        """Return the people of a session; strangers where it is nameless, begins, or is forgotten.

        Raises
        ------
        DragomanError
            A model is not installed.
        """
        now = time.monotonic()
        with self._lock:
            self._known = {name: kept for name, kept in self._known.items() if now - kept[0] < REMEMBERED}
            _, people = self._known.pop(session, (now, None))
        if people is None or not resumed:
            people = self._make()
        if session:
            with self._lock:
                self._known[session] = now, people
                while len(self._known) > MOST_SESSIONS:
                    del self._known[next(iter(self._known))]
        return people
