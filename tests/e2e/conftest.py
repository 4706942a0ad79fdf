"""The device as a whole: the daemon, a real broker with a second client, a virtual microphone array and speaker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from device.config import Settings
from device.daemon import Daemon
from tests.audio.pulse import virtual_mic  # noqa: F401
from tests.conftest import APPLIANCE
from tests.support.mqtt_listener import Listener
from tools.local_broker import LocalBroker

collect_ignore = [] if APPLIANCE else ["test_faults.py", "test_barge_in.py"]

DEVICE = "bench"
MODELS = ("asr-moonshine-tiny-en", "mt-bergamot-en-pt", "tts-piper-pt-faber", "vad-silero")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    with LocalBroker(tmp_path / "broker", persistence=True) as broker:
        yield broker


@pytest.fixture
def listener(broker: LocalBroker) -> Iterator[Listener]:
    with Listener(broker.host, broker.port, f"dragoman/{DEVICE}/#") as listener:
        yield listener


@pytest.fixture
def configuration(tmp_path: Path, broker: LocalBroker, model_dir, virtual_mic) -> dict:  # noqa: F811
    """Settings as a file would have them; tests change what they need before they start a daemon."""
    for model in MODELS:
        model_dir(model)
    return {
        "state_directory": str(tmp_path / "state"),
        "mqtt": {"host": broker.host, "port": broker.port, "device": DEVICE},
        "controls": {"pins": "mock"},
    }


@pytest.fixture
def start_here(configuration: dict) -> Iterator:
    """Return a function that starts a daemon in this process, where its pins can be pressed."""
    running: list[Daemon] = []

    def start(**listeners: object) -> Daemon:
        daemon = Daemon(Settings.model_validate(configuration), **listeners)  # type: ignore[arg-type]
        daemon.start()
        running.append(daemon)
        return daemon

    yield start
    for daemon in running:
        daemon.stop()


class Process:
    """``dragoman run`` as the service manager starts it."""

    def __init__(self, configuration: dict, log: Path, prefix: Sequence[str] = (), **environment: str) -> None:
        self.log = log
        overrides = [f"--set={key}={value}" for key, value in _flat(configuration)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "device", *overrides, "run"],
                env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def text(self) -> str:
        return self.log.read_text()


@pytest.fixture
def start_process(configuration: dict, tmp_path: Path) -> Iterator:
    """Return a function that starts a daemon in a process of its own, where it can be killed."""
    running: list[Process] = []

    def start(prefix: Sequence[str] = (), **environment: str) -> Process:
        running.append(Process(configuration, tmp_path / f"daemon-{len(running)}.log", prefix, **environment))
        return running[-1]

    yield start
    for process in running:
        process.kill()


def _flat(tree: dict, prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)
