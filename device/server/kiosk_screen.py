"""The kiosk page on this machine's own display: a Chromium that shows it and nothing else, for a year.

A browser that is merely started on an address shows its own error page for ever when the device is not up yet, and
"Aw, Snap!" when the page's process dies. This one is told what to do through a pipe (the Chrome DevTools Protocol,
https://chromedevtools.github.io/devtools-protocol): it shows that the device is starting until the page answers, opens
the page again when somebody left it, closes every other window, and gives the microphone to the page alone. When
anything of it dies or hangs it ends, and the service manager begins anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import shutil
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum, auto
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from device.errors import DragomanError
from device.server.auth import is_loopback

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    # One page on the whole display, with nothing of the browser's own.
    "--kiosk",
    "--no-first-run",
    "--no-default-browser-check",
    "--noerrdialogs",
    "--hide-crash-restore-bubble",
    "--disable-infobars",
    "--disable-translate",
    "--disable-pinch",
    "--overscroll-history-navigation=0",
    "--autoplay-policy=no-user-gesture-required",
    # Nothing to unlock, to print on, to cast to or to ask a desktop for.
    "--password-store=basic",
    "--disable-features=Translate,MediaRouter,GlobalMediaControls,OptimizationHints,AutofillServerCommunication",
    "--disable-extensions",
    "--disable-print-preview",
    # Nothing that calls home.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-domain-reliability",
    "--disable-breakpad",
    "--no-pings",
    # What still tries finds nobody.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE ::1",
    "--remote-debugging-pipe",
)
"""https://peter.sh/experiments/chromium-command-line-switches has them all."""
WAITING = """\
<!doctype html><meta charset=utf-8><title>Dragoman</title><style>
html{height:100%;display:grid;place-content:center;text-align:center}
html{background:#11161c;color:#aab7c4;font:1.5rem sans-serif}
b{animation:breathe 3s infinite}p{opacity:0;font-size:1rem;animation:late 1s 90s forwards}
@keyframes breathe{50%{opacity:.3}}@keyframes late{to{opacity:1}}
</style><b>Dragoman</b><p>No answer yet: <code>sudo dragoman doctor</code></p>"""
"""What is shown until the page answers; the second line after a minute and a half."""
PROBE_EVERY = 1.0
LOOK_EVERY = 15.0
ANSWER_WITHIN = 60.0
"""Seconds that the browser, or the page in it, may take for an answer. A Zero 2 that starts is slow."""
GIVE_UP_AFTER = 300.0
"""Seconds without an answer at the address after which somebody should ask anew what the address is."""
TRIES = 3
"""Starts that showed no page after which the profile is begun anew: a power cut may have damaged it."""


class ScreenError(DragomanError):
    """The page cannot be shown, or not any longer; starting again may help."""


class Showing(Enum):
    """What is on the display."""

    NOTICE = auto()
    PAGE = auto()


def find_browser() -> str:
    """Return the path of a Chromium.

    Raises
    ------
    ScreenError
        There is none.
    """
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise ScreenError("no Chromium is installed: apt install chromium")
    return found


def check_address(address: str) -> None:
    """Refuse an address that is not this machine's own, where browsers give a microphone without TLS.

    Raises
    ------
    ScreenError
        It is none, or another machine's.
    """
    try:
        parts = urlsplit(address)
        known = parts.scheme == "http" and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ScreenError(f"{address!r} is no address of a kiosk page")
    host = parts.hostname or ""
    if not is_loopback(host):
        raise ScreenError(f"the page is not served at 127.0.0.1, but at {host}: set server.host")


def answers(address: str) -> bool:
    """Whether the page is served at its address now."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=5)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


class Screen:
    """Keeps the page on the display.

    Parameters
    ----------
    address
        The page's, with whatever stands after its ``#``.
    folder
        Durable: the browser's profile, in which the page keeps its settings. One screen uses it at a time.
    program
        The browser.
    flags
        More of its flags.
    """

    def __init__(self, address: str, folder: Path, program: str, flags: Sequence[str] = ()) -> None:
        check_address(address)
        self._address, self._folder, self._flags = address, folder, flags
        self._program = program
        self._base = address.partition("#")[0]
        self._showing = Showing.NOTICE
        self._page, self._session = "", ""
        self._stopping = False

    def stop(self, *_: object) -> None:
        """Let `run` return; may be a signal's handler."""
        self._stopping = True

    def run(self) -> None:
        """Show the page until `stop`.

        Raises
        ------
        ScreenError
            The browser ended or hangs, or nothing has answered at the address for `GIVE_UP_AFTER` seconds.
        """
        with _profile(self._folder) as profile, Browser(self._program, profile, self._flags, _notice()) as browser:
            self._begin(browser)
            answered = looked = time.monotonic()
            while not self._stopping:
                for event in browser.events(PROBE_EVERY):
                    self._on_event(browser, event)
                now = time.monotonic()
                waiting = self._showing is Showing.NOTICE
                if not waiting and now - looked < LOOK_EVERY:
                    continue
                looked = now
                if answers(self._address):
                    answered = now
                    if waiting:
                        self._open(browser)
                elif now - answered > GIVE_UP_AFTER:
                    raise ScreenError(f"nothing has answered at {self._base} for {GIVE_UP_AFTER:.0f} s")
                if not waiting:
                    self._ask(browser, "Runtime.evaluate", expression="1")  # or it hangs

    def _begin(self, browser: Browser) -> None:
        """Find the browser's window, and give the microphone to the page and nothing to anybody."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self._address))
        browser.ask("Browser.grantPermissions", origin=origin, permissions=["audioCapture"])
        browser.ask("Target.setDiscoverTargets", discover=True)
        while not self._page:
            targets = browser.ask("Target.getTargets")["targetInfos"]
            self._page = next((each["targetId"] for each in targets if each["type"] == "page"), "")
        self._session = browser.ask("Target.attachToTarget", targetId=self._page, flatten=True)["sessionId"]
        self._ask(browser, "Page.enable")
        self._ask(browser, "Inspector.enable")

    def _open(self, browser: Browser) -> None:
        failed = self._ask(browser, "Page.navigate", url=self._address).get("errorText")
        if not failed:
            self._showing = Showing.PAGE
            _shown(self._folder)

    def _ask(self, browser: Browser, method: str, **parameters: object) -> dict[str, Any]:
        return browser.ask(method, self._session, **parameters)

    def _on_event(self, browser: Browser, event: dict[str, Any]) -> None:
        told = event["params"]
        info = told.get("targetInfo", {})
        match event["method"]:
            case "Target.targetDestroyed" if told["targetId"] == self._page:
                raise ScreenError("the window was closed")
            case "Target.targetCreated" if info["type"] == "page" and info["targetId"] != self._page:
                with suppress(RefusedError):  # it is gone already
                    browser.ask("Target.closeTarget", targetId=info["targetId"])
            case "Target.targetInfoChanged" if info["targetId"] == self._page and self._showing is Showing.PAGE:
                if not info["url"].startswith(self._base):
                    self._showing = Showing.NOTICE
            case "Page.javascriptDialogOpening":
                with suppress(RefusedError):
                    self._ask(browser, "Page.handleJavaScriptDialog", accept=True)


class RefusedError(ScreenError):
    """The browser does not do what it was asked."""


class Browser:
    """A running Chromium and the pipe to it.

    Parameters
    ----------
    program, profile, flags
        What is started, with which folder for its own, and how.
    first
        The address that it opens.
    """

    def __init__(self, program: str, profile: Path, flags: Sequence[str], first: str) -> None:
        command = [*_on_display(program), *FLAGS, f"--user-data-dir={profile}", *flags, first]
        its_read, self._write = _pipe()
        self._read, its_write = _pipe()
        try:
            # The browser reads what it is told from descriptor 3, and answers on 4.
            files = [(os.POSIX_SPAWN_DUP2, its_read, 3), (os.POSIX_SPAWN_DUP2, its_write, 4)]
            self._pid = os.posix_spawnp(command[0], command, os.environ, file_actions=files, setpgroup=0)
        except OSError as error:
            os.close(self._read)
            os.close(self._write)
            raise ScreenError(f"{command[0]} does not start: {error.strerror}") from None
        finally:
            os.close(its_read)
            os.close(its_write)
        self._asked = 0
        self._events: deque[dict[str, Any]] = deque()
        self._rest = b""
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(self._read, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):
            self._tell("Browser.close")
        os.close(self._write)
        for signum in (None, signal.SIGTERM, signal.SIGKILL):
            if signum is not None:
                with suppress(ProcessLookupError):
                    os.killpg(self._pid, signum)
            if _ended(self._pid, 5.0):
                break
        self._waiting.close()
        os.close(self._read)
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)  # what it left behind

    def ask(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        """Have something done, and return what came of it.

        Raises
        ------
        RefusedError
            The browser says why not.
        ScreenError
            It does not answer.
        """
        try:
            self._tell(method, session, **parameters)
        except BrokenPipeError:
            raise ScreenError("the browser ended") from None
        until = time.monotonic() + ANSWER_WITHIN
        while (left := until - time.monotonic()) > 0:
            for answer in self._messages(left):
                if "id" not in answer:
                    self._events.append(answer)
                elif answer["id"] == self._asked:
                    if "error" in answer:
                        raise RefusedError(f"{method}: {answer['error']['message']}")
                    return dict(answer["result"])
        raise ScreenError(f"the browser does not answer: {method}")

    def _tell(self, method: str, session: str = "", **parameters: object) -> None:
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")

    def events(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield what happens in the given time, and what happened before."""
        until = time.monotonic() + seconds
        while True:
            while self._events:
                yield self._events.popleft()
            if (left := until - time.monotonic()) <= 0:
                return
            self._events.extend(message for message in self._messages(left) if "id" not in message)

    def _messages(self, seconds: float) -> list[dict[str, Any]]:
        """Return what has come, after at most so many seconds."""
        if not self._waiting.select(seconds):
            return []
        if not (data := os.read(self._read, 1 << 16)):
            raise ScreenError("the browser ended")
        *whole, self._rest = (self._rest + data).split(b"\0")
        messages = [json.loads(message) for message in whole]
        # Told of the one page that there is a session with; what it was asked for stays unanswered.
        if any(message.get("method") == "Inspector.targetCrashed" for message in messages):
            raise ScreenError("the page's process ended")
        return messages


def _pipe() -> tuple[int, int]:
    """Return a pipe whose descriptors are none of those that a child is given."""
    made = os.pipe()
    moved = fcntl.fcntl(made[0], fcntl.F_DUPFD_CLOEXEC, 10), fcntl.fcntl(made[1], fcntl.F_DUPFD_CLOEXEC, 10)
    for end in made:
        os.close(end)
    return moved


def _ended(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not (ended := os.waitpid(pid, os.WNOHANG)[0]) and time.monotonic() < until:
        time.sleep(0.05)
    return bool(ended)


def _on_display(program: str) -> list[str]:
    """Return how a browser is started on the desktop's display or, where there is none, on one of its own.

    Raises
    ------
    ScreenError
        There is neither.
    """
    if os.environ.get("WAYLAND_DISPLAY"):
        return [program, "--ozone-platform=wayland"]
    if os.environ.get("DISPLAY"):
        return [program, "--ozone-platform=x11"]
    if shutil.which("cage") is None:
        raise ScreenError("there is no desktop here, and no cage either: sudo dragoman-kiosk on")
    return ["cage", "-d", "--", program, "--ozone-platform=wayland"]  # https://github.com/cage-kiosk/cage


def _notice() -> str:
    return f"data:text/html,{quote(WAITING)}"


@contextmanager
def _profile(folder: Path) -> Iterator[Path]:
    """Give the profile's folder to one screen alone; what has not shown a page `TRIES` times begins anew."""
    profile, tries = folder / "profile", folder / "tries"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ScreenError(f"{error.filename}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ScreenError("the page is on a display already") from None
        with suppress(OSError):
            tried = tries.stat().st_size if tries.exists() else 0
            if tried >= TRIES:
                shutil.rmtree(profile, ignore_errors=True)
                tried = 0
            tries.write_bytes(b"x" * (tried + 1))
        # A lock of before the power was cut, which the browser takes for another machine's when the name has changed.
        for left in profile.glob("Singleton*"):
            left.unlink(missing_ok=True)
        yield profile
    finally:
        os.close(lock)


def _shown(folder: Path) -> None:
    with suppress(OSError):
        (folder / "tries").unlink()
