"""``make bench-server``: how many real-time conversations the server holds at once, beside what its engines could.

Every conversation is a client on a socket of its own that plays recordings at their own pace, pauses as people do,
and is translated from English into Portuguese. A number of conversations is held when 95 of 100 finals, with their
translation, arrive within two seconds of the end of the words. The limit is what the same models (voice
activity, recognition, translation) do when they are called directly, one call after the other on each core. Server
and clients share the cores, so the clients' own processor time is told as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

from device.audio.files import to_pcm16
from device.config import EndpointSettings, ModelSettings, Settings
from device.engines.registry import Engines
from device.events import SAMPLE_RATE, Samples
from device.modelstore.store import open_store
from device.server.frames import parse_text, write_binary, write_text
from device.server.wave import wave_header
from device.translation import TextTranslator
from tools.bench_engines import PREFER
from tools.bench_recordings import Utterance, utterances

OUTPUT = Path("build/bench-server.json")
HELD = 2.0
"""Seconds within which 95 of 100 finals must arrive."""
CHUNK = 0.1
"""Seconds of audio in one message."""
GAP = 1.5
"""Seconds of silence after an utterance."""
SHARES = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
"""Parts of the engines' limit that are tried, one after the other until one is not held."""
CORES = 2
CONTEXT = {
    "phraseDetection": {"mode": "CONVERSATION", "language": "en-US"},
    "translation": {"targetLanguages": ["pt"]},
}


@dataclass
class Heard:
    """What one conversation was answered."""

    latencies: list[float] = field(default_factory=list)
    finals: int = 0


@dataclass(frozen=True)
class Round:
    """One number of conversations, measured."""

    conversations: int
    p50_final_s: float
    p95_final_s: float
    finals: int
    expected: int
    server_mb: float
    server_cores: float
    client_cores: float
    server_seconds_per_second: float
    """Processor seconds of the server for a second of a conversation: beside the engines' own, whatever else runs."""

    @property
    def held(self) -> bool:
        """Whether every final came, and soon enough."""
        return self.p95_final_s < HELD and self.finals >= self.expected


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="make bench-server", description=__doc__)
    parser.add_argument("--seconds", type=float, default=45.0, help="how long each number of conversations is tried")
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
    numbers = options.conversations or sorted({max(1, round(limit * share)) for share in SHARES})
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder), max(numbers), partials=not options.without_partials) as server,
    ):
        first = asyncio.run(play(server, said, 1, min(15.0, options.seconds)))
        rounds = [first]
        for number in numbers:
            rounds.append(asyncio.run(play(server, said, number, options.seconds)))
            if not rounds[-1].held:
                break
    result = summary(rounds, limit, rtf)
    table = Table(
        "conversations", "p50 s", "p95 s", "finals", "server MB", "server cores", "client cores", "CPU s/s", "held"
    )
    for each in rounds:
        table.add_row(
            str(each.conversations), f"{each.p50_final_s:.2f}", f"{each.p95_final_s:.2f}",
            f"{each.finals}/{each.expected}", f"{each.server_mb:.0f}", f"{each.server_cores:.2f}",
            f"{each.client_cores:.2f}", f"{each.server_seconds_per_second:.4f}", "yes" if each.held else "no",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"held: {result['conversations']} conversations, {result['share_of_engine_limit']:.0%} of the engines' limit "
        f"(target 90%); {result['mb_per_conversation']:.1f} MB each (target 20)"
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def summary(rounds: Sequence[Round], limit: float, rtf: float) -> dict[str, Any]:
    """Return the document that is written."""
    held = [each for each in rounds if each.held]
    best = max(held, key=lambda r: r.conversations, default=rounds[0])
    most = max(rounds, key=lambda r: r.conversations)
    added = max(1, most.conversations - rounds[0].conversations)
    return {
        "conversations": best.conversations if held else 0,
        "share_of_engine_limit": round(best.conversations / limit, 3) if held else 0.0,
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
        began = time.process_time()
        vad = engines.vad(EndpointSettings())
        for utterance in said:
            audio = np.concatenate([utterance.samples, np.zeros(round(GAP * SAMPLE_RATE), np.float32)])
            for start in range(0, len(audio) - vad.frame, vad.frame):
                vad.is_speech(audio[start : start + vad.frame])
            text = recognizer.session("en").recognize(utterance.samples, final=True).text
            (fresh,) = TextTranslator.for_targets(engines, "en", ("pt",))  # without what the last one remembers
            fresh.translate(text)
        spent = time.process_time() - began
    return said, spent / sum(len(u.samples) / SAMPLE_RATE + GAP for u in said)


class Server:
    """``dragoman serve`` in a process of its own."""

    def __init__(self, folder: Path, connections: int, *, partials: bool) -> None:
        chosen: dict[str, object] = {
            "state_directory": folder, "server.port": 0, "server.connections": connections + 2,
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


async def play(server: Server, said: Sequence[Utterance], number: int, seconds: float) -> Round:
    """Hold ``number`` conversations for ``seconds``."""
    client = psutil.Process()
    heard = [Heard() for _ in range(number)]
    spent, own = _cpu(server.process), _cpu(client)
    began = time.monotonic()
    most = 0.0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, server.process.memory_info().rss / 1e6)
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    told = await asyncio.gather(
        *(converse(server.address, said, n, n / number * 5, seconds, heard[n]) for n in range(number))
    )
    watching.cancel()
    lasted = time.monotonic() - began
    expected, audio = sum(finals for finals, _ in told), sum(seconds for _, seconds in told)
    spent = _cpu(server.process) - spent
    latencies = sorted(latency for each in heard for latency in each.latencies) or [float("inf")]
    return Round(
        number, float(np.percentile(latencies, 50)), float(np.percentile(latencies, 95)),
        sum(each.finals for each in heard), expected, most, spent / lasted,
        (_cpu(client) - own) / lasted, spent / audio,
    )  # fmt: skip


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def converse(
    address: str, said: Sequence[Utterance], number: int, delay: float, seconds: float, heard: Heard
) -> tuple[int, float]:
    """Hold one conversation; return how many finals it must bring at least, and the seconds of audio."""
    await asyncio.sleep(delay)
    request = uuid.uuid4().hex
    async with connect(f"{address}/stt/speech/universal/v2", max_size=None, compression=None) as socket:
        await socket.send(write_text("speech.context", request, CONTEXT))
        await socket.send(write_binary("audio", request, wave_header(SAMPLE_RATE), "audio/x-wav"))
        while parse_text(str(await socket.recv())).path != "turn.start":
            pass
        began = time.monotonic()

        async def listen() -> None:
            async for message in socket:
                frame = parse_text(str(message))
                if frame.path == "turn.end":
                    return
                if frame.path == "translation.response" and "speechphrase" in (body := frame.json()):
                    phrase = body["speechphrase"]
                    ended = (phrase["offset"] + phrase["duration"]) / 1e7
                    heard.latencies.append(time.monotonic() - began - ended)
                    heard.finals += 1

        listening = asyncio.create_task(listen())
        spoken, fed = 0, 0.0
        while fed < seconds:
            utterance = said[(number + spoken) % len(said)]
            spoken += 1
            audio = np.concatenate([utterance.samples, np.zeros(round(GAP * SAMPLE_RATE), np.float32)])
            fed = await _send(socket, request, audio, began, fed)
        await socket.send(write_binary("audio", request, b"", "audio/x-wav"))
        async with asyncio.timeout(120):
            await listening
    return spoken, fed


async def _send(socket: Any, request: str, audio: Samples, began: float, fed: float) -> float:
    """Send audio at its own pace; return the seconds sent so far."""
    step = round(CHUNK * SAMPLE_RATE)
    for start in range(0, len(audio), step):
        part = audio[start : start + step]
        fed += len(part) / SAMPLE_RATE
        # A microphone gives a block when its last sample has been heard.
        await asyncio.sleep(max(0.0, began + fed - time.monotonic()))
        await socket.send(write_binary("audio", request, to_pcm16(part), None))
    return fed


if __name__ == "__main__":
    sys.exit(main())
