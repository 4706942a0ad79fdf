"""What strangers send to the server, a hundred thousand times: no crash, no 500, nothing that hangs, no memory kept.

``python -m tools.fuzz`` starts ``dragoman serve`` with the real models in a process of its own, and sends it frame
headers, JSON bodies, audio headers, SSML (entity bombs, external entities, attributes of 10 MB), bytes that are no
request, and whatever the description of the REST interfaces allows. An answer has to be what the description says; a
socket has to close with a code that tells the client it was wrong. The inputs come in short rounds, kind after kind,
because Hypothesis remembers all inputs of a round. ``build/fuzz.json`` has the counts, the failures with the inputs
that made them, and the server's memory and open files.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from schemathesis.checks import not_a_server_error, response_schema_conformance, status_code_conformance
from schemathesis.core.result import Ok
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from device.errors import DragomanError
from tools import fuzz_inputs as inputs
from tools.fuzz_inputs import Message

OUTPUT = Path("build/fuzz.json")
COUNT = 100_000
ROUND = 500
PATIENCE = 30.0
"""Seconds after which a connection hangs."""
GROWTH_MB = 32.0
"""What the server may hold more at the end than when everything had been used once."""
RECOGNITION = "/stt/speech/universal/v2"
INTERACTIVE = "/speech/recognition/interactive/cognitiveservices/v1?language=en-US"
SYNTHESIS = "/tts/cognitiveservices/websocket/v1"
KIOSK = "/kiosk/socket"
TRANSLATOR = "/speech/translate?from=en&to=pt&features=partial,texttospeech"
ENDS = frozenset({1000, 1003, 1007, 1009, 4401})
"""The codes that a client's mistakes may close a socket with. A client that has closed first sees its own code again;
the server's own faults are told by its log as well."""
MEGABYTE = 1_000_000


@schemathesis.serializer("audio/wav", "audio/ogg")
def as_it_is(_context: object, value: object) -> bytes:
    """Send recordings as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Hang(Exception):  # noqa: N818 - a finding, not an error of this program
    """A connection neither answered nor closed."""


@dataclass
class Findings:
    """What came of one kind of input."""

    inputs: int = 0
    crashes: int = 0
    errors_500: int = 0
    untrue: int = 0
    """Answers that are not as described."""
    hanging: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many inputs found something."""
        return self.crashes + self.errors_500 + self.untrue + self.hanging


class Target:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], address: str, log: Path) -> None:
        self.process, self.http, self.log = process, address, log
        self.ws = address.replace("http", "ws", 1)
        host, _, port = address.rpartition("/")[2].rpartition(":")
        self.place = (host, int(port))
        self.client = httpx.Client(base_url=address, timeout=PATIENCE)

    @property
    def memory_mb(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return round(int(found[1]) * 1024 / MEGABYTE, 1) if found else 0.0

    @property
    def files(self) -> int:
        """Open files and sockets."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    @property
    def faults(self) -> list[str]:
        """What the server itself logged as its own fault: the lines around each traceback."""
        lines = self.log.read_text(errors="replace").splitlines()
        found = [at for at, line in enumerate(lines) if "Traceback" in line]
        return ["\n".join(lines[max(0, at - 1) : at + 40]) for at in found]

    def talk(self, path: str, messages: list[Message]) -> None:
        """Send messages to a socket, and see it closed."""
        for _ in range(100):
            try:
                with connect(self.ws + path, close_timeout=PATIENCE, open_timeout=PATIENCE, max_size=None) as ws:
                    _say(ws, messages)
                break
            except TimeoutError:
                raise Hang("the socket does not open") from None
            except InvalidStatus as refused:
                if refused.response.status_code != 429:
                    raise
                time.sleep(0.1)  # those before are still being closed
        if ws.protocol.close_code not in ENDS:
            reason = f"closed with {ws.protocol.close_code} {ws.protocol.close_reason or ''}"
            raise Hang(reason) if ws.protocol.close_code in {None, 1006} else AssertionError(reason)

    def post(self, path: str, body: bytes, media_type: str) -> None:
        """Send a body, and see it answered."""
        try:
            answer = self.client.post(path, content=body, headers={"Content-Type": media_type})
        except httpx.TimeoutException:
            raise Hang(f"{path} does not answer") from None
        assert answer.status_code in {200, 400, 413, 415}, f"{path}: {answer.status_code} {answer.text[:200]}"

    def throw(self, data: bytes) -> None:
        """Send bytes that are no request; they are answered, or the connection ends when the client has done."""
        with socket.create_connection(self.place, PATIENCE) as connection, suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            try:
                head = connection.recv(65_536)
                while connection.recv(65_536):
                    pass
            except TimeoutError:
                raise Hang("neither answered nor closed") from None
            assert not re.match(rb"HTTP/1.1 5", head), head[:200]


def _say(ws: ClientConnection, messages: list[Message]) -> None:
    with suppress(ConnectionClosed):
        for message in messages:
            ws.send(inputs.encodable(message))


@contextmanager
def serving() -> Iterator[Target]:
    """Run ``dragoman serve`` while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        flags = {
            "state_directory": folder, "models.offline": "true", "server.port": 0, "server.idle": 20,
            "server.message_kb": 16_384,
        }  # fmt: skip
        command = [sys.executable, "-m", "device", *(f"--set={name}={value}" for name, value in flags.items()), "serve"]
        with log.open("w") as told:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True, start_new_session=True)
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line.startswith("serving on "):
                raise DragomanError(f"the server does not start: {log.read_text()[-500:]}")
            target = Target(process, line.split()[-1], log)
            yield target
            target.client.close()
        finally:
            process.terminate()
            process.wait(30)


Send = Callable[[Any], None]


def kinds(target: Target) -> dict[str, tuple[float, SearchStrategy[Any], Send]]:
    """Return what is sent, by name: its share of all inputs, the inputs, and how one is sent."""

    def to(path: str) -> Send:
        return lambda messages: target.talk(path, messages)

    def body(path: str, media_type: str) -> Send:
        return lambda text: target.post(path, text if isinstance(text, bytes) else _utf8(text), media_type)

    jobs, short = "/speechtotext/v3.2/transcriptions", "/speech/recognition/conversation/cognitiveservices/v1"
    found: dict[str, tuple[float, SearchStrategy[Any], Send]] = {
        "frame headers, recognition": (0.10, inputs.some(inputs.headers), to(RECOGNITION)),
        "frame headers, synthesis": (0.05, inputs.some(inputs.headers), to(SYNTHESIS)),
        "JSON bodies, recognition": (0.10, inputs.some(inputs.contexts), to(RECOGNITION)),
        "JSON bodies, synthesis": (0.05, inputs.some(inputs.contexts), to(SYNTHESIS)),
        "JSON bodies, batch": (0.08, inputs.OBJECTS.map(json.dumps), body(jobs, "application/json")),
        "audio headers, recognition": (0.08, inputs.some(inputs.sounds), to(INTERACTIVE)),
        "audio headers, Translator": (0.06, inputs.some(inputs.riff), to(TRANSLATOR)),
        "audio headers, REST": (0.08, inputs.riff(), body(f"{short}?language=en-US", "audio/wav")),
        "SSML, sockets": (0.08, inputs.some(inputs.ssml, 1), to(SYNTHESIS)),
        "SSML, REST": (0.10, inputs.documents(), body("/cognitiveservices/v1", "application/ssml+xml")),
        "messages of the kiosk page": (0.03, inputs.asks(), to(KIOSK)),
        "bytes that are no request": (0.05, inputs.raw(), target.throw),
    }
    for name, path in (
        ("recognition", RECOGNITION), ("interactive", INTERACTIVE), ("synthesis", SYNTHESIS),
        ("Translator", TRANSLATOR),
    ):  # fmt: skip
        found[f"anything, {name}"] = (0.02, inputs.some(lambda: inputs.MESSAGES, 6), to(path))
    operations = schemathesis.openapi.from_dict(target.client.get("/openapi.json").json()).get_all_operations()
    described = [result.ok() for result in operations if isinstance(result, Ok)]
    for operation in described:

        def ask(case: Any) -> None:
            answer = case.call(base_url=target.http, timeout=PATIENCE)
            checks = [not_a_server_error, status_code_conformance]
            if "json" in answer.headers.get("content-type", [""])[0]:
                checks.append(response_schema_conformance)
            case.validate_response(answer, checks=checks)

        found[operation.label] = (0.18 / len(described), operation.as_strategy(), ask)
    return found


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def send_round(number: int, count: int, strategy: SearchStrategy[Any], send: Send, findings: Findings) -> None:
    """Send ``count`` inputs of one kind and account what comes of them."""

    def one(item: Any) -> None:
        findings.inputs += 1
        try:
            send(item)
        except Hang as hang:
            findings.hanging += 1
            _note(findings, item, hang)
        except AssertionError as wrong:
            _count(findings, str(wrong))
            _note(findings, item, wrong)
        except Exception as failure:  # noqa: BLE001 - a server that ends in the middle shows in many ways
            findings.crashes += 1
            _note(findings, item, failure)

    began = time.monotonic()
    chosen = settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    seed(number)(chosen(given(strategy)(one)))()
    findings.seconds += time.monotonic() - began


def _count(findings: Findings, text: str) -> None:
    if "1011" in text or re.search(r"\b50\d\b", text) or "Server error" in text:
        findings.errors_500 += 1
    else:
        findings.untrue += 1


def _note(findings: Findings, item: Any, failure: Exception) -> None:
    if len(findings.failures) < 5:
        findings.failures.append(f"{type(failure).__name__}: {str(failure)[:600]} <- {repr(item)[:600]}")


@dataclass
class State:
    """How the server's process is at one time."""

    inputs: int
    memory_mb: float
    files: int


def use_everything(target: Target) -> None:
    """Use every room once, so that what is loaded or made at first use does not count as growth."""
    for path in (RECOGNITION, INTERACTIVE, SYNTHESIS, TRANSLATOR):
        target.talk(path, [])
    for voice in target.client.get("/cognitiveservices/voices/list").json():
        body = f"<speak><voice name='{voice['ShortName']}'>Bom dia.</voice></speak>"
        target.post("/cognitiveservices/v1", body.encode(), "application/ssml+xml")
    said = target.client.post("/cognitiveservices/v1", content="<speak>Good morning, my friends.</speak>").content
    for locale in ("en-US", "pt-BR", "fr-FR"):
        target.post(f"/speech/recognition/conversation/cognitiveservices/v1?language={locale}", said, "audio/wav")
    target.post("/cognitiveservices/v1", inputs.HUGE.encode(), "application/ssml+xml")


def run(target: Target, count: int, found: dict[str, Findings], states: list[State]) -> None:
    """Send ``count`` inputs in rounds; note what comes of each kind, and how the server is after each tenth."""
    use_everything(target)
    sent = kinds(target)
    wanted = {name: max(1, round(count * share)) for name, (share, _, _) in sent.items()}
    found |= {name: Findings() for name in sent}
    states.append(State(0, target.memory_mb, target.files))
    number = 0
    while any(found[name].inputs < wanted[name] for name in sent):
        for name, (_, strategy, send) in sent.items():
            rest = wanted[name] - found[name].inputs
            if rest <= 0:
                continue
            number += 1
            asked, before = min(ROUND, rest, max(10, wanted[name] // 10)), found[name].inputs
            send_round(number, asked, strategy, send, found[name])
            if found[name].inputs - before < asked // 2:  # there are no more different ones
                wanted[name] = found[name].inputs
            if target.process.poll() is not None:
                found[name].crashes += 1
                raise DragomanError(f"the server ended with {target.process.returncode} under {name!r}")
        states.append(State(sum(f.inputs for f in found.values()), target.memory_mb, target.files))
        print(json.dumps(asdict(states[-1])), flush=True)


def _settled(states: list[State]) -> State:
    """Return the state when allocators and caches had met every kind of input."""
    return states[min(len(states) - 1, max(1, len(states) // 5))]


def judge(found: Mapping[str, Findings], states: list[State], faults: list[str]) -> list[str]:
    """Return what is wrong, in words; nothing where every promise was kept."""
    wrong = [f"{name}: {findings.failed} failures" for name, findings in found.items() if findings.failed]
    settled = _settled(states)
    if states[-1].memory_mb - settled.memory_mb > GROWTH_MB:
        wrong.append(f"memory grew from {settled.memory_mb} to {states[-1].memory_mb} MB")
    if states[-1].files > states[0].files + 8:
        wrong.append(f"open files grew from {states[0].files} to {states[-1].files}")
    if faults:
        wrong.append(f"the server logged {len(faults)} faults of its own: {faults[0][:200]}")
    return wrong


def show(found: Mapping[str, Findings], states: list[State]) -> None:
    """Print the summary."""
    print(f"\n{'kind':64}{'inputs':>8}{'crashes':>9}{'500s':>6}{'untrue':>8}{'hanging':>9}{'ms each':>9}")
    total = Findings()
    for name, f in found.items():
        print(_row(name, f))
        for key in ("inputs", "crashes", "errors_500", "untrue", "hanging", "seconds"):
            setattr(total, key, getattr(total, key) + getattr(f, key))
    print(_row("all", total))
    first, last = states[0], states[-1]
    settled = _settled(states)
    print(
        f"memory of the server: {first.memory_mb} MB before, {settled.memory_mb} MB after {settled.inputs} inputs, "
        f"{last.memory_mb} MB after {last.inputs}; open files {first.files} before, {last.files} after"
    )


def _row(name: str, f: Findings) -> str:
    each = 1000 * f.seconds / max(1, f.inputs)
    return f"{name:64}{f.inputs:8}{f.crashes:9}{f.errors_500:6}{f.untrue:8}{f.hanging:9}{each:9.1f}"


def main() -> int:
    """Run it; returns 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help=f"inputs in all [{COUNT}]")
    count = parser.parse_args().count
    found: dict[str, Findings] = {}
    states: list[State] = []
    interrupted: list[str] = []
    with ExitStack() as stack:
        target = stack.enter_context(serving())
        try:
            run(target, count, found, states)
        except KeyboardInterrupt:
            interrupted = ["it was interrupted: this is what came of the inputs so far"]
        time.sleep(2)  # the last connections are closing
        states.append(State(states[-1].inputs, target.memory_mb, target.files))
        use_everything(target)  # and it still works
        faults = target.faults
    show(found, states)
    wrong = interrupted + judge(found, states, faults)
    for line in wrong:
        print(line)
    for findings in found.values():
        for failure in findings.failures:
            print(f"  {failure}")
    OUTPUT.parent.mkdir(exist_ok=True)
    body = {
        "kinds": {name: asdict(findings) for name, findings in found.items()},
        "server": [asdict(state) for state in states], "faults": faults[:20], "wrong": wrong,
    }  # fmt: skip
    OUTPUT.write_text(json.dumps(body, indent=1))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
