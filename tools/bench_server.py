"""``make bench-server``: how many real-time conversations the server holds at once, beside what its engines could.

Every conversation is a client on a socket of its own that plays recordings at their own pace, pauses as people do,
and is translated from English into Portuguese. A number of conversations is held when every final comes, and 95 of
100, with their translation, within two seconds of the end of the words. The limit is what the same models do on the
same cores when they are called directly, one call after the other: voice activity over all audio, recognition of
each utterance once, as long as the server hears it, translation of its text once; one thread a call. Server and
clients share the cores: what the clients take is told beside, and not taken off the limit.

``share_by_processor_time`` is what the engines alone take for a second of a conversation, over what server and
clients took where most were tried: other work on the machine disturbs it less than it disturbs the answers' times.
For it the engines are measured once more afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from device.config import EndpointSettings, ModelSettings, Settings
from device.engines.registry import Engines
from device.events import SAMPLE_RATE, Samples
from device.hearing import PAUSE
from device.modelstore.store import open_store
from device.translation import TextTranslator
from tools.bench_clients import Track, play
from tools.bench_engines import PREFER
from tools.bench_recordings import Utterance, utterances

OUTPUT = Path("build/bench-server.json")
HELD = 2.0
"""Seconds within which 95 of 100 finals must arrive."""
GAP = 1.5
"""Seconds of silence after an utterance."""
RAMP = 6.0
"""Seconds within which all conversations begin."""
SHARES = (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5)
"""Parts of the engines' limit that are tried, one after the other until one is not held."""
PRECISION = 0.02
"""The part of the limit to which the largest number that is held is then looked for."""
CORES = 2


@dataclass(frozen=True)
class Round:
    """One number of conversations, measured."""

    conversations: int
    p50_final_s: float
    p95_final_s: float
    finals: int
    expected: int
    partials: int
    server_mb: float
    server_cores: float
    client_cores: float
    other_cores: float
    """What everything else on the machine took: with much of it, times of answers tell little."""
    server_seconds_per_second: float
    """Processor seconds of the server for a second of a conversation, as many as it held."""
    client_seconds_per_second: float

    @property
    def held(self) -> bool:
        """Whether every final came, and soon enough."""
        return self.p95_final_s < HELD and self.finals >= self.expected


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="make bench-server", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each number of conversations is tried")
    parser.add_argument("--conversations", type=int, nargs="*", help="numbers to try [parts of the engines' limit]")
    parser.add_argument("--without-partials", action="store_true", help="what finals alone cost")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    said, rtf = measure_engines()
    limit = len(cores) / rtf
    console.print(f"{len(cores)} cores; engines alone: {rtf:.4f} s a second of speech with its pauses, "
                  f"so {limit:.1f} conversations; load before: {os.getloadavg()[0]:.1f}")  # fmt: skip
    tracks = [Track(np.concatenate([u.samples, _silence(GAP)])) for u in said]
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder), partials=not options.without_partials) as server,
    ):
        table = Table("conversations", "p50 s", "p95 s", "finals", "partials", "server MB", "server cores",
                      "client cores", "other cores", "CPU s/s", "held")  # fmt: skip

        def measure(number: int, seconds: float = options.seconds) -> Round:
            each = hold(server, tracks, number, seconds)
            table.add_row(
                str(each.conversations), f"{each.p50_final_s:.2f}", f"{each.p95_final_s:.2f}",
                f"{each.finals}/{each.expected}", str(each.partials), f"{each.server_mb:.0f}",
                f"{each.server_cores:.2f}", f"{each.client_cores:.2f}", f"{each.other_cores:.2f}",
                f"{each.server_seconds_per_second:.4f}", "yes" if each.held else "no",
            )  # fmt: skip
            return each

        rounds = [measure(1, min(15.0, options.seconds))]
        if options.conversations:
            rounds += map(measure, options.conversations)
        else:
            rounds += search(measure, limit)
    result = summary(rounds, limit, (rtf + measure_engines()[1]) / 2)
    console.print(table)
    console.print(
        f"held: {result['conversations']} conversations, {result['share_of_engine_limit']:.0%} of the engines' limit "
        f"(target 90%); {result['mb_per_conversation']:.1f} MB each (target 20); by processor time alone "
        f"{result['share_by_processor_time']:.0%}"
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def search(measure: Callable[[int], Round], limit: float) -> list[Round]:
    """Go up until a number is not held, then halve the distance to the last one that was."""
    rounds: list[Round] = []
    held, lost = 1, None
    for number in sorted({max(2, round(limit * share)) for share in SHARES}):
        rounds.append(measure(number))
        if not rounds[-1].held:
            lost = number
            break
        held = number
    while lost is not None and lost - held > max(1.0, PRECISION * limit):
        rounds.append(measure((held + lost) // 2))
        if rounds[-1].held:
            held = rounds[-1].conversations
        else:
            lost = rounds[-1].conversations
    return rounds


def summary(rounds: Sequence[Round], limit: float, rtf: float) -> dict[str, Any]:
    """Return the document that is written."""
    held = [each for each in rounds if each.held]
    best = max(held, key=lambda r: r.conversations, default=rounds[0])
    most = max(rounds, key=lambda r: r.conversations)
    added = max(1, most.conversations - rounds[0].conversations)
    return {
        "conversations": best.conversations if held else 0,
        "share_of_engine_limit": round(best.conversations / limit, 3) if held else 0.0,
        "share_by_processor_time": round(rtf / (most.server_seconds_per_second + most.client_seconds_per_second), 3),
        "mb_per_conversation": round((most.server_mb - rounds[0].server_mb) / added, 2),
        "server_seconds_per_second": round(most.server_seconds_per_second, 5),
        "p95_final_s": round(best.p95_final_s, 3),
        "engine_limit": round(limit, 2),
        "engine_seconds_per_second": round(rtf, 5),
        "load_average": list(os.getloadavg()),
        "rounds": [each.__dict__ | {"held": each.held} for each in rounds],
    }


def measure_engines() -> tuple[list[Utterance], float]:
    """Return the utterances, and processor seconds of the engines for a second of a conversation."""
    store = open_store(Settings())
    with Engines(store, ModelSettings(threads=1, workers=1, prefer=PREFER)) as engines:
        said = utterances(store.path("recordings"), "en", engines.vad(EndpointSettings()))
        recognizer = engines.recognizer("en")
        (translator,) = TextTranslator.for_targets(engines, "en", ("pt",))
        translator.translate(recognizer.session("en").recognize(said[0].samples, final=True).text)
        vad = engines.vad(EndpointSettings())
        began = time.process_time()
        for utterance in said:
            audio = np.concatenate([utterance.samples, _silence(GAP)])
            for start in range(0, len(audio) - vad.frame, vad.frame):
                vad.is_speech(audio[start : start + vad.frame])
            heard = utterance.released_after(PAUSE).samples
            text = recognizer.session("en").recognize(heard, final=True).text
            (fresh,) = TextTranslator.for_targets(engines, "en", ("pt",))  # without what the last one remembers
            fresh.translate(text)
        spent = time.process_time() - began
    return said, spent / sum(len(u.samples) / SAMPLE_RATE + GAP for u in said)


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


class Server:
    """``dragoman serve`` in a process of its own."""

    def __init__(self, folder: Path, *, partials: bool) -> None:
        chosen: dict[str, object] = {
            "state_directory": folder, "server.port": 0, "server.connections": 1000,
            "partials.enabled": str(partials).lower(), "models.prefer": json.dumps(PREFER),
        }  # fmt: skip
        flags = [f"--set={name}={value}" for name, value in chosen.items()]
        command = [sys.executable, "-m", "device", *flags, "serve"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("serving on "):
            raise SystemExit("the server did not start")
        self.address = line.split()[-1].replace("http", "ws", 1)
        self.process = psutil.Process(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(30)


def hold(server: Server, tracks: Sequence[Track], number: int, seconds: float) -> Round:
    """Hold ``number`` conversations for ``seconds``."""
    client = psutil.Process()
    spent, own, all_spent = _cpu(server.process), _cpu(client), _machine()
    began = time.monotonic()
    with Watched(server.process) as memory:
        clients = play(server.address, tracks, number, seconds, RAMP)
    lasted = time.monotonic() - began
    spent, own = _cpu(server.process) - spent, _cpu(client) - own
    others = max(0.0, _machine() - all_spent - spent - own)
    audio = sum(each.fed for each in clients)
    latencies = sorted(latency for each in clients for latency in each.latencies) or [float("inf")]
    return Round(
        number, float(np.percentile(latencies, 50)), float(np.percentile(latencies, 95)),
        sum(len(each.latencies) for each in clients), sum(each.spoken for each in clients),
        sum(each.partials for each in clients), memory.most, spent / lasted, own / lasted,
        others / lasted, spent / audio, own / audio,
    )  # fmt: skip


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _machine() -> float:
    """Return the seconds for which the cores in use were busy, with whatever."""
    cores = sorted(os.sched_getaffinity(0))
    times = [each for number, each in enumerate(psutil.cpu_times(percpu=True)) if number in cores]
    return float(sum(each.user + each.nice + each.system + each.irq + each.softirq for each in times))


class Watched:
    """The most resident memory, in MB, that a process has while the block runs."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._done = process, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self.most = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.most = max(self.most, self._process.memory_info().rss / 1e6)
            if self._done.wait(1):
                return


if __name__ == "__main__":
    sys.exit(main())
