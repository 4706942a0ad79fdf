"""``dragoman serve`` in a network namespace with nothing but loopback, and the official clients beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jiwer
import pytest

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[3]
MODELS = (
    "asr-moonshine-base-en", "asr-whisper-base", "mt-bergamot-en-pt", "mt-bergamot-pt-en", "mt-argos-zh-en",
    "tts-piper-pt-faber", "tts-piper-en-joe", "vad-silero", "segment-pyannote", "speaker-wespeaker",
)  # fmt: skip
ALONE = ("unshare", "--user", "--map-root-user", "--net")


@dataclass
class Served:
    """A server that nothing outside its namespace can reach, and that can reach nothing outside."""

    process: subprocess.Popen
    host: str
    state: Path
    node: Path | None = None

    @property
    def ws(self) -> str:
        return self.host.replace("http", "ws", 1)

    def output(self, *command: str, cwd: Path = ROOT, **environment: str) -> str:
        """Run a client in the namespace, and return what it printed."""
        inside = ["nsenter", "--preserve-credentials", "--user", "--net", f"--target={self.process.pid}"]
        done = subprocess.run(
            [*inside, *command], capture_output=True, text=True, timeout=170, check=False, cwd=cwd,
            env={**os.environ, **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *command: str, **environment: str) -> list[dict]:
        """Run a client that prints a JSON object a line."""
        return [json.loads(line) for line in self.output(*command, **environment).splitlines() if line.startswith("{")]

    def python(self, *arguments: str) -> list[dict]:
        """Run the program that uses the Python SDK."""
        pytest.importorskip("azure.cognitiveservices.speech")
        return self.run(sys.executable, str(HERE / "client.py"), self.ws, *map(str, arguments))

    def javascript(self, program: str, *arguments: str) -> list[dict]:
        """Run a program under Node.js."""
        assert self.node is not None
        return self.run("node", str(HERE / program), self.ws, *map(str, arguments), NODE_PATH=str(self.node))


Start = Callable[..., Served]


@pytest.fixture(scope="session")
def start_server(model_dir, tmp_path_factory) -> Iterator[Start]:
    """Return a function that starts a server; keywords are settings of ``server``."""
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no network namespaces")
    for model in MODELS:
        model_dir(model)
    running: list[subprocess.Popen] = []

    def start(state: Path | None = None, **settings: object) -> Served:
        state = state or tmp_path_factory.mktemp("served")
        chosen = {"state_directory": str(state), "server.port": 5000, "models.offline": "true"}
        chosen |= {
            f"server.{name}": value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()
        }
        flags = " ".join(f"'--set={name}={value}'" for name, value in chosen.items())
        script = f"ip link set lo up && exec {sys.executable} -m device {flags} serve"
        log = (state / "serve.log").open("ab")
        process = subprocess.Popen(
            [*ALONE, "sh", "-c", script], stdout=subprocess.PIPE, stderr=log, cwd=ROOT, text=True
        )
        log.close()
        running.append(process)
        line = process.stdout.readline()
        assert line.startswith("serving on "), (state / "serve.log").read_text()
        return Served(process, line.split()[-1], state)

    yield start
    for process in running:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def served(start_server, recordings) -> Served:
    """The server that most tests share."""
    return start_server(batch_folders=[str(recordings.folder)])


@pytest.fixture(scope="session")
def node(served) -> Served:
    """The same, with the JavaScript clients installed."""
    if shutil.which("npm") is None:
        pytest.skip("Node.js is not installed")
    folder = ROOT / "build" / "azure-clients"
    if not (folder / "node_modules").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", folder)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the JavaScript clients cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    served.node = folder / "node_modules"
    return served


def events(lines: list[dict], name: str) -> list[dict]:
    return [line for line in lines if line.get("event") == name]


NUMBERS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
           "nine": "9", "ten": "10"}  # fmt: skip


def plain(text: str) -> str:
    """Return bare words; numbers in digits, whoever wrote them."""
    words = re.sub(r"[^\w\s]", " ", text.lower()).split()
    return " ".join(NUMBERS.get(word, word) for word in words)


def word_errors(said: str, heard: str) -> float:
    return jiwer.wer(plain(said), plain(heard))
