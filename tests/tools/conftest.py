"""What is made once for all tests of installing."""

from pathlib import Path

import pytest

from tests.tools import chroots


@pytest.fixture(scope="session")
def fox(recordings) -> Path:
    return next(path for path, _ in recordings.clips("en") if "fox" in path.name)


@pytest.fixture(scope="session")
def stick(tmp_path_factory, fox) -> Path:
    """A folder to install from on this processor."""
    if reason := chroots.why_not():
        pytest.skip(reason)
    return chroots.fill_stick(tmp_path_factory.mktemp("stick"), chroots.NATIVE, fox)


@pytest.fixture(scope="session")
def arm_stick(tmp_path_factory, fox) -> Path:
    """A folder to install from on a Raspberry Pi."""
    if reason := chroots.why_not("arm64"):
        pytest.skip(reason)
    return chroots.fill_stick(tmp_path_factory.mktemp("arm-stick"), "arm64", fox)
