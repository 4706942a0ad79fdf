"""What goes wrong in a year, done to the real daemon: kills, full and read-only disks, damage, and a clock set back."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from device.config import MqttSettings
from device.controls.pins import mock_press, mock_release
from device.mqtt import MqttRoom
from tests.audio.pulse import until
from tests.e2e.conftest import MODELS
from tests.e2e.test_daemon import fox, state, wait_ready, words
from tests.mqtt.events import final

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(280)]

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
MEMORY = Path("/sys/fs/cgroup/memory")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this to a machine")


def speak(listener, virtual_mic, path):
    """Hold a turn by command while a recording plays."""
    listener.publish("dragoman/bench/cmd/listen", "{}")
    state(listener, "listening")
    virtual_mic.play(path)
    virtual_mic.play(np.zeros((virtual_mic.rate // 2, 1), np.float32))  # the last word is heard to its end
    listener.publish("dragoman/bench/cmd/stop", "{}")


def heard_right(text, said):
    """Whether the end of a sentence was understood; a busy machine's sound may cost a word."""
    return sum(a == b for a, b in zip(words(text)[-5:], words(said)[-5:], strict=False)) >= 4


def hears(listener, virtual_mic, recordings):
    """Check that the device works: what is said now arrives as text and as a translation."""
    path, said = fox(recordings)
    count = len(listener.on("translation/pt"))
    speak(listener, virtual_mic, path)
    listener.wait_on("translation/pt", count=count + 1)
    assert heard_right(listener.on("transcript/final")[-1].json["text"], said)


def forget(listener):
    """Look at what comes from now on only; finals stay."""
    listener.messages[:] = [m for m in listener.messages if m.topic.endswith(("transcript/final", "translation/pt"))]


def reach(moment, daemon, listener, virtual_mic, path, outbox, manager):
    """Bring a daemon that has just been started into a state."""
    if moment == "starting":
        until(outbox.exists)
        return
    wait_ready(listener)
    if moment == "muted":
        listener.publish("dragoman/bench/set/mute", "true")
        state(listener, "muted")
    elif moment == "error":
        virtual_mic.kill()
        state(listener, "error")
    elif moment in ("listening", "stopping"):
        listener.publish("dragoman/bench/cmd/listen", "{}")
        state(listener, "listening")
        virtual_mic.play(path)
        if moment == "stopping":
            daemon.process.terminate()
            while not manager.recv(4096).startswith(b"STOPPING=1"):
                pass
    elif moment != "idle":
        speak(listener, virtual_mic, path)
        state(listener, moment)


def test_killed_in_any_state_it_comes_back_and_no_final_is_lost(
    start_process, listener, virtual_mic, recordings, tmp_path, record_property
):
    path, _ = fox(recordings)
    outbox = tmp_path / "state" / "outbox.sqlite"
    kept: set[tuple[str, int]] = set()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        for moment in ("starting", "idle", "listening", "translating", "speaking", "muted", "stopping", "error"):
            daemon = start_process(NOTIFY_SOCKET=str(tmp_path / "notify"))
            reach(moment, daemon, listener, virtual_mic, path, outbox, manager)
            daemon.kill()
            assert daemon.process.returncode == -signal.SIGKILL, moment
            assert "Traceback" not in daemon.text()
            inside = waiting(outbox, tmp_path / "copy") if moment != "starting" else []
            kept |= {(said["utterance"], said["sequence"]) for topic, said in inside if topic.endswith("final")}
            forget(listener)
            if moment == "error":
                virtual_mic.start()
        start_process(NOTIFY_SOCKET=str(tmp_path / "notify"))
        wait_ready(listener)
        hears(listener, virtual_mic, recordings)
    finals = {(m.json["utterance"], m.json["sequence"]) for m in listener.on("transcript/final")}
    translated = {(m.json["utterance"], m.json["sequence"]) for m in listener.on("translation/pt")}
    record_property("lost", len((kept | translated) - finals))
    assert len(finals) >= 2, "what was being spoken when it was killed, and what was said last"
    assert kept | translated <= finals


def test_two_hundred_presses_in_a_second_leave_a_device_that_works(start_here, listener, virtual_mic, recordings):
    daemon = start_here()
    wait_ready(listener)
    began = time.monotonic()
    for number in range(200):
        mock_press(17)
        mock_release(17)
        time.sleep(max(0.0, began + number / 200 - time.monotonic()))
    until(lambda: daemon.controller.direction is None)
    assert daemon.interpreter.wait(60)
    path, said = fox(recordings)
    mock_press(17)
    until(lambda: daemon.state == "listening")
    virtual_mic.play(path)
    mock_release(17)
    heard = listener.wait_on("transcript/final")[-1].json
    assert heard_right(heard["text"], said)
    actions = [m.json["action"] for m in listener.on("event/button") if m.json["action"] in ("press", "release")]
    assert actions == ["press", "release"] * (len(actions) // 2)


@pytest.fixture
def small_disk(configuration, tmp_path):
    """The daemon's state folder as a file system of its own, of 1 MiB."""
    folder = tmp_path / "state"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@root_only
def test_a_full_disk_is_told_and_what_is_said_still_arrives(
    start_process, listener, small_disk, virtual_mic, recordings
):
    start_process()
    wait_ready(listener)
    forget(listener)
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    hears(listener, virtual_mic, recordings)
    assert "full" in listener.wait_on("alert/outbox-disk")[0].json["text"]
    filler.unlink()
    listener.wait(lambda ms: any(m.topic.endswith("alert/outbox-disk") and not m.payload for m in ms))
    hears(listener, virtual_mic, recordings)


@root_only
def test_a_state_folder_that_cannot_be_written_is_told_and_the_device_works(
    start_process, listener, small_disk, virtual_mic, recordings
):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    start_process()
    wait_ready(listener)
    assert "cannot be written" in listener.wait_on("alert/outbox-disk")[0].json["text"]
    hears(listener, virtual_mic, recordings)


def test_a_damaged_outbox_is_set_aside_and_reported(start_process, listener, virtual_mic, recordings, tmp_path):
    outbox = tmp_path / "state" / "outbox.sqlite"
    outbox.parent.mkdir()
    outbox.write_bytes(b"SQLite format 3\0" + os.urandom(20_000))
    start_process()
    wait_ready(listener)
    alert = listener.wait_on("alert/outbox-damaged")[0].json["text"]
    aside = next(path.name for path in outbox.parent.iterdir() if ".damaged-" in path.name)
    assert aside in alert
    hears(listener, virtual_mic, recordings)
    with closing(sqlite3.connect(f"file:{outbox}?mode=ro&immutable=1", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_models_damaged_while_it_runs_harm_only_the_next_start(
    start_process, configuration, listener, virtual_mic, recordings, model_dir, tmp_path
):
    store = tmp_path / "models"
    for model in MODELS:
        shutil.copytree(model_dir(model), store / model)
    configuration["models"] = {"directory": str(store), "offline": True}
    daemon = start_process()
    wait_ready(listener)
    for file in (path for model in MODELS for path in (store / model).iterdir() if path.stat().st_size > 100_000):
        with file.open("r+b") as damaged:
            damaged.seek(50_000)
            damaged.write(os.urandom(40_000))
    hears(listener, virtual_mic, recordings)
    daemon.process.terminate()
    assert daemon.process.wait(60) == 0, daemon.text()
    again = start_process()
    assert again.process.wait(120) == 1
    assert "Traceback" not in again.text()
    last = again.text().splitlines()[-1]
    assert "damaged" in last
    assert all(model in last for model in MODELS if model != "vad-silero")
    assert "dragoman models import" in listener.wait_on("alert/models")[0].json["text"], "it may fetch nothing"


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
def test_a_clock_set_back_by_a_day_loses_nothing_and_keeps_the_order(
    start_process, listener, virtual_mic, recordings, tmp_path
):
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    start_process(**fake_clock(clock))
    wait_ready(listener)
    hears(listener, virtual_mic, recordings)
    forget(listener)
    clock.write_text("-1d\n")
    hears(listener, virtual_mic, recordings)
    finals = [message.json for message in listener.on("transcript/final")]
    assert [final["sequence"] for final in finals] == [1, 2]
    assert finals[1]["time"] < finals[0]["time"], "the clock really went back"


@pytest.mark.timeout(500)
@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
def test_ten_thousand_finals_wait_an_hour_for_the_broker_and_come_in_order(
    start_process, broker, listener, virtual_mic, recordings, tmp_path, record_property
):
    last = 10_000
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    broker.stop()
    room = MqttRoom(
        MqttSettings(host=broker.host, port=broker.port, device="bench"), tmp_path / "state", lambda _: None
    )
    room.start()
    for number in range(1, last + 1):
        room.sink(final(number))
    assert room.depth == last
    room.stop(0.0)
    daemon = start_process(**fake_clock(clock))  # what waits is older than the process, as after a restart
    until(lambda: "no broker" in daemon.text() and "ready" in daemon.text())
    clock.write_text("+1h\n")
    broker.start()
    listener.wait(lambda ms: any(m.topic.endswith("final") and m.json["sequence"] == last for m in ms), timeout=400)
    wait_ready(listener)
    hears(listener, virtual_mic, recordings)
    got = [(message.json["utterance"], message.json["sequence"]) for message in listener.on("transcript/final")]
    waited = [(f"c-{number:05d}", number) for number in range(1, last + 1)]
    record_property("lost", len(set(waited) - set(got)))
    assert list(dict.fromkeys(got))[:last] == waited
    assert len(dict.fromkeys(got)) == last + 1, "and what was said after it"


def fake_clock(file):
    """Return the environment of a process whose clock a file sets, and whose monotonic clock goes on."""
    return {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_while_it_starts_it_does_so_at_once(start_process, listener, tmp_path, number):
    daemon = start_process()
    until((tmp_path / "state" / "outbox.sqlite").exists)
    daemon.process.send_signal(number)
    assert daemon.process.wait(60) == 0, daemon.text()
    assert daemon.text().splitlines()[-1] == "dragoman: stopped before it was ready"
    assert not any(m.topic.endswith("/state") and m.payload for m in listener.messages)


def test_a_broken_sound_configuration_is_told_and_mended_without_a_restart(
    start_process, listener, virtual_mic, recordings, tmp_path
):
    whole, sound = Path(virtual_mic.env()["ALSA_CONFIG_PATH"]), tmp_path / "asound.conf"
    daemon = start_process(ALSA_CONFIG_PATH=str(sound))
    alert = listener.wait_on("alert/microphone")[0].json["text"]
    assert "ALSA's configuration is missing" in alert
    assert str(sound) in alert
    state(listener, "error")
    answer = "dragoman/bench/reply/1"
    listener.publish("dragoman/bench/cmd/translate", "Good morning.", ResponseTopic=answer)
    assert listener.wait_on(answer)[0].json["translations"] == {"pt": "Bom dia."}
    shutil.copy(whole, sound)
    listener.wait(lambda ms: any(m.topic.endswith("alert/microphone") and not m.payload for m in ms))
    hears(listener, virtual_mic, recordings)
    assert daemon.process.poll() is None


@root_only
@pytest.mark.skipif(not (MEMORY / "memory.limit_in_bytes").exists(), reason="no memory control group (v1) here")
def test_out_of_memory_kills_the_daemon_and_its_finals_survive(
    start_process, configuration, broker, listener, virtual_mic, recordings, tmp_path
):
    configuration["controls"]["trigger"] = "open"
    configuration["audio"] = {"output": "null"}
    path, said = fox(recordings)
    group = MEMORY / f"dragoman-test-{os.getpid()}"
    group.mkdir()
    try:
        daemon = start_process(["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"])
        state(listener, "listening")
        broker.stop()
        virtual_mic.play(path)
        outbox = tmp_path / "state" / "outbox.sqlite"
        until(lambda: len(waiting(outbox, tmp_path / "copy")) >= 2)
        for limit in itertools.count(int((group / "memory.usage_in_bytes").read_text()), -(1 << 20)):
            try:
                (group / "memory.limit_in_bytes").write_text(str(limit))
            except OSError:  # no more can be taken away: whatever it asks for now is too much
                break
            if daemon.process.poll() is not None:
                break
        while daemon.process.poll() is None:
            virtual_mic.play(path)
        assert daemon.process.returncode == -signal.SIGKILL
    finally:
        until(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()
    broker.start()
    start_process()
    listener.wait_on("translation/pt")
    assert heard_right(listener.on("transcript/final")[0].json["text"], said)


def waiting(outbox: Path, copy: Path) -> list[tuple[str, dict]]:
    """Return topic and content of what is in the outbox, from a copy: the daemon lets nobody else in."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in outbox.parent.glob("outbox.sqlite*"):
        shutil.copy(file, copy)
    with closing(sqlite3.connect(copy / outbox.name)) as database:
        return [
            (topic, json.loads(payload)) for topic, payload in database.execute("SELECT topic, payload FROM entries")
        ]
