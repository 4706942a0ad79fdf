"""Fixtures that every room's tests share.

Real models and recordings come from the user's own model store (``DRAGOMAN_MODELS`` or the default folder);
what is missing is fetched by hash through the catalogue, once. With ``DRAGOMAN_TEST_FAST=1`` every test that
needs them, or that drives real servers, is left out.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from device.modelstore.progress import Lines
from device.modelstore.store import ModelStore

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Run in the background, tests would hand the ignored signal down to the programs that they interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("dragoman", deadline=None)  # machines are shared: no test fails on a clock
settings.load_profile("dragoman")

_SLOW = {"models", "e2e"}
APPLIANCE = bool(os.environ.pop("DRAGOMAN_TEST_APPLIANCE", ""))
"""Whether ``make test-appliance`` runs: what takes minutes, or needs a machine that keeps time, runs too."""
_FAST = os.environ.pop("DRAGOMAN_TEST_FAST", "") not in {"", "0"}  # the settings refuse variables they do not know


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the quick loop does not run."""
    if not _FAST:
        return
    slow = [item for item in items if _SLOW & {marker.name for marker in item.iter_markers()}]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def model_store() -> ModelStore:
    """The store that the tests' real models live in."""
    return ModelStore()


@pytest.fixture(scope="session")
def model_dir(model_store: ModelStore) -> Callable[[str], Path]:
    """Return a function that gives a model's folder, fetching the model if it is not installed."""

    def folder(model_id: str) -> Path:
        model_store.pull([model_id], Lines())
        return model_store.path(model_id)

    return folder


@dataclass(frozen=True)
class Recordings:
    """Real recordings; ``recordings / "two_cities.wav"`` is a path."""

    folder: Path

    def __truediv__(self, name: str) -> Path:
        path = self.folder / name
        assert path.is_file(), f"there is no recording {name}"
        return path

    def __fspath__(self) -> str:
        return str(self.folder)

    def clips(self, language: str) -> list[tuple[Path, str]]:
        """The short clips in ``language`` (en es fr hi it ja pl pt zh), each with what is said in it."""
        found = sorted((self.folder / "audioeval" / "audio" / language).glob("*.wav"))
        assert found, f"there are no clips in {language}"
        return [(path, path.with_suffix(".txt").read_text(encoding="utf-8").strip()) for path in found]


@pytest.fixture(scope="session")
def recordings(model_dir: Callable[[str], Path]) -> Recordings:
    """The recordings with transcripts."""
    return Recordings(model_dir("recordings"))
