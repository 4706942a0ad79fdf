"""What the daemon costs as a process: time to ready, memory, and processor time while nobody talks.

Each figure is taken from outside, of a fresh process that is the daemon with a real broker and a virtual
microphone. Run as a program, this module is that process with a button that its standard input presses.
"""

from __future__ import annotations

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
from device.events import SAMPLE_RATE, Event, UtteranceEnded
from tools.bench_engines import PREFER
from tools.bench_recordings import Utterance
from tools.local_broker import LocalBroker
from tools.virtual_mic import INPUT_DEVICE, OUTPUT_DEVICE, VirtualMicrophone

READY = "ready"
PINS = (17, 27)
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
pins = "mock"
trigger = "{trigger}"
[[controls.buttons]]
name = "first"
pin = 17
[[controls.buttons]]
name = "second"
pin = 27
direction = 1
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
    def daemon(self, trigger: str, *, pressable: bool = False) -> Iterator[tuple[subprocess.Popen[str], float]]:
        """Run a daemon; give its process when it is ready, and the seconds that took."""
        config = self.folder / f"{trigger}.toml"
        names: dict[str, Any] = {
            "input": INPUT_DEVICE,
            "output": OUTPUT_DEVICE,
            "trigger": trigger,
            "port": self.broker.port,
        }
        names["recognizer"] = PREFER["asr:en"]
        config.write_text(CONFIGURATION.format(state=self.folder / "state", **names), encoding="utf-8")
        module = ["tools.bench_process", str(config)] if pressable else ["device", "--config", str(config), "run"]
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env={**os.environ, **self.microphone.env()},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said = wait_for(process, READY)
            yield process, time.monotonic() - began
        finally:
            process.terminate()
            said = process.communicate()[1]
            if process.returncode not in (0, -15):
                raise DragomanError(f"the daemon ended with {process.returncode}: {said.strip()}")


def wait_for(process: subprocess.Popen[str], word: str) -> str:
    """Read what a daemon says until a line that ends with ``word``, and return it."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if re.search(rf"\b{word}$", line.strip()):
            return line
    raise DragomanError(f"the daemon ended: {' '.join(''.join(said).split())}")


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

    with stage.daemon("hold", pressable=True) as (process, _):
        seen = psutil.Process(process.pid)
        loaded = seen.memory_info().rss
        assert process.stdin is not None
        for pin, utterance in zip(PINS, (english, portuguese), strict=True):
            process.stdin.write(f"press {pin}\n")
            process.stdin.flush()
            wait_for(process, "pressed")
            loud = soxr.resample(utterance.samples, SAMPLE_RATE, stage.microphone.rate)
            stage.microphone.play(np.asarray(loud, np.float32))
            process.stdin.write(f"release {pin}\n")
            process.stdin.flush()
            wait_for(process, "answered")
        return {"loaded": loaded / MEGABYTE, "used": seen.memory_info().rss / MEGABYTE}


def _processor_seconds(process: Any) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Be the daemon, and obey ``press PIN`` and ``release PIN`` on standard input."""
    from device.config import load_settings
    from device.controls.pins import mock_press, mock_release
    from device.daemon import Daemon

    def say(word: str) -> None:
        print(word, file=sys.stderr, flush=True)

    def listener(event: Event) -> None:
        if isinstance(event, UtteranceEnded):
            say("answered" if event.has_text else "heard nothing and is not answered")

    with Daemon(load_settings(Path(sys.argv[1])), [listener]):
        say(READY)
        for line in sys.stdin:
            action, pin = line.split()
            if action == "press":
                mock_press(int(pin))
                say("pressed")
            else:
                mock_release(int(pin))


if __name__ == "__main__":
    main()
