"""Bytes on disk: hashing, durable renames, locks, and what a full disk is called."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from device.errors import DragomanError

CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_sha1_of(path: Path) -> str:
    """Return the id that git gives to a file's bytes; hubs use it for files that are not in LFS."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def copy_stream(source: BinaryIO, target: BinaryIO, reached: Callable[[int], None] | None = None) -> None:
    """Copy to the end of ``source``, telling ``reached`` the position in ``target`` after each step."""
    while block := source.read(CHUNK):
        target.write(block)
        if reached:
            reached(target.tell())


def sync(path: Path) -> None:
    """Force a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def install(partial: Path, target: Path) -> None:
    """Give a finished file its name: after a crash there is the old file or the new one, never a half."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sync(partial)
    partial.replace(target)
    sync(target.parent)


def write_atomically(target: Path, data: bytes) -> None:
    """Write a small file so that a reader sees all of the old or all of the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        install(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def free_bytes(folder: Path) -> int:
    """Return how much may be written below ``folder``, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def human(size: int | None) -> str:
    """Return a size for people, in decimal units as disks and networks count: ``63.2 MB``."""
    if size is None:
        return "? MB"
    if size >= 999_500_000:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


@contextlib.contextmanager
def plain_disk_errors(folder: Path) -> Iterator[None]:
    """Turn what goes wrong with files below ``folder``, or read into it, into one clear line.

    Raises
    ------
    DragomanError
        For a full disk, a used-up quota or file-size limit, missing rights, and a broken medium.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(folder) from None
        if error.errno in _READ_ONLY:
            raise DragomanError(
                f"{error.filename or folder}: {error.strerror}; use another user, or set DRAGOMAN_MODELS to a"
                " folder that may be written"
            ) from None
        raise DragomanError(f"{error.filename or folder}: {error.strerror or error}") from error


def disk_full(folder: Path, need: int | None = None) -> DragomanError:
    """Return the error of a disk with too little room."""
    missing = f"{human(need)} needed, " if need is not None else ""
    return DragomanError(
        f"the disk of {folder} is full ({missing}{human(free_bytes(folder))} free): make room and run the"
        " same command again, it goes on where it stopped; or choose another folder with DRAGOMAN_MODELS"
    )


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock between processes (it ends with them); ``waiting`` is told before it blocks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
