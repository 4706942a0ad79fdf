"""The kiosk page on a display: cage, Chromium in its sandbox, and pictures of what somebody in front of it sees."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image, ImageChops, ImageGrab

from tests.conftest import APPLIANCE
from tests.e2e.kiosk.conftest import ROOT

SIZE = (1024, 768)
NOTICE = (0x11, 0x16, 0x1C)
"""The ground of what is shown until the page is there."""
READY = (0x16, 0x83, 0x3E)
MISSING = [name for name in ("cage", "chromium", "Xvfb", "unshare") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.models,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not APPLIANCE, reason="takes a minute: make test-appliance"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


@pytest.fixture(scope="module")
def x_server() -> Iterator[str]:
    """What cage takes for a monitor: an X server that draws into memory."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


class Display:
    """``dragoman kiosk --display`` as its service starts it, on a monitor of its own."""

    def __init__(self, folder: Path, x_server: str, address: Path, *flags: str) -> None:
        self._x_server, self.log = x_server, folder / f"display-{time.monotonic_ns()}.log"
        self._flags = flags
        environment = {name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"}
        environment |= {"HOME": str(folder), "STATE_DIRECTORY": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        environment |= {"WLR_BACKENDS": "x11", "WLR_RENDERER": "pixman", "DRAGOMAN_MONITOR": x_server}
        environment.pop("DISPLAY", None)
        (folder / "bin").mkdir(exist_ok=True)
        environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
        cage = folder / "bin" / "cage"
        cage.write_text(f'#!/bin/sh\nDISPLAY=$DRAGOMAN_MONITOR exec {shutil.which("cage", path=os.defpath)} "$@"\n')
        cage.chmod(0o755)
        # Chromium's sandbox refuses root, and only root may give itself another number without being anybody else.
        other = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
        command = [
            *other,
            sys.executable,
            "-m",
            "device",
            "kiosk",
            "--display",
            "--address",
            str(address),
            "--",
            *flags,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def picture(self) -> Image.Image:
        return ImageGrab.grab(xdisplay=self._x_server)

    def wait(self, done: Callable[[Image.Image], bool]) -> Image.Image:
        """Return the first picture that is what is waited for, and stays so for half a second."""
        since: float | None = None
        while since is None or time.monotonic() - since < 0.5:
            assert self.process.poll() is None, self.log.read_text(errors="replace")[-2000:]
            time.sleep(0.1)
            since = (since or time.monotonic()) if done(picture := self.picture()) else None
        return picture

    def processes(self, kind: str) -> list[int]:
        """Return the browser's processes of a kind; with an empty one those that started the others."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                command = path.read_bytes().decode(errors="replace")
                if str(self.log.parent) in command and (
                    f"--type={kind}" in command if kind else "--type" not in command
                ):
                    found.append(int(path.parent.name))
        return found

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def is_notice(picture: Image.Image) -> bool:
    return picture.getpixel((10, SIZE[1] - 10)) == NOTICE


def is_page(picture: Image.Image) -> bool:
    """Whether it is ready: a dot that says so, and both buttons, the near one blue, the far one green."""
    many = {colour for count, colour in picture.getcolors(1 << 20) or [] if count > 20_000}
    return picture.getpixel((26, 384)) == READY and {(0x1D, 0x4E, 0xD8), (0x0B, 0x65, 0x5D)} <= many


def shows_more(picture: Image.Image, than: Image.Image) -> bool:
    """Whether a bubble or a bar lies on what was there before; where the monitor lags a few points differ."""
    changed = ImageChops.difference(picture, than).convert("L").point(lambda value: 255 * (value > 8))
    return changed.histogram()[255] > 0.01 * SIZE[0] * SIZE[1]


def spoken_to(log: Path) -> set[str]:
    """Return the addresses that a browser's own log of its network says it sent anything to."""
    recorded = json.loads(log.read_text())
    names = {number: name for name, number in recorded["constants"]["logEventTypes"].items()}
    found = set()
    for event in recorded["events"]:
        if names[event["type"]] in {"TCP_CONNECT_ATTEMPT", "UDP_BYTES_SENT", "DNS_TRANSACTION"}:
            parameters = event.get("params", {})
            found |= {str(parameters[key]) for key in ("address", "hostname") if key in parameters}
    return found


@pytest.fixture
def address(tmp_path) -> Path:
    """The address of a page that is not there yet, in a file that only its owner reads."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = tmp_path / "url"
    file.write_text(f"http://127.0.0.1:{port}/kiosk/#place=here&sides=en,pt&theme=light\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def show(tmp_path, x_server, address) -> Iterator[Callable[..., Display]]:
    """Return a function that switches the display on."""
    made: list[Display] = []

    def show(*flags: str) -> Display:
        made.append(Display(tmp_path, x_server, address, *flags))
        return made[-1]

    yield show
    for display in made:
        if display.process.poll() is None:
            display.stop()


def test_a_display_shows_the_page_whatever_comes_first_and_whatever_dies(show, address, start_server, tmp_path):
    port = urlsplit(address.read_text()).port
    network = tmp_path / "network.json"
    display = show(f"--log-net-log={network}")
    display.wait(is_notice)

    server = start_server(port=port)
    page = display.wait(is_page)
    (ROOT / "build").mkdir(exist_ok=True)
    page.save(ROOT / "build" / "kiosk-display.png")

    # The page's process is in the sandbox: namespaces of its own, and few system calls.
    pages = [Path(f"/proc/{process}") for process in display.processes("renderer")]
    assert pages
    assert all("Seccomp:\t2" in (page / "status").read_text() for page in pages)
    assert Path("/proc/self/ns/pid").readlink() not in {(page / "ns/pid").readlink() for page in pages}

    server.stop()
    display.wait(lambda picture: not is_page(picture))
    start_server(port=port)
    display.wait(is_page)

    assert display.stop() == 0
    assert spoken_to(network) == {f"127.0.0.1:{port}"}


def test_after_a_power_cut_nothing_asks_for_anything(show, address, start_server):
    start_server(port=urlsplit(address.read_text()).port)
    display = show()
    page = display.wait(is_page)
    for process in display.processes(""):
        os.kill(process, signal.SIGKILL)
    assert display.process.wait(60) != 0
    display = show()
    assert not shows_more(display.wait(is_page), page)

    # A page alone that is killed, as for want of memory, ends the service, which systemd starts again.
    for process in display.processes("renderer"):
        os.kill(process, signal.SIGKILL)
    assert display.process.wait(60) == 1
    assert "dragoman: the page's process ended" in display.log.read_text(errors="replace").splitlines()
    display = show()
    assert not shows_more(display.wait(is_page), page)
