"""The kiosk page in a real browser, on a real server with the real models."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, expect

from device.config import load_settings
from device.engines.registry import Engines
from device.server.serve import Server
from tools.browser import BrowserError, Launch, browsers

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[3]
MODELS = (
    "asr-moonshine-tiny-en", "asr-whisper-base", "mt-bergamot-en-pt", "mt-bergamot-pt-en", "tts-piper-pt-faber",
    "tts-piper-en-joe", "vad-silero",
)  # fmt: skip
KEY = "correct horse battery staple"
FOX = "quick_brown_fox"

expect.set_options(timeout=60_000)  # machines are shared: no test fails on a clock


@pytest.fixture(scope="session")
def fox(recordings) -> Path:
    """The recording that the browser's microphone hears."""
    return next(path for path, _ in recordings.clips("en") if path.stem == FOX)


@pytest.fixture(scope="session")
def launch() -> Iterator[Launch]:
    """Return a function that starts a browser."""
    with ExitStack() as stack:
        try:
            launch = stack.enter_context(browsers())
        except BrowserError as error:
            pytest.skip(str(error))
        yield launch


@pytest.fixture(scope="session")
def chromium(launch, fox) -> Browser:
    """A browser that gives every page its microphone."""
    try:
        return launch(fox)
    except BrowserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def engines(model_dir) -> Iterator[Engines]:
    for model in MODELS:
        model_dir(model)
    with Engines.open(load_settings(None, {})) as engines:
        yield engines


@pytest.fixture(scope="session")
def start_server(engines, tmp_path_factory) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server; keywords are settings of ``server``."""
    running: list[Server] = []

    def start(**settings: object) -> Server:
        overrides = {"state_directory": str(tmp_path_factory.mktemp("kiosk")), "server.port": 0}
        overrides |= {f"server.{name}": value for name, value in settings.items()}
        server = Server(engines, load_settings(None, overrides))
        server.start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server) -> Server:
    """The server that most tests share."""
    return start_server()


@pytest.fixture(scope="session")
def keyed(start_server, tmp_path_factory) -> Server:
    """One that the whole network may reach, and that asks for a key."""
    file = tmp_path_factory.mktemp("key") / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    return start_server(host="0.0.0.0", key_file=str(file))


@dataclass
class Kiosk:
    """An open page, with all that it asked for and all that went wrong."""

    page: Page
    address: str
    asked: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    sounds: list[int] = field(default_factory=list)
    """Bytes of each piece of speech that came."""

    def watch(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", self._socket)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda line: line.type == "error" and self.wrong.append(line.text))

    def _socket(self, socket: WebSocket) -> None:
        self.asked.append(socket.url)
        socket.on("framereceived", lambda frame: isinstance(frame, bytes) and self.sounds.append(len(frame)))

    def half(self, side: int):
        return self.page.locator(f"#side-{side}")

    def ready(self) -> None:
        expect(self.page.locator("#bar")).to_have_attribute("data-state", "ready")

    def press(self, side: int = 0) -> None:
        """Press the mouse on a side's button, and keep it down."""
        self.half(side).locator(".talk").hover()
        self.page.mouse.down()
        expect(self.half(side).locator(".talk")).to_have_attribute("data-state", "talking")

    def release(self) -> None:
        self.page.mouse.up()

    def talk(self) -> None:
        """Have a turn in which the whole recording is heard."""
        self.press()
        expect(self.half(0).locator(".words")).to_contain_text("dog")
        self.page.wait_for_timeout(400)  # longer than a press that latches, and to the recording's end
        self.release()

    def type(self, text: str, side: int = 0) -> None:
        self.page.locator("#open-composer").click()
        self.page.locator(f'#composer-side input[value="{side}"]').check()
        self.page.locator("#composer-text").fill(text)
        self.page.locator("#composer .go").click()

    def entry(self, number: int = 0):
        """Return an entry of the history, the newest first; it is there on small screens too, but not seen."""
        return self.page.locator("#entries li").nth(number)

    def settled(self) -> None:
        """Nothing went wrong, and nobody outside was asked for anything."""
        assert not self.wrong
        here = urlsplit(self.address).netloc
        assert {urlsplit(url).netloc for url in self.asked} == {here}


@pytest.fixture
def open_page(chromium, server) -> Iterator[Callable[..., Kiosk]]:
    """Return a function that opens the page in a browser of its own; keywords are what its address says."""
    contexts: list[BrowserContext] = []

    def open_it(
        size=(480, 320), address=None, in_browser=None, ready=True, context=None, fragment=None, **options
    ) -> Kiosk:
        made = (in_browser or chromium).new_context(
            viewport={"width": size[0], "height": size[1]}, **{"locale": "en-US", **(context or {})}
        )
        contexts.append(made)
        kiosk = Kiosk(made.new_page(), address or server.addresses[0])
        kiosk.watch()
        options = {"place": "here", "sides": "en,pt", **options}
        kiosk.page.goto(
            f"{kiosk.address}/kiosk/#" + (fragment or "&".join(f"{name}={value}" for name, value in options.items()))
        )
        if ready:
            kiosk.ready()
        return kiosk

    yield open_it
    for made in contexts:
        made.close()


@pytest.fixture(scope="session")
def axe() -> Callable[..., list[str]]:
    """Return a function that names what axe-core finds wrong with a page (https://github.com/dequelabs/axe-core)."""
    if shutil.which("npm") is None:
        subprocess.run([ROOT / "tools" / "setup.sh", "package", "npm"], capture_output=True, check=False)
    if shutil.which("npm") is None:
        pytest.skip("npm cannot be installed, and axe-core comes from nowhere else")
    folder = ROOT / "build" / "kiosk-checks"
    source = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", folder)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"axe-core cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    script = source.read_text(encoding="utf-8")

    def check(page: Page, *more: str) -> list[str]:
        page.evaluate(script)  # not a script of the page, which its policy would refuse
        rules = json.dumps({name: {"enabled": True} for name in more})
        found = page.evaluate(f"axe.run({{rules: {rules}}})")
        return [
            f"{v['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
            for v in found["violations"]
            for node in v["nodes"]
        ]

    return check
