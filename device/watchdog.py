"""Tells systemd that the device works: ready, alive while everything really moves, stopping.

The protocol is one datagram a message to the socket that ``$NOTIFY_SOCKET`` names (sd_notify(3)); without that
variable nothing is sent, and everything else is the same.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)

LookAgain = Callable[[], str | None]
"""Returns None while something moves, else one line that says how it stands still."""

PER_TIMEOUT = 4
"""Looks in one of systemd's time-outs: a late or lost one costs nothing."""
WITHOUT_SYSTEMD = 15.0
"""Seconds between two looks when nobody waits for them: what stands still is still logged."""


class Pulse:
    """When something last moved. `beat` is called by what moves, from any thread."""

    def __init__(self, what: str, limit: float) -> None:
        self._what, self._limit = what, limit
        self._at = time.monotonic()
        self.beaten = False
        """Whether it ever moved."""

    def beat(self) -> None:
        """Tell that it moves."""
        self._at = time.monotonic()
        self.beaten = True

    def look(self) -> str | None:
        """Return what to say if it has stood still for longer than the limit (seconds)."""
        still = time.monotonic() - self._at
        return f"{self._what} has stood still for {still:.0f} s" if still > self._limit else None


class Notifier:
    """Sends messages to the service manager, if there is one.

    Parameters
    ----------
    environment
        Where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` stand.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # an abstract address (unix(7))
            self._address = "\0" + self._address[1:]
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        try:
            timeout = int(environment.get("WATCHDOG_USEC", "0")) / 1e6 if mine else 0.0
        except ValueError:
            timeout = 0.0
        self.timeout = timeout if timeout > 0 else None
        """Seconds without a sign of life after which systemd restarts the service; None without a watchdog."""

    def send(self, *lines: str) -> None:
        """Send assignments such as ``READY=1`` in one datagram; a manager that does not listen is no error."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                manager.settimeout(1.0)
                manager.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("the service manager cannot be told %s: %s", lines[0].partition("=")[0], error)


class Watchdog:
    """Says ``READY=1`` when entered and ``STOPPING=1`` when left, and feeds the manager's watchdog in between.

    Parameters
    ----------
    vital
        What must move, by name; asked on the thread ``watchdog``, a few times in each of the manager's time-outs.
        While one of them stands still the manager is not fed, and it is told and logged why.
    notifier
        How to tell.
    interval
        Seconds between two looks.
    """

    def __init__(
        self, vital: Mapping[str, LookAgain], notifier: Notifier | None = None, interval: float | None = None
    ) -> None:
        self._vital = vital
        self._notifier = notifier or Notifier()
        timeout = self._notifier.timeout
        self._interval = interval or (timeout / PER_TIMEOUT if timeout else WITHOUT_SYSTEMD)
        self._stopping = threading.Event()
        self._trouble: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._notifier.send("READY=1", "STATUS=ready", "WATCHDOG=1")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        # One last sign of life: finishing the last sentence may take a while.
        self._notifier.send("STOPPING=1", "STATUS=finishing what was said", "WATCHDOG=1")

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self._look()

    def _look(self) -> None:
        trouble = {name: words for name, look in self._vital.items() if (words := look()) is not None}
        for name in trouble.keys() - self._trouble.keys():
            log.error("%s; without it the watchdog is not fed", trouble[name])
        for name in self._trouble.keys() - trouble.keys():
            log.info("the %s moves again", name)
        if trouble:
            self._notifier.send(f"STATUS={'; '.join(trouble.values())}")
        else:
            self._notifier.send("WATCHDOG=1", *(["STATUS=ready"] if self._trouble else []))
        self._trouble = trouble
