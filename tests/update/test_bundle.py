"""What a stranger may put before a device: nothing of it is kept, and it takes neither the memory nor the disk."""

from __future__ import annotations

import io
import lzma
import tarfile
import tracemalloc
import zlib

import pytest

from device.errors import DragomanError
from device.update.bundle import MOST_MEMORY, opened


def header(kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo("manifest.json")
    member.type, member.size = kind, size
    return member.tobuf(format=tarfile.USTAR_FORMAT)


def zeros(count: int, *, after: bytes) -> bytes:
    packer = lzma.LZMACompressor(preset=0)
    parts = [packer.compress(after), *(packer.compress(bytes(1 << 20)) for _ in range(count >> 20)), packer.flush()]
    return b"".join(parts)


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE], ids=["pax", "gnu", "file"]
)
def test_few_bytes_of_a_stranger_that_unpack_to_many_take_no_memory(kind):
    bomb = zeros(300 << 20, after=header(kind, 300 << 20))
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(DragomanError, match="this is no update"), opened(io.BytesIO(bomb), []):
            pass
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_unpacking_itself_may_take_no_more_memory_than_a_small_device_has():
    plain = lzma.compress(b"x")
    assert plain[12:17] == b"\x02\x00\x21\x01\x16"  # the block's header: LZMA2 with a dictionary of 8 MiB
    body = b"\x02\x00\x21\x01\x25" + bytes(3)  # and now with one of 1.5 GiB
    greedy = plain[:12] + body + zlib.crc32(body).to_bytes(4, "little") + plain[24:]
    with pytest.raises(DragomanError, match="emory"), opened(io.BytesIO(greedy), []):
        pass
    assert MOST_MEMORY <= 128 << 20


@pytest.mark.parametrize(
    "content",
    [
        (header(tarfile.XHDTYPE, 12) + b"11 path=abc\n".ljust(512, b"\0")) * 3000,
        header(tarfile.XHDTYPE, 22) + b"22 GNU.sparse.major=1\n".ljust(512, b"\0") + header(b"0", 5) + bytes(9999),
        header(tarfile.REGTYPE, 5) + b"hello",
    ],
    ids=["chain", "sparse", "torn"],
)  # fmt: skip
def test_whatever_a_strangers_archive_holds_it_is_refused_in_one_line(content):
    with pytest.raises(DragomanError, match="update") as refused, opened(io.BytesIO(lzma.compress(content)), []):
        pass
    assert "\n" not in str(refused.value)
