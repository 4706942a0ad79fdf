"""What the daemon costs as a process: time to ready, memory, and processor time while nobody talks.

Each figure is taken from outside, of a fresh ``dragoman run`` with a real broker and a virtual microphone.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import soxr

from device.errors import DragomanError
from device.events import SAMPLE_RATE
from tools.bench_engines import PREFER
from tools.bench_recordings import Utterance
from tools.local_broker import LocalBroker
from tools.virtual_mic import INPUT_DEVICE, OUTPUT_DEVICE, VirtualMicrophone

PATIENCE = 60.0
CONFIGURATION = """\
state_directory = "{state}"
[[directions]]
source = "en"
targets = ["pt"]
[[directions]]
source = "pt"
targets = ["en"]
[models]
prefer = {{ "asr:en" = "{recognizer}" }}
[mqtt]
port = {port}
device = "bench"
[audio]
input = "{input}"
output = "{output}"
channels = 4
[controls]
pins = "none"
trigger = "{trigger}"
"""
MEGABYTE = 1_000_000


class Stage:
    """A broker and a virtual microphone for daemons to run with; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = LocalBroker(folder / "broker")
        self.microphone = VirtualMicrophone(channels=4)

    def __enter__(self) -> Self:
        self.broker.start()
        self.microphone.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.microphone.stop()
        self.broker.stop()

    @contextmanager
    def daemon(self, trigger: str) -> Iterator[tuple[subprocess.Popen[str], float]]:
        """Run a daemon; give its process when it is ready, and the seconds that took."""
        config = self.folder / f"{trigger}.toml"
        names: dict[str, Any] = {"input": INPUT_DEVICE, "output": OUTPUT_DEVICE, "trigger": trigger}
        names |= {"port": self.broker.port, "recognizer": PREFER["asr:en"], "state": self.folder / "state"}
        config.write_text(CONFIGURATION.format(**names), encoding="utf-8")
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "device", "--config", str(config), "run"],
            env={**os.environ, **self.microphone.env()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _wait_ready(process)
            yield process, time.monotonic() - began
        finally:
            process.terminate()
            said = process.communicate()[1]
            if process.returncode:
                raise DragomanError(f"the daemon ended with {process.returncode}: {said.strip()}")

    def turn(self, direction: int, target: str, utterance: Utterance) -> None:
        """Let somebody say an utterance, and wait for its translation.

        Raises
        ------
        DragomanError
            It does not come.
        """
        client = ["-V", "mqttv5", "-h", self.broker.host, "-p", str(self.broker.port)]
        topic = "dragoman/bench"
        answer = subprocess.Popen(
            ["mosquitto_sub", *client, "-C", "1", "-W", str(round(PATIENCE)), "-t", f"{topic}/translation/{target}"],
            stdout=subprocess.DEVNULL,
        )
        loud = soxr.resample(utterance.samples, SAMPLE_RATE, self.microphone.rate)
        said = ["mosquitto_pub", *client, "-q", "1", "-t"]
        subprocess.run([*said, f"{topic}/cmd/listen", "-m", json.dumps({"direction": direction})], check=True)
        self.microphone.play(np.asarray(loud, np.float32))
        subprocess.run([*said, f"{topic}/cmd/stop", "-n"], check=True)
        if answer.wait():
            raise DragomanError(f"{utterance.name} was not translated into {target}")


def _wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.strip())
        if re.search(r"\bready$", line.strip()):
            return
    raise DragomanError(f"the daemon ended: {' '.join(said)}")


def ready_seconds(stage: Stage, repeats: int) -> float:
    """Return how long the daemon takes from its start until it listens, the median of several."""
    seconds = []
    for _ in range(repeats):
        with stage.daemon("hold") as (_, took):
            seconds.append(took)
    return statistics.median(seconds)


def idle_core(stage: Stage, seconds: float) -> float:
    """Return the share of one core that the daemon takes with an open microphone in a silent room."""
    import psutil

    with stage.daemon("open") as (process, _):
        time.sleep(3)
        seen = psutil.Process(process.pid)
        before, began = _processor_seconds(seen), time.monotonic()
        time.sleep(seconds)
        return (_processor_seconds(seen) - before) / (time.monotonic() - began)


def resident(stage: Stage, english: Utterance, portuguese: Utterance) -> dict[str, float]:
    """Return the megabytes that the daemon keeps in memory with both directions loaded, and after use of both."""
    import psutil

    with stage.daemon("hold") as (process, _):
        seen = psutil.Process(process.pid)
        loaded = seen.memory_info().rss
        stage.turn(0, "pt", english)
        stage.turn(1, "en", portuguese)
        return {"loaded": loaded / MEGABYTE, "used": seen.memory_info().rss / MEGABYTE}


def _processor_seconds(process: Any) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
