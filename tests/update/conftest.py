"""A device with version 1 installed, and versions to update it to."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.update.support import Device, Signer, write_bundle, write_tree


@pytest.fixture
def tmp_path(tmp_path):
    """In memory where that can be: each update forces everything to the disk, which others use too."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="dragoman-") as folder:
        yield Path(folder)


@pytest.fixture
def signer(tmp_path) -> Signer:
    return Signer(tmp_path / "keys")


@pytest.fixture
def device(tmp_path, signer) -> Device:
    device = Device(tmp_path / "device", signer)
    device.updater.adopt(write_tree(tmp_path / "v1", "1.0", 100))
    return device


@pytest.fixture
def make(tmp_path, signer):
    """Make a bundle of a version."""

    def bundle(version: str, serial: int, *, by: Signer | None = None, without=(), **options) -> Path:
        tree = write_tree(tmp_path / f"v{version}-{serial}", version, serial, **options)
        return write_bundle(tmp_path / f"{version}-{serial}.update", tree, by or signer, without=without)

    return bundle
