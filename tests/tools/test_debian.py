"""Debian packages: those of other processors are found, and a folder of them can be installed from."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from device.update.manifest import MACHINES as RELEASED_FOR
from tools import debian, lock
from tools.deb import DEPENDS
from tools.release import PYTHON, version

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this is no Debian")


def write_package(folder, name, depends=""):
    root = folder / f"{name}-root"
    (root / "DEBIAN").mkdir(parents=True)
    fields = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: {name}\n"
    (root / "DEBIAN/control").write_text(fields + (f"Depends: {depends}\n" if depends else ""))
    built = ["dpkg-deb", "--root-owner-group", "--build", root, folder / "packages" / f"{name}.deb"]
    subprocess.run(built, check=True, capture_output=True)


def test_apt_installs_from_a_folder_and_finds_there_what_is_needed(tmp_path):
    packages = tmp_path / "packages"
    packages.mkdir()
    write_package(tmp_path, "dragoman-test-one", "dragoman-test-two")
    write_package(tmp_path, "dragoman-test-two")
    debian.write_index(packages)
    (tmp_path / "list").write_text(f"deb [trusted=yes] file:{packages} ./\n")
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / "cache/archives/partial").mkdir(parents=True)
    options = ["Dir::Etc::SourceParts=/dev/null", f"Dir::Etc::SourceList={tmp_path}/list", "APT::Sandbox::User="]
    options += [f"Dir::State::Lists={tmp_path}/lists", f"Dir::Cache={tmp_path}/cache", "Debug::NoLocking=1"]
    apt = ["apt-get", *(part for option in options for part in ("-o", option))]
    subprocess.run([*apt, "update"], check=True, capture_output=True)
    planned = subprocess.run([*apt, "install", "--simulate", "dragoman-test-one"], capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    assert "Inst dragoman-test-two" in planned.stdout


def test_mirrors_are_this_machines_own():
    try:
        lines = debian.sources("trixie")
    except debian.ArchiveError:
        pytest.skip("apt knows no mirror of Debian here")
    assert all(" trixie" in line and line.endswith(" main\n") for line in lines)
    assert debian.mirror().startswith(("http", "file", "mirror"))


def test_every_architecture_has_a_machine_that_releases_and_locks_know():
    assert set(debian.MACHINES.values()) == set(RELEASED_FOR) == set(lock.MACHINES)


def test_the_package_needs_no_python_of_the_system():
    assert not any("python" in name for name in DEPENDS)
    assert PYTHON == "3.11"


def test_a_release_is_numbered_by_its_last_commit(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    name, serial = version()
    assert serial == 1700000000
    assert name.endswith("+1700000000")
