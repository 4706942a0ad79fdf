"""Folders and links on the disk: copied by sharing, replaced in one step, forced to the disk."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from device.modelstore.files import sync


def link_tree(source: Path, target: Path, *, ignore: frozenset[str] | set[str] = frozenset()) -> None:
    """Make a copy of a folder that shares its files' bytes with the original, where one disk holds both.

    Files of either must then never be written in place, only replaced.
    """
    shutil.copytree(
        source,
        target,
        symlinks=True,
        ignore=lambda _folder, names: ignore & set(names),
        copy_function=lambda old, new: link_or_copy(Path(old), Path(new)),
    )
    _same_owners(source, target)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or where that cannot be, copy it."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def sync_all(folder: Path) -> None:
    """Force everything on a folder's disk to it.

    Raises
    ------
    OSError
        Something could not be written (Linux 5.8 and later say so).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if libc.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def replace_link(link: Path, target: Path) -> None:
    """Make a link lead elsewhere, in one step that lasts."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    sync(link.parent)


def _same_owners(source: Path, target: Path) -> None:
    """Give copied folders the owners of the originals (files share them with their bytes)."""
    if os.geteuid() != 0:
        return
    for folder, _, names in os.walk(target):
        old = source / Path(folder).relative_to(target)
        for path in (old, *(old / name for name in names)):
            status = path.lstat()
            new = Path(folder) if path == old else Path(folder) / path.name
            os.chown(new, status.st_uid, status.st_gid, follow_symlinks=False)
