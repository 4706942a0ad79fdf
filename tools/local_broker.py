"""A real mosquitto on a free loopback port, for the demo, the benchmarks and the tests."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from device.errors import DragomanError

READY_TIMEOUT = 20.0
"""Seconds for the broker to listen."""
SUBSCRIBER_QUEUE = 100_000
"""Messages kept for a subscriber that is away; mosquitto's own 1000 would drop a backlog of finals."""
SUBSCRIBER_WINDOW = 1000
"""Messages sent to a subscriber before it has acknowledged: mosquitto writes them before its PUBACK, so that
what it acknowledged is on the wire to every connected subscriber, even if the broker is killed."""


class LocalBroker:
    """Starts, stops, kills and restarts one mosquitto; a context manager.

    Parameters
    ----------
    directory
        Where its configuration, log and stored messages go.
    persistence
        Whether it writes sessions and messages to disk, after every change.
    config
        Further lines of ``mosquitto.conf``; a line with ``allow_anonymous`` replaces the default.
    port
        0 chooses a free one.

    Raises
    ------
    DragomanError
        Mosquitto is not installed, or does not start; the message has its last words.
    """

    host = "127.0.0.1"

    def __init__(
        self, directory: Path, *, persistence: bool = False, config: Sequence[str] = (), port: int = 0
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.log = directory / "mosquitto.log"
        self._config = directory / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            f"listener {self.port} {self.host}",
            f"user {getpass.getuser()}",  # or mosquitto, started by root, would become somebody else
            f"max_queued_messages {SUBSCRIBER_QUEUE}",
            f"max_inflight_messages {SUBSCRIBER_WINDOW}",
            "log_type all",
            *config,
        ]
        if not any(line.startswith("allow_anonymous") for line in config):
            lines.append("allow_anonymous true")
        if persistence:
            lines += [
                "persistence true",
                f"persistence_location {directory}/",
                "autosave_on_changes true",
                "autosave_interval 1",
            ]
        directory.mkdir(parents=True, exist_ok=True)
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until connections are accepted."""
        if self.running:
            return
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [find_mosquitto(), "-c", str(self._config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._process = process
        deadline = time.monotonic() + READY_TIMEOUT
        while not self._accepts():
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                words = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
                raise DragomanError(f"mosquitto did not start: {' / '.join(words) or 'it said nothing'}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to end (SIGTERM): it saves what it must and says goodbye."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same port with what it had saved."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accepts(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def find_mosquitto() -> str:
    """Return the path of mosquitto, which Debian keeps where ordinary users' PATH does not look."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise DragomanError("mosquitto is not installed: sudo apt-get install mosquitto")
    return found


def free_port() -> int:
    """Return a TCP port of loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
