"""Prepares a Raspberry Pi or a Jetson for its microphones, speaker and button: ``configure-board``.

It finds out which board this is, shows what would change, changes it, and takes it back. Nothing but Python is needed,
so that it runs on a board where nothing is installed yet.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[1] / "firmware_config"
MODEL_FILES = ("proc/device-tree/model", "sys/firmware/devicetree/base/model")
CONFIG_FILES = ("boot/firmware/config.txt", "boot/config.txt")
STATE = "var/lib/dragoman-board"
"""Where the originals are kept."""
BEGIN = "# >>> dragoman: written by configure-board, which replaces and removes everything up to the end mark"
END = "# <<< dragoman"


class BoardError(Exception):
    """What is wrong and what to do, in one line."""


@dataclass(frozen=True)
class Change:
    """A file as it should be; ``after`` None removes it."""

    path: str
    before: bytes | None
    after: bytes | None

    def diff(self) -> str:
        """Return the change as a unified diff."""
        old, new = ((text or b"").decode(errors="replace").splitlines(True) for text in (self.before, self.after))
        lines = difflib.unified_diff(old, new, f"/{self.path}", f"/{self.path}", n=2)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


class Board:
    """One board's file system.

    Parameters
    ----------
    root
        ``/``, or where a card is mounted.
    catalogue
        The parsed ``boards.toml``.
    """

    def __init__(self, root: Path, catalogue: dict[str, Any]) -> None:
        self.root, self.parts = root, catalogue["part"]
        self.model = self._model()
        self.kind, self.description = self._kind(catalogue["board"])

    def _model(self) -> str:
        for name in MODEL_FILES:
            try:
                return (self.root / name).read_bytes().rstrip(b"\0\n").decode(errors="replace")
            except OSError:
                continue
        raise BoardError("this is no board that is known by its device tree: a PC needs none of this")

    def _kind(self, boards: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        for kind, board in boards.items():
            if any(model in self.model for model in board["models"]):
                return kind, board
        known = ", ".join(model for board in boards.values() for model in board["models"])
        raise BoardError(f"{self.model!r} is not known; known are {known}")

    @property
    def config_file(self) -> str:
        """The firmware's configuration, below the root."""
        for name in CONFIG_FILES:
            if (self.root / name).is_file():
                return name
        raise BoardError(f"there is no {' nor '.join('/' + name for name in CONFIG_FILES)}: is the card mounted?")

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None where it is not."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None

    def check(self, names: Sequence[str]) -> None:
        """Refuse parts that are not for this board, not together, or lack their overlay."""
        for name in names:
            if name not in self.parts:
                raise BoardError(f"unknown part {name!r}; known are {', '.join(self.parts)}")
            part = self.parts[name]
            if self.kind not in part["boards"]:
                raise BoardError(f"{name} is not for a {self.model}")
            for other in part.get("excludes", ()):
                if other in names:
                    raise BoardError(f"{name} and {other} use the same pins")
            for overlay in part.get("overlays", ()):
                places = [Path(self.config_file).parent / "overlays" / f"{overlay}.dtbo"]
                if not any((self.root / place).is_file() for place in places):
                    raise BoardError(f"{name} needs the overlay /{places[0]}: {part['driver']}")
        if len([name for name in names if "alsa" in self.parts[name]]) > 1:
            raise BoardError("one sound card can be configured, not several: " + ", ".join(names))

    def changes(self, names: Sequence[str]) -> list[Change]:
        """Return what is to be changed so that the board has these parts and no others."""
        self.check(names)
        wanted: dict[str, bytes | None] = {"etc/alsa/conf.d/60-dragoman.conf": None}
        wanted["etc/udev/rules.d/85-dragoman-audio.rules"] = (SOURCE / "udev/85-dragoman-audio.rules").read_bytes()
        for name in names:
            if file := self.parts[name].get("alsa"):
                wanted["etc/alsa/conf.d/60-dragoman.conf"] = (SOURCE / "alsa" / file).read_bytes()
        if self.kind == "raspberry-pi":
            lines = [
                *self.description["config"],
                *(line for name in names for line in self.parts[name].get("config", ())),
            ]
            before = self.read(self.config_file) or b""
            wanted[self.config_file] = with_block(before, list(dict.fromkeys(lines)))
        found = [Change(path, self.read(path), after) for path, after in wanted.items()]
        return [change for change in found if change.before != change.after]


def with_block(text: bytes, lines: Sequence[str]) -> bytes:
    """Return config.txt with these lines in Dragoman's block at its end, or without the block where there are none.

    The block begins with ``[all]``, for what stands before it may be meant for one model only.

    Raises
    ------
    BoardError
        The block has lost its end, and it cannot be told which lines after it are somebody else's.
    """
    newline = b"\r\n" if b"\r\n" in text else b"\n"
    kept: list[bytes] = []
    inside = False
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        if stripped == BEGIN.encode():
            inside = True
        if not inside:
            kept.append(line)
        if stripped == END.encode():
            inside = False
    if inside:
        raise BoardError(f"config.txt has lost the line {END!r}: put it back where Dragoman's lines end")
    if not lines:
        return b"".join(kept)
    if kept and not kept[-1].endswith((b"\n", b"\r")):
        kept[-1] += newline
    block = [BEGIN, "[all]", *lines, END]
    return b"".join(kept) + b"".join(line.encode() + newline for line in block)


class Keeper:
    """Keeps the originals, so that everything can be taken back, also after a power cut in the middle."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / STATE
        self._index = self.folder / "index.json"
        self.files: dict[str, dict[str, str | None]] = {}
        if self._index.is_file():
            try:
                self.files = json.loads(self._index.read_bytes())
            except ValueError:
                raise BoardError(f"/{STATE}/index.json is damaged; the originals lie beside it") from None

    def apply(self, change: Change) -> None:
        """Keep the original, unless an earlier one is kept, and make the change."""
        kept = self.files.get(change.path)
        original = hashlib.sha256(change.before).hexdigest() if change.before is not None else None
        if kept is not None:
            original = kept["original"]
        elif change.before is not None:
            write(self.folder / "originals" / change.path, change.before)
        after = hashlib.sha256(change.after).hexdigest() if change.after is not None else None
        self.files[change.path] = {"original": original, "after": after}
        self._save()
        put(self.root / change.path, change.after)

    def restoration(self, board: Board) -> Iterator[tuple[Change, str | None]]:
        """Yield how to take everything back, with a warning where somebody else has changed a file since."""
        for path, kept in self.files.items():
            now = board.read(path)
            original = self._original(path) if kept["original"] else None
            if now == original:  # the power went before it was changed
                yield Change(path, now, now), None
            elif (hashlib.sha256(now).hexdigest() if now is not None else None) == kept["after"]:
                yield Change(path, now, original), None
            elif path in CONFIG_FILES and now is not None:
                yield Change(path, now, with_block(now, [])), f"/{path} was changed since: only our lines are removed"
            else:
                yield Change(path, now, now), f"/{path} was changed since, and is left as it is"

    def _original(self, path: str) -> bytes:
        return (self.folder / "originals" / path).read_bytes()

    def forget(self) -> None:
        """Forget the originals: everything is as it was."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if self.folder.is_dir():
            self.folder.rmdir()

    def _save(self) -> None:
        write(self._index, json.dumps(self.files, indent=1).encode())


def put(path: Path, data: bytes | None) -> None:
    """Make a file have these bytes, or not be there."""
    if data is None:
        path.unlink(missing_ok=True)
    else:
        write(path, data)


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: beside it first, to the disk, and then in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        beside.chmod(path.stat().st_mode & 0o7777)
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def show(board: Board) -> None:
    """Print the board and its parts."""
    print(f"{board.model}")
    for name, part in board.parts.items():
        if board.kind in part["boards"]:
            print(f"  {name:16} {part['title']}")
    if notes := board.description.get("notes"):
        print(notes)


def apply(board: Board, names: Sequence[str], *, really: bool) -> None:
    """Show, and if asked for make, the changes for these parts."""
    changes = board.changes(names)
    keeper = Keeper(board.root)
    for change in changes:
        print(change.diff(), end="")
        if really:
            keeper.apply(change)
    if not changes:
        print("nothing to change")
    elif really:
        print(f"done; the originals are in /{STATE}. Restart the board.")
    for setting in (setting for name in names for setting in board.parts[name].get("settings", ())):
        print(f"dragoman.toml: {setting}")


def undo(board: Board) -> None:
    """Take back what was changed."""
    keeper = Keeper(board.root)
    if not keeper.files:
        print("nothing to take back")
        return
    for change, warning in keeper.restoration(board):
        if warning:
            print(warning)
        print(change.diff(), end="")
        if change.before != change.after:
            put(board.root / change.path, change.after)
    keeper.forget()
    print("done. Restart the board.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="configure-board", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("/"), help="where the board's file system is mounted")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("show", help="tell which board this is, and which parts it may have")
    for name, text in (("diff", "show what would change"), ("apply", "change it, and keep the originals")):
        commands.add_parser(name, help=text).add_argument("parts", nargs="+", metavar="PART")
    commands.add_parser("undo", help="take everything back")
    options = parser.parse_args(arguments)
    try:
        board = Board(options.root, tomllib.loads((SOURCE / "boards/boards.toml").read_text(encoding="utf-8")))
        if options.command == "show":
            show(board)
        elif options.command == "undo":
            undo(board)
        else:
            apply(board, options.parts, really=options.command == "apply")
    except BoardError as error:
        print(f"configure-board: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"configure-board: {error.filename}: {error.strerror}; run it with sudo", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"configure-board: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
