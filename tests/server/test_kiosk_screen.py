"""What keeps the page on a display, with a real Chromium that is given none; with one: tests/e2e/kiosk."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from device.server import kiosk_screen
from device.server.kiosk_screen import TRIES, Screen, ScreenError
from tests.conftest import APPLIANCE

FLAGS = ("--headless", "--disable-gpu", "--disable-popup-blocking", "--use-fake-device-for-media-stream")
NO_SANDBOX = ("--no-sandbox",) if os.geteuid() == 0 else ()
"""Chromium refuses to be root's in its sandbox."""
PATIENCE = 100

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed"),
]

whole = pytest.mark.skipif(not APPLIANCE, reason="starts Chromium many times: make test-appliance")


class Device:
    """Serves a page at an address of its own, even when it was away meanwhile."""

    def __init__(self) -> None:
        self.script = ""
        """What the page does."""
        self.told: queue.Queue[str] = queue.Queue()
        """``open`` whenever a browser opens the page, and what its script asks ``/told?…`` for."""
        self._server = self._serve(0)
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}/kiosk/#place=here"

    def _serve(self, port: int) -> ThreadingHTTPServer:
        device = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, told = self.path.partition("?")
                if told:
                    device.told.put(told)
                script = ""
                if path == "/kiosk/" and "Chrom" in self.headers.get("User-Agent", ""):
                    device.told.put("open")
                    script, device.script = device.script, ""
                page = f"<!doctype html><title>page</title>The page<script>{script}</script>".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def go(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def come(self) -> None:
        self._server = self._serve(self.port)

    def next(self) -> str:
        return self.told.get(timeout=PATIENCE)


@pytest.fixture
def device():
    device = Device()
    yield device
    device.go()


class Running:
    """A screen in a thread of its own."""

    def __init__(self, address: str, folder: Path, program: str) -> None:
        self.profile = folder / "profile"
        self.error: ScreenError | None = None
        self._screen = Screen(address, folder, program, (*FLAGS, *NO_SANDBOX))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._screen.run()
        except ScreenError as error:
            self.error = error

    def ended(self) -> ScreenError | None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.error

    def stop(self) -> None:
        self._screen.stop()
        self.ended()

    def processes(self, kind: str = "") -> list[int]:
        """Return the processes of the browser, or those of a kind."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(self.profile) in command and f"--type={kind}" in (command if kind else "--type="):
                found.append(int(path.parent.name))
        return found


@pytest.fixture
def start(device, tmp_path, monkeypatch):
    """Return a function that starts a screen."""
    monkeypatch.setattr(kiosk_screen, "_on_display", lambda program: [program])
    monkeypatch.setattr(kiosk_screen, "LOOK_EVERY", 1.0)
    made: list[Running] = []

    def start(address: str = device.address, program: str = "chromium") -> Running:
        made.append(Running(address, tmp_path / "kiosk", program))
        return made[-1]

    yield start
    for screen in made:
        screen.stop()
        until = time.monotonic() + PATIENCE  # killed processes take their time to go
        while screen.processes() and time.monotonic() < until:
            time.sleep(0.1)
        assert not screen.processes()


def test_a_display_that_is_on_before_the_device_shows_its_page_once_it_is_up(device, start):
    device.go()
    screen = start()
    while not screen.processes("renderer"):
        time.sleep(0.05)
    device.come()
    assert device.next() == "open"
    assert screen.error is None


def test_a_page_whose_process_dies_ends_the_screen_in_one_line(device, start):
    device.script = "fetch('/x?loaded')"
    screen = start()
    assert [device.next() for _ in range(2)] == ["open", "loaded"]
    for process in screen.processes("renderer"):
        os.kill(process, signal.SIGKILL)
    assert str(screen.ended()) == "the page's process ended"


@whole
def test_a_page_that_was_left_is_opened_again(device, start):
    device.script = "location = '/elsewhere?left'"
    start()
    assert [device.next() for _ in range(3)] == ["open", "left", "open"]


@whole
def test_other_windows_are_closed(device, start):
    device.script = "const w = open('/other?opened'); setInterval(() => w.closed && fetch('/x?closed'), 100)"
    start()
    assert {device.next() for _ in range(3)} == {"open", "opened", "closed"}


def test_the_page_alone_has_the_microphone_and_nothing_else(device, start):
    device.script = """
        const ask = (name) => navigator.permissions.query({name}).then((found) => name + "=" + found.state);
        const hear = () => navigator.mediaDevices.getUserMedia({audio: true}).then(() => "heard", () => "deaf");
        (async () => {
            const all = [await hear(), await ask("camera"), await ask("geolocation"), await ask("notifications")];
            await fetch("/x?" + all.join(","));
        })()"""
    start()
    assert device.next() == "open"
    assert device.next() == "heard,camera=denied,geolocation=denied,notifications=denied"


@whole
def test_a_browser_that_ends_ends_the_screen_in_one_line(device, start):
    screen = start()
    assert device.next() == "open"
    for process in screen.processes():
        os.kill(process, signal.SIGKILL)
    assert str(screen.ended()) == "the browser ended"


@whole
def test_an_address_where_nothing_answers_is_asked_for_anew(device, start, monkeypatch):
    monkeypatch.setattr(kiosk_screen, "GIVE_UP_AFTER", 2.0)
    device.go()
    screen = start()
    assert str(screen.ended()) == f"nothing has answered at http://127.0.0.1:{device.port}/kiosk/ for 2 s"
    device.come()


@whole
def test_one_display_at_a_time(device, start):
    start()
    assert device.next() == "open"
    assert str(start().ended()) == "the page is on a display already"


@whole
def test_a_profile_that_never_shows_a_page_is_begun_anew_and_one_that_does_is_kept(device, start, tmp_path):
    profile = tmp_path / "kiosk" / "profile"
    profile.mkdir(parents=True)
    (profile / "kept").touch()
    for _ in range(TRIES):
        assert str(start(program="false").ended()) == "the browser ended"
    assert (profile / "kept").exists()
    assert str(start(program="false").ended()) == "the browser ended"
    assert not profile.exists()
    screen = start()
    assert device.next() == "open"
    screen.stop()
    assert (profile / "Default" / "Preferences").exists()
    assert not (tmp_path / "kiosk" / "tries").exists()


@whole
def test_a_lock_that_a_power_cut_left_under_another_name_of_the_machine_is_none(device, start, tmp_path):
    profile = tmp_path / "kiosk" / "profile"
    profile.mkdir(parents=True)
    (profile / "SingletonLock").symlink_to("another-host-1")
    start()
    assert device.next() == "open"


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://192.168.1.5:5000/kiosk/", "not served at 127.0.0.1, but at 192.168.1.5"),
        ("https://example.org/", "no address of a kiosk page"),
        ("", "no address of a kiosk page"),
        ("http://[", "no address of a kiosk page"),
        ("http://127.0.0.1:99999/kiosk/", "no address of a kiosk page"),
    ],
)
def test_an_address_of_elsewhere_is_refused(address, told, tmp_path):
    with pytest.raises(ScreenError, match=told):
        Screen(address, tmp_path, "chromium")


def test_a_browser_that_is_not_there_is_named(start):
    assert str(start(program="no-such-browser").ended()) == "no-such-browser does not start: No such file or directory"
