from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import DragomanError
from device.mqtt import outbox as outbox_module
from device.mqtt.entry import ROW_OVERHEAD, Entry, Kind
from device.mqtt.outbox import Outbox, OutboxFull, OutboxLocked
from tests.support import disks

MIB = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.sqlite"


def drain(outbox: Outbox) -> list[Entry]:
    entries = []
    while (entry := outbox.next()) is not None:
        entries.append(entry)
        outbox.acknowledge(entry.id)
    return entries


def run_python(source: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def test_entries_come_out_as_they_went_in(path: Path) -> None:
    outbox = Outbox(path, MIB)
    outbox.put("a/b", "naïve 🙂".encode(), qos=1, properties={"ContentType": "application/json", "X": 5})
    outbox.put("a/c", b"", qos=2, retain=True, kind=Kind.DIAGNOSTIC)

    first, second = drain(outbox)

    assert (first.topic, first.payload.decode(), first.qos, first.retain) == ("a/b", "naïve 🙂", 1, False)
    assert first.properties == {"ContentType": "application/json", "X": 5}
    assert (second.topic, second.payload, second.qos, second.retain) == ("a/c", b"", 2, True)
    assert second.kind is Kind.DIAGNOSTIC
    assert outbox.depth == outbox.bytes_used == 0


def test_entries_survive_a_restart_in_order(path: Path) -> None:
    outbox = Outbox(path, MIB)
    for number in range(50):
        outbox.put("t", b"%d" % number)
    entry = outbox.next()
    assert entry is not None
    outbox.acknowledge(entry.id)
    outbox.close()

    outbox = Outbox(path, MIB)
    outbox.put("t", b"50")

    assert outbox.depth == 50
    assert [entry.payload for entry in drain(outbox)] == [b"%d" % number for number in range(1, 51)]


def test_what_people_said_is_readable_by_the_owner_only(path: Path) -> None:
    outbox = Outbox(path, MIB)
    outbox.put("t", b"secret")
    files = list(path.parent.iterdir())
    assert path in files
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


def test_entry_survives_kill_9_at_any_moment(path: Path) -> None:
    """What put() returned for is there after the kill; nothing is there that was never put."""
    source = """
        import sys
        from pathlib import Path
        from device.mqtt.outbox import Outbox
        outbox, number = Outbox(Path(sys.argv[1]), 1 << 24), int(sys.argv[2])
        while True:
            outbox.put("t", b"%d" % number + b"." * 300)
            print(number, flush=True)
            number += 1
    """
    generator = random.Random(4)
    said, stored = 0, 0
    for _ in range(8):
        process = run_python(source, path, stored + 1)
        assert process.stdout is not None
        for _ in range(generator.randrange(1, 60)):
            said = int(process.stdout.readline())
        process.kill()
        said = max([said, *(int(line) for line in process.stdout.read().split("\n") if line)])
        process.wait()

        outbox = Outbox(path, 1 << 24)
        stored = outbox.depth
        outbox.close()
        assert stored in (said, said + 1)
    numbers = [int(entry.payload.rstrip(b".")) for entry in drain(Outbox(path, 1 << 24))]
    assert numbers == list(range(1, stored + 1))


def test_two_processes_refuse_to_share_one(path: Path) -> None:
    outbox = Outbox(path, MIB)
    source = """
        import sys
        from pathlib import Path
        from device.mqtt.outbox import Outbox, OutboxLocked
        try:
            Outbox(Path(sys.argv[1]), 1 << 20)
        except OutboxLocked as error:
            print(error)
    """
    said, _ = run_python(source, path).communicate()
    assert "in use by another process" in said
    assert str(path) in said
    outbox.put("t", b"still mine")

    with pytest.raises(OutboxLocked):
        Outbox(path, MIB)
    outbox.close()
    assert Outbox(path, MIB).depth == 1


def test_when_full_the_oldest_diagnostics_go_first_and_are_counted(path: Path) -> None:
    outbox = Outbox(path, 10_000)
    outbox.put("t", b"transcript 1")
    for number in range(9):
        outbox.put("d", b"%d" % number + b"x" * 900, kind=Kind.DIAGNOSTIC)
    outbox.put("t", b"transcript 2" + b"y" * 2500)

    assert outbox.evicted == 2
    assert outbox.bytes_used <= 10_000
    left = [entry.payload for entry in drain(outbox)]
    assert left[0] == b"transcript 1"
    assert [payload[:1] for payload in left[1:-1]] == [b"%d" % number for number in range(2, 9)]
    assert left[-1].startswith(b"transcript 2")


def test_when_full_of_transcripts_it_refuses_and_keeps_them_all(path: Path) -> None:
    outbox = Outbox(path, 10_000)
    taken = 17  # of 571 or 572 bytes each
    for number in range(taken):
        outbox.put("t", b"%d" % number + b"x" * 500)
    with pytest.raises(OutboxFull, match=r"is full .*mqtt\.outbox_mb"):
        outbox.put("t", b"x" * 500)
    with pytest.raises(OutboxFull):
        outbox.put("d", b"x" * 500, kind=Kind.DIAGNOSTIC)
    assert outbox.depth == taken

    first = outbox.next()
    assert first is not None
    outbox.acknowledge(first.id)
    outbox.put("t", b"there is room again")
    assert len(drain(outbox)) == taken


@pytest.mark.parametrize("damage", ["text", "torn header", "zeros", "truncated"])
def test_damaged_file_is_set_aside_and_a_new_one_begun(path: Path, damage: str) -> None:
    outbox = Outbox(path, MIB)
    for number in range(300):
        outbox.put("t", b"%d" % number + b"x" * 400)
    outbox.close()
    data = path.read_bytes()
    broken = {
        "text": b"this is not a database at all, but it was named like one" * 100,
        "torn header": b"SQLite format 3\0" + b"\xff" * 84 + data[100:],
        "zeros": data[:100] + bytes(len(data) - 100),
        "truncated": data[: len(data) // 2],
    }[damage]
    path.write_bytes(broken)

    outbox = Outbox(path, MIB)

    assert outbox.set_aside is not None
    assert outbox.set_aside.read_bytes()[: len(broken)] == broken
    assert outbox.problem is None
    outbox.put("t", b"new")
    assert drain(outbox)[-1].payload == b"new"


def test_what_can_be_read_of_a_damaged_file_is_taken_over(path: Path) -> None:
    outbox = Outbox(path, MIB)
    for number in range(300):
        outbox.put("t", b"%d" % number + b"x" * 400)
    outbox.close()
    data = bytearray(path.read_bytes())
    data[-20_000:-4096] = b"\xaa" * (20_000 - 4096)
    path.write_bytes(data)

    outbox = Outbox(path, MIB)

    assert outbox.set_aside is not None
    assert outbox.recovered > 100
    numbers = [int(entry.payload.rstrip(b"x")) for entry in drain(outbox)]
    assert len(numbers) == outbox.recovered
    assert numbers == sorted(set(numbers)), "twice, or out of order"
    assert numbers[-1] == 299, "what lies behind the damage is readable too"


def test_a_large_damaged_file_is_replaced_in_little_memory(path: Path) -> None:
    outbox = Outbox(path, 64 * MIB)
    for number in range(100):
        outbox.put("t", b"%d" % number + b"x" * 100_000)
    assert outbox._connection is not None
    outbox._connection.execute("UPDATE entries SET kind = 'x' WHERE id = 50")
    outbox.close()
    tracemalloc.start()
    try:
        outbox = Outbox(path, 64 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    finally:
        tracemalloc.stop()
    assert outbox.recovered == outbox.depth == 99
    outbox.close()


def test_a_flipped_bit_anywhere_neither_ends_the_publisher_nor_holds_up_the_rest(path: Path) -> None:
    outbox = Outbox(path, MIB)
    for number in range(60):
        outbox.put("a/kitchen/transcript/final", b"%d" % number, properties={"ContentType": "application/json"})
    outbox.close()
    whole = path.read_bytes()
    chosen = random.Random(6)
    for _ in range(120):
        data = bytearray(whole)
        data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        path.write_bytes(data)

        outbox = Outbox(path, MIB)
        sent = set()
        for _ in range(150):  # what was acknowledged before the damage was seen may come again
            if (entry := outbox.next()) is None:
                break
            sent.add(entry.id)
            outbox.acknowledge(entry.id)
        left = outbox.depth
        outbox.close()

        assert left == 0
        assert outbox.problem is None
        assert len(sent) == (60 if outbox.set_aside is None else outbox.recovered)
        for damaged in path.parent.glob("*.damaged-*"):
            damaged.unlink()


def test_a_message_that_is_damaged_while_in_use_is_left_out_and_the_others_are_sent(path: Path) -> None:
    outbox = Outbox(path, MIB)
    for number in range(3):
        outbox.put("t", b"%d" % number)
    assert outbox._connection is not None
    outbox._connection.execute("UPDATE entries SET kind = 'tranwcript' WHERE payload = ?", (b"1",))

    assert dict.fromkeys(entry.payload for entry in drain(outbox)) == {b"0": None, b"2": None}
    assert outbox.set_aside is not None


def test_alerts_that_the_broker_keeps_are_known_after_damage_too(path: Path) -> None:
    outbox = Outbox(path, MIB)
    outbox.remember_retained("dragoman/kitchen/alert/microphone")
    outbox.put("t", b"0")
    assert outbox._connection is not None
    outbox._connection.execute("UPDATE entries SET qos = 9")
    outbox.close()

    outbox = Outbox(path, MIB)

    assert outbox.set_aside is not None
    assert outbox.retained_topics() == ["dragoman/kitchen/alert/microphone"]


@pytest.mark.parametrize("step", range(12))
def test_killed_while_a_damaged_file_is_replaced_nothing_readable_is_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    outbox = Outbox(path, MIB)
    for number in range(5):
        outbox.put("t", b"%d" % number)
    assert outbox._connection is not None
    outbox._connection.execute("UPDATE entries SET kind = 'x' WHERE payload = ?", (b"2",))
    outbox.close()
    child = os.fork()
    if child == 0:
        left = step

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in {"open", "os.rename", "os.remove", "sqlite3.connect"} and "outbox" in str(arguments[0]):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        Outbox(path, MIB)
        os._exit(0)
    os.waitpid(child, 0)

    assert [entry.payload for entry in drain(Outbox(path, MIB))] == [b"0", b"1", b"3", b"4"]


def test_damage_on_a_full_disk_is_mended_when_there_is_room(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.0)
    path = small_disk / "outbox.sqlite"
    outbox = Outbox(path, MIB)
    for number in range(10):
        outbox.put("t", b"%d" % number + b"x" * 3000)
    assert outbox._connection is not None
    outbox._connection.execute("UPDATE entries SET kind = 'x' WHERE id = 5")
    outbox.close()
    filler = disks.fill(small_disk, leave=20_000)

    outbox = Outbox(path, MIB)
    outbox.put("t", b"10")
    assert "damaged and cannot be replaced" in (outbox.problem or "")
    assert outbox.set_aside is None
    filler.unlink()
    outbox.retry()

    assert outbox.problem is None
    assert [int(entry.payload.rstrip(b"x")) for entry in drain(outbox)] == [*range(4), *range(5, 11)]
    outbox.close()


def test_file_that_becomes_damaged_while_in_use_does_not_lose_the_entry(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(path, MIB)
    outbox.put("t", b"old")
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    outbox._failed(error)  # as a statement would

    outbox.put("t", b"new")

    assert outbox.set_aside is not None
    assert [entry.payload for entry in drain(outbox)] == [b"old", b"new"]


def test_outbox_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    Outbox(path, MIB).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DragomanError, match="newer Dragoman"):
        Outbox(path, MIB)
    assert path.exists()


def test_full_disk_keeps_entries_in_memory_and_writes_them_in_order_later(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.0)
    outbox = Outbox(path, 16 * MIB)
    outbox.put("t", b"0")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limit[1]))
        for number in range(1, 40):
            outbox.put("t", b"%d" % number + b"x" * 4000)
        assert outbox.problem is not None
        assert "cannot be written" in outbox.problem
        assert str(path) in outbox.problem
        assert outbox.depth == 40
        first = outbox.next()
        assert first is not None
        assert first.payload == b"0"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)

    outbox.retry()

    assert outbox.problem is None
    outbox.close()
    entries = drain(Outbox(path, 16 * MIB))
    assert [int(entry.payload.rstrip(b"x")) for entry in entries] == list(range(40))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small_disk(tmp_path / "small", "256k") as disk:
        yield disk


def test_really_full_and_really_read_only_disks_lose_nothing(small_disk: Path, monkeypatch) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.0)
    filler = small_disk / "filler"
    outbox = Outbox(small_disk / "outbox.sqlite", 16 * MIB)
    filler.write_bytes(bytes(120_000))
    for number in range(60):
        outbox.put("t", b"%d" % number + b"x" * 3000)
    assert "full" in (outbox.problem or "")
    assert outbox.depth == 60

    remount = ["mount", "-o", "remount,size=8m", str(small_disk)]
    subprocess.run(remount, check=True)
    outbox.retry()
    assert outbox.problem is None
    outbox.close()

    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    read_only = Outbox(small_disk / "outbox.sqlite", 16 * MIB)
    read_only.put("t", b"60")
    assert "cannot be written" in (read_only.problem or "")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    read_only.retry()
    assert read_only.problem is None
    assert [int(entry.payload.rstrip(b"x")) for entry in drain(read_only)] == list(range(61))
    read_only.close()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("file/state", "(Not a directory): no folder can be made there"),
        ("file", "(File exists): no folder can be made there"),
    ],
)
def test_place_that_can_be_no_folder_is_told_with_what_to_do(tmp_path: Path, place: str, says: str) -> None:
    (tmp_path / "file").touch()
    outbox = Outbox(tmp_path / place / "outbox.sqlite", MIB)
    try:
        assert says in (outbox.problem or "")
        assert "state_directory" in (outbox.problem or "")
        outbox.put("t", b"1")
        assert outbox.depth == 1
    finally:
        outbox.close()


def test_entries_can_be_sent_from_memory_while_the_disk_is_full(path: Path) -> None:
    blocked = path.parent
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("a file where the folder should be")
    outbox = Outbox(path, MIB)
    assert outbox.problem is not None
    outbox.put("t", b"1")
    outbox.put("t", b"2")

    assert [entry.payload for entry in drain(outbox)] == [b"1", b"2"]
    assert outbox.depth == outbox.bytes_used == 0


def test_memory_that_stands_in_for_the_disk_is_bounded(path: Path) -> None:
    path.parent.parent.mkdir(exist_ok=True)
    path.parent.write_text("no folder")
    outbox = Outbox(path, MIB, memory_bytes=5_000)
    for _ in range(18):  # of 267 bytes each
        outbox.put("t", b"x" * 200)
    with pytest.raises(OutboxFull, match="memory"):
        outbox.put("t", b"x" * 200)
    assert outbox.depth == 18


def test_diagnostics_in_memory_make_room_for_transcripts(path: Path) -> None:
    path.parent.parent.mkdir(exist_ok=True)
    path.parent.write_text("no folder")
    outbox = Outbox(path, MIB, memory_bytes=5_000)
    for number in range(18):  # of 267 bytes each
        outbox.put("t", b"%02d" % number + b"x" * 198, kind=Kind.DIAGNOSTIC if number % 2 else Kind.TRANSCRIPT)

    outbox.put("t", b"18" + b"x" * 198)

    assert outbox.evicted == 1
    assert [int(entry.payload.rstrip(b"x")) for entry in drain(outbox)] == [0, *range(2, 19)]


def test_an_outbox_that_another_process_took_meanwhile_is_asked_for_again(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.0)
    path.parent.parent.mkdir(exist_ok=True)
    path.parent.write_text("no folder")
    outbox = Outbox(path, MIB)
    path.parent.unlink()
    other = Outbox(path, MIB)

    outbox.retry()
    outbox.put("t", b"1")
    assert "in use by another process" in (outbox.problem or "")
    other.close()
    outbox.retry()

    assert outbox.problem is None
    assert [entry.payload for entry in drain(outbox)] == [b"1"]


def test_tens_of_thousands_acknowledged_on_a_read_only_disk_are_not_sent_again(path: Path, monkeypatch) -> None:
    outbox = Outbox(path, 16 * MIB)
    connection = outbox._connection
    assert connection is not None
    connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 20)  # the usual build has 32,766; the disk is slow
    for number in range(60):
        outbox.put("t", b"%d" % number)
    connection.execute("PRAGMA query_only = ON")  # as a disk that the kernel has made read-only

    assert len(drain(outbox)) == 60

    connection.execute("PRAGMA query_only = OFF")
    outbox._retry_at = 0.0
    outbox.retry()
    assert outbox.depth == 0
    assert outbox.problem is None


def test_folder_that_becomes_writable_is_used_without_a_restart(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.0)
    path.parent.parent.mkdir(exist_ok=True)
    path.parent.write_text("no folder")
    outbox = Outbox(path, MIB)
    outbox.put("t", b"1")
    path.parent.unlink()
    outbox.put("t", b"2")

    assert outbox.problem is None
    outbox.close()
    assert [entry.payload for entry in drain(Outbox(path, MIB))] == [b"1", b"2"]


def test_entry_in_flight_from_memory_is_not_mistaken_for_one_on_the_disk(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.0)
    outbox = Outbox(path, MIB)
    for number in range(3):
        outbox.put("t", b"old %d" % number)
    outbox.close()
    away = path.parent.rename(path.parent.with_name("away"))
    path.parent.write_text("no folder")
    outbox = Outbox(path, MIB)
    outbox.put("t", b"new 0")
    outbox.put("t", b"new 1")
    in_flight = outbox.next()
    assert in_flight is not None
    path.parent.unlink()
    away.rename(path.parent)
    outbox.put("t", b"new 2")

    outbox.acknowledge(in_flight.id)

    left = [entry.payload for entry in drain(outbox)]
    assert left == [b"old 0", b"old 1", b"old 2", b"new 1", b"new 2"]


def test_acknowledgement_that_the_disk_refuses_is_not_sent_again_and_done_later(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_SECONDS", 0.0)
    outbox = Outbox(path, MIB)
    outbox.put("t", b"1" * 30_000)
    outbox.put("t", b"2")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, limit[1]))
        first = outbox.next()
        assert first is not None
        outbox.acknowledge(first.id)
        assert outbox.problem is not None
        second = outbox.next()
        assert second is not None
        assert second.payload == b"2"
        assert outbox.depth == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    outbox.retry()
    assert outbox.problem is None
    outbox.close()
    assert Outbox(path, MIB).depth == 1


def test_acknowledged_entries_wait_again_when_they_are_doubted(path: Path) -> None:
    outbox = Outbox(path, MIB)
    for number in range(4):
        outbox.put("t", b"%d" % number)
    drain(outbox)
    used = outbox.bytes_used
    outbox.put("t", b"4")
    outbox.doubt()
    assert outbox.depth == 5
    assert [entry.payload for entry in drain(outbox)] == [b"0", b"1", b"2", b"3", b"4"]
    assert outbox.bytes_used == used == 0

    outbox.purge(0)
    outbox.doubt()
    assert outbox.next() is None
    assert outbox.depth == 0


def test_acknowledged_entries_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "MOST_ACKNOWLEDGED", 10)
    outbox = Outbox(path, MIB)
    for number in range(30):
        outbox.put("t", b"%d" % number)
    drain(outbox)
    outbox.doubt()
    numbers = [int(entry.payload) for entry in drain(outbox)]
    assert 5 <= len(numbers) <= 10
    assert numbers == list(range(30 - len(numbers), 30))


def test_skipped_topics_and_entries_stay(path: Path) -> None:
    outbox = Outbox(path, MIB)
    ids = [outbox.put(topic, b"") for topic in ("a", "b", "a", "c")]
    entry = outbox.next(skip_topics={"a"}, skip_ids={ids[1]})
    assert entry is not None
    assert entry.topic == "c"
    assert outbox.next(skip_topics={"a", "b", "c"}) is None
    assert outbox.depth == 4


def test_puts_from_many_threads_are_all_kept_each_thread_in_its_order(path: Path) -> None:
    outbox = Outbox(path, MIB)

    def work(name: str) -> None:
        for number in range(50):
            outbox.put(name, b"%d" % number)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = drain(outbox)
    for name in "abcd":
        assert [int(e.payload) for e in entries if e.topic == name] == list(range(50))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(Kind), st.binary(max_size=600)),
            st.just("acknowledge"),
            st.just("restart"),
        ),
        max_size=40,
    )
)
def test_outbox_behaves_like_a_bounded_list(tmp_path_factory: pytest.TempPathFactory, actions: list) -> None:
    path = tmp_path_factory.mktemp("model") / "outbox.sqlite"
    limit = 4_000
    outbox = Outbox(path, limit)
    model: list[tuple[Kind, bytes]] = []

    def cost(payload: bytes) -> int:
        return len("topic") + len(payload) + len("{}") + ROW_OVERHEAD

    for action in actions:
        if action == "restart":
            outbox.close()
            outbox = Outbox(path, limit)
        elif action == "acknowledge":
            entry = outbox.next()
            assert (entry is None) == (not model)
            if entry is not None:
                assert (entry.kind, entry.payload) == model.pop(0)
                outbox.acknowledge(entry.id)
        else:
            kind, payload = action
            kept = list(model)
            while sum(cost(p) for _, p in kept) + cost(payload) > limit:
                victim = next((item for item in kept if item[0] is Kind.DIAGNOSTIC), None)
                if victim is None:
                    break
                kept.remove(victim)
            if sum(cost(p) for _, p in kept) + cost(payload) <= limit:
                outbox.put("topic", payload, kind=kind)
                model = [*kept, (kind, payload)]
            else:
                with pytest.raises(OutboxFull):
                    outbox.put("topic", payload, kind=kind)
        assert outbox.depth == len(model)
        assert outbox.bytes_used == sum(cost(p) for _, p in model)
    assert [(entry.kind, entry.payload) for entry in drain(outbox)] == model
    outbox.close()
