"""systemd is told that the device is ready, that it lives while everything moves, and that it stops."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from device.engines.scheduler import Priority, Scheduler
from device.watchdog import Notifier, Pulse, Watchdog


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(60)

    def hear(self) -> list[str]:
        return self._socket.recv(4096).decode().splitlines()

    def hear_until(self, line: str) -> list[list[str]]:
        heard = [self.hear()]
        while not any(said.startswith(line) for said in heard[-1]):
            heard.append(self.hear())
        return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    address = str(tmp_path / "notify") if request.param == "path" else f"\0dragoman-test-{os.getpid()}"
    manager = Manager(address)
    manager.notifier = Notifier({"NOTIFY_SOCKET": address.replace("\0", "@"), "WATCHDOG_USEC": "80000"})
    yield manager
    manager.close()


def test_ready_alive_and_stopping_are_told(manager):
    with Watchdog({"audio": lambda: None}, manager.notifier):
        assert manager.hear() == ["READY=1", "STATUS=ready", "WATCHDOG=1"]
        assert manager.hear() == ["WATCHDOG=1"]
    assert "STOPPING=1" in manager.hear_until("STOPPING=1")[-1]


def test_a_thing_that_stands_still_starves_the_watchdog_until_it_moves_again(manager, caplog):
    still = threading.Event()
    with Watchdog({"audio": lambda: "audio has stood still for 31 s" if still.is_set() else None}, manager.notifier):
        manager.hear_until("READY=1")
        still.set()
        manager.hear_until("STATUS=audio has stood still")
        assert manager.hear() == ["STATUS=audio has stood still for 31 s"]
        still.clear()
        assert manager.hear_until("STATUS=ready")[-1] == ["WATCHDOG=1", "STATUS=ready"]
    assert caplog.text.count("stood still") == 1, "told once, not at every look"


def test_an_engine_that_hangs_starves_the_watchdog(manager):
    scheduler, hang = Scheduler(workers=2), threading.Event()
    look = lambda: "stuck" if scheduler.stuck_for() > 0.05 else None  # noqa: E731
    with Watchdog({"engines": look}, manager.notifier):
        manager.hear_until("WATCHDOG=1")
        job = scheduler.submit(Priority.FINAL, hang.wait)
        manager.hear_until("STATUS=stuck")
        hang.set()
        job.result()
        manager.hear_until("STATUS=ready")
    scheduler.close()


def test_a_dead_engine_thread_counts_as_stuck():
    scheduler = Scheduler(workers=1)
    assert scheduler.stuck_for() == 0
    scheduler.close()
    assert scheduler.stuck_for() == float("inf")


def test_what_beats_moves_and_what_does_not_stands_still():
    assert Pulse("audio", limit=60).look() is None
    assert Pulse("audio", limit=-1).look() == "audio has stood still for 0 s"


def test_without_systemd_nothing_is_told_and_nothing_fails():
    with Watchdog({"audio": lambda: None}, Notifier({})):
        pass


def test_the_watchdog_of_another_process_is_not_ours():
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).timeout is None
    assert Notifier({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}).timeout == 1.0
    assert Notifier({"WATCHDOG_USEC": "nonsense"}).timeout is None


def test_a_manager_that_is_gone_is_no_error(tmp_path):
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).send("WATCHDOG=1")
