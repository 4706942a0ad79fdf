"""A real browser for the kiosk page: the system's Chromium, with a recording for a microphone.

Playwright drives it. Its own builds of browsers come from an address that many networks do not let through, so the
distribution's is used, and installed where it is missing. ``CHROMIUM`` names another one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from device.errors import DragomanError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SETUP = Path(__file__).with_name("setup.sh")


class BrowserError(DragomanError):
    """No browser can be had, or it does not start."""


def find() -> str:
    """Return the path of a Chromium; installs the distribution's where there is none.

    Raises
    ------
    BrowserError
        It cannot be installed.
    """
    if found := os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None):
        return found
    done = subprocess.run([SETUP, "package", "chromium"], capture_output=True, text=True, check=False)
    if found := shutil.which("chromium"):
        return found
    reason = (done.stderr or done.stdout).strip().splitlines() or ["the package has no program of that name"]
    raise BrowserError(f"no Chromium is installed, and none can be: {reason[-1]}")


Launch = Callable[..., Browser]


@contextmanager
def browsers() -> Iterator[Launch]:
    """Give a function that starts a headless Chromium, as often as it is called (see `_launch`).

    Raises
    ------
    BrowserError
        It cannot be had, or, from the function, does not start.
    """
    path = find()
    with sync_playwright() as playwright, ExitStack() as running:

        def launch(recording: Path | None = None, *, microphone: bool = True) -> Browser:
            made = _launch(playwright, path, recording, microphone)
            running.callback(made.close)
            return made

        yield launch


def _launch(playwright: Playwright, path: str, recording: Path | None, microphone: bool) -> Browser:
    """Start one.

    Parameters
    ----------
    playwright, path
        The driver and the program.
    recording
        What its microphone hears, once, from the moment on when a page opens it; without one a beep.
    microphone
        Whether pages get a microphone without anybody being asked; else they are refused.
    """
    flags = ["--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required"]
    if microphone:
        flags.append("--use-fake-ui-for-media-stream")
    if recording is not None:
        flags.append(f"--use-file-for-fake-audio-capture={recording}%noloop")
    try:
        return playwright.chromium.launch(executable_path=path, args=flags)
    except Error as error:
        raise BrowserError(f"{path} does not start: {error.message.splitlines()[0]}") from None
