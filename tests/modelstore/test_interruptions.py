"""Pulls in processes of their own that are killed, run twice at once, or have no room."""

import resource
import shutil
import signal
import time

import pytest

from tests.modelstore.support import DEADLINE, dragoman, file, model, random_bytes, store, write_catalogue, write_wheel
from tests.modelstore.support import hub as on_hub

DATA = random_bytes(6_000_000)
HALF = 4_000_000


@pytest.fixture
def run(tmp_path, hub):
    """Start the command on a store and a catalogue of the test's own."""

    def start(*arguments, **environment):
        return dragoman(
            "models",
            *arguments,
            DRAGOMAN_MODELS=str(tmp_path / "store"),
            DRAGOMAN_CATALOGUE=str(tmp_path / "catalogue"),
            XDG_CONFIG_HOME=str(tmp_path),
            **environment,
        )

    return start


def catalogue(tmp_path, *models):
    write_catalogue(tmp_path / "catalogue", *models)
    return store(tmp_path / "store", *models)


def finish(process):
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


def wait_for_bytes(folder, size):
    """Wait until an unfinished file has this many bytes: the killed program must have written some."""
    deadline = time.monotonic() + DEADLINE
    while not any(path.stat().st_size >= size for path in folder.glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_pull_goes_on_where_it_was_killed(hub, tmp_path, run):
    hub.files = {"model": DATA}
    hub.hold = {"model": HALF}
    models = catalogue(tmp_path, model("one", file("model", DATA, on_hub("model"))))
    killed = run("pull", "one")
    assert hub.holding.wait(DEADLINE)
    wait_for_bytes(tmp_path / "store" / ".partial", 1_000_000)
    killed.send_signal(signal.SIGKILL)
    finish(killed)
    hub.released.set()
    assert models.installed() == []

    code, out, err = finish(run("pull", "one"))
    assert code == 0, err
    assert out == f"1 model ready in {tmp_path / 'store'}\n"
    ranges = hub.gets("model")
    assert len(ranges) == 2
    assert int(ranges[1].removeprefix("bytes=").rstrip("-")) >= 1_000_000
    assert models.verify("one") == []


def test_a_package_survives_a_killed_pull(hub, tmp_path, run, wheels):
    write_wheel(wheels, "voices", "1.0", {"voices/a": b"a" * 1000, "voices/c": b"c" * 1000})
    hub.files = {"b": DATA}
    hub.hold = {"b": HALF}
    models = catalogue(
        tmp_path,
        model(
            "one",
            file("a", b"a" * 1000, "pip:voices==1.0:voices/a"),
            file("b", DATA, on_hub("b")),
            file("c", b"c" * 1000, "pip:voices==1.0:voices/c"),
        ),
    )
    killed = run("pull", "one")
    assert hub.holding.wait(DEADLINE)
    killed.send_signal(signal.SIGKILL)
    finish(killed)
    hub.released.set()
    shutil.rmtree(wheels)  # nothing can be fetched again

    code, _, err = finish(run("pull", "one"))
    assert code == 0, err
    assert models.verify("one") == []
    assert not (tmp_path / "store" / ".packages").exists()


def test_two_pulls_at_once_fetch_everything_once(hub, tmp_path, run):
    hub.files = {"model": DATA, "other": DATA[:1000]}
    hub.hold = {"model": HALF}
    models = catalogue(
        tmp_path,
        model("one", file("model", DATA, on_hub("model"))),
        model("two", file("model", DATA[:1000], on_hub("other"))),
    )
    first = run("pull", "one")
    assert hub.holding.wait(DEADLINE)
    second = run("pull", "one", "two")
    assert second.stderr.readline() == "another program is changing the model store: waiting for it\n"
    hub.released.set()
    for process in (first, second):
        code, _, err = finish(process)
        assert code == 0, err
    assert hub.gets("model") == [None]
    assert hub.gets("other") == [None]
    assert models.verify("one") == models.verify("two") == []


def test_a_full_disk_is_one_clear_line_and_the_pull_goes_on_later(hub, tmp_path, run, monkeypatch):
    hub.files = {"model": DATA}
    models = catalogue(tmp_path, model("one", file("model", DATA, on_hub("model"))))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, limits[1]))
    try:
        process = run("pull", "one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    code, out, err = finish(process)
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith("dragoman: the disk of ")
    assert "make room and run the same command again" in last
    assert "Traceback" not in err
    assert models.installed() == []

    code, _, err = finish(run("pull", "one"))
    assert code == 0, err
    assert hub.gets("model")[-1].startswith("bytes=")
    assert models.verify("one") == []


def test_an_interrupt_ends_a_pull_quietly(hub, tmp_path, run):
    hub.files = {"model": DATA}
    hub.hold = {"model": HALF}
    catalogue(tmp_path, model("one", file("model", DATA, on_hub("model"))))
    process = run("pull", "one")
    assert hub.holding.wait(DEADLINE)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert "Traceback" not in err
