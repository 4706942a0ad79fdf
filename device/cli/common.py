"""What the commands share: their settings, output for programs and for people, and types of arguments."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from device.errors import DragomanError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

    from device.config import Loaded, Settings

_printing = threading.Lock()


@dataclass
class Invocation:
    """What was given before the command's name."""

    config: Path | None = None
    overrides: dict[str, str] = field(default_factory=dict)
    verbose: int = 0


def load_from(ctx: click.Context, overrides: Mapping[str, object] | None = None) -> Loaded:
    """Read the settings that this call of the command line asks for, with the place of each value.

    ``overrides`` are the command's own flags by dotted key; they win over everything, ``--set`` too.
    """
    from device.config import load

    invocation = ctx.ensure_object(Invocation)
    return load(invocation.config, {**invocation.overrides, **(overrides or {})})


def settings_from(ctx: click.Context, overrides: Mapping[str, object] | None = None) -> Settings:
    """Read the settings that this call of the command line asks for (see `load_from`)."""
    return load_from(ctx, overrides).settings


def print_json(data: Mapping[str, Any]) -> None:
    """Print one JSON object on a line of its own, at once; safe to call from any thread."""
    line = json.dumps(data, ensure_ascii=False, separators=(", ", ": "))
    with _printing:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def visible(text: str, *, lines: bool = False) -> str:
    """Escape what a terminal would not show as it is, as file names may have: no bytes that are no text, no line ends.

    With ``lines`` the text may have several lines.
    """
    kept = "\n" if lines else ""
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def complain(message: str) -> None:
    """Tell a person what went wrong: one line on standard error."""
    with suppress(OSError):
        print(f"dragoman: {message}", file=sys.stderr, flush=True)


def read_stdin() -> BinaryIO:
    """Return standard input.

    Raises
    ------
    UsageError
        There is none: it was closed.
    """
    if sys.stdin is None:
        raise UsageError("there is no standard input to read from")
    return sys.stdin.buffer


def refuse_own_input(output: Path, inputs: Iterable[Path]) -> None:
    """Raise `UsageError` where ``output`` is one of the files that are read."""
    for path in inputs:
        if output.exists() and path.exists() and output.samefile(path):
            raise UsageError(f"{output} is the recording itself: what is written would destroy it")


def clock(seconds: float) -> str:
    """Write a time within a recording: ``1:02:03.4``, ``2:03.4``."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def on_terminal() -> bool:
    """Whether a person watches: both outputs are a terminal, neither a pipe nor a file."""
    return sys.stdout.isatty() and sys.stderr.isatty()


@contextmanager
def progress(*, bytes_: bool = False, hidden: bool = False) -> Iterator[Progress]:
    """Show progress bars on standard error while the block runs; nothing at all where no person watches.

    Parameters
    ----------
    bytes_
        The tasks count bytes: show sizes and a rate instead of steps.
    hidden
        Show nothing in any case.
    """
    from rich import progress as bars
    from rich.console import Console

    counts = (
        [bars.DownloadColumn(binary_units=False), bars.TransferSpeedColumn()] if bytes_ else [bars.MofNCompleteColumn()]
    )
    columns = [
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        *counts,
        bars.TimeRemainingColumn(),
    ]
    with bars.Progress(*columns, console=Console(stderr=True), disable=hidden or not on_terminal()) as shown:
        yield shown


class LanguageTag(click.ParamType[str]):
    """An argument that is a language, such as ``en`` or ``pt-BR``; one that does not exist is refused."""

    name = "language"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """Return what the help shows for the value."""
        return "LANG"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the tag in its canonical writing."""
        from device.config.languages import canonical_language

        try:
            return canonical_language(str(value))
        except ValueError as error:
            self.fail(f"{str(value)[:60]!r} is {error}", param, ctx)


LANGUAGE = LanguageTag()


class FiniteRange(click.FloatRange):
    """A number between bounds. Unlike click's own it refuses what is no number or has no end: ``nan``, ``inf``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number in the range {self._describe_range()}", param, ctx)
        return number


class OutputFile(click.Path):
    """A file to be written, not ``-``: such a file would be made, though standard output may be meant."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if str(value) in {"-", ""}:
            self.fail(f"{str(value)!r} is not the name of a file; for one of that name write ./-", param, ctx)
        return super().convert(value, param, ctx)


OUTPUT_FILE = OutputFile()


class WavFile(OutputFile):
    """A WAV file to be written: a name that promises another format is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        path = Path(super().convert(value, param, ctx))
        if path.suffix.lower() != ".wav" and (path.is_file() or not path.exists()):
            self.fail(f"{str(path)!r} must end in .wav: WAV is what is written", param, ctx)
        return path


WAV_FILE = WavFile()


def require_writable(path: Path, *, folders: bool = False) -> None:
    """Raise `DragomanError` where a file cannot be written there; it is neither made nor changed.

    With ``folders``, those that are missing will be made for it.
    """
    try:
        folder = path.parent
        while folders and not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if path.exists():
            path.open("r+b").close()
        elif not folder.is_dir():
            missing = errno.ENOTDIR if folder.exists() else errno.ENOENT
            raise OSError(missing, os.strerror(missing))
        elif not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise DragomanError(f"{path} cannot be written: {error.strerror}") from None


def json_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the ``--json`` of a command: always JSON lines, one object of ``what`` a line, so that one reader does."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print JSON for programs: one {what} a line.")


def speakers_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--speakers`` and ``--speakers-most``; see `speakers_overrides`."""
    most = click.option(
        "--speakers-most",
        type=click.IntRange(0, 16),
        metavar="N",
        help="The same, and N people at most; 0: any number.",
    )
    speakers = click.option(
        "--speakers/--no-speakers",
        default=None,
        help="Tell people apart by their voices, and say who speaks [configured].",
    )
    return speakers(most(command))


def speakers_overrides(speakers: bool | None, most: int | None) -> dict[str, object]:
    """Return what `speakers_options` set, by dotted key.

    Raises
    ------
    UsageError
        Nobody is to be told apart, but so many people.
    """
    if speakers is False and most is not None:
        raise UsageError("--no-speakers and --speakers-most contradict each other")
    if most is not None:
        return {"speakers.enabled": True, "speakers.most": most}
    return {} if speakers is None else {"speakers.enabled": speakers}
