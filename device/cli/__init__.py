"""The ``dragoman`` command. Each subcommand is a module here and is imported only when it is called."""

from __future__ import annotations

from device.cli import interrupts

# isort: split
# Above is what comes before all that takes time.
import errno
import importlib
import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import util
from pathlib import Path
from typing import Any

import click
from click.exceptions import NoSuchCommand, NoSuchOption

from device.cli.common import Invocation, complain, visible
from device.errors import DragomanError, UsageError
from device.wording import one_of

if interrupts.loading:
    interrupts.raise_again()

COMMANDS = {
    "Translate": {
        "run": "Run the translator: microphone, button, speaker and broker.",
        "serve": "Serve programs written for Azure Speech.",
        "listen": "Show live captions and translations of the microphone.",
        "translate": "Translate recordings, or lines of text.",
        "caption": "Write captions of a recording, or of the microphone.",
        "say": "Speak a text.",
    },
    "Set up": {
        "models": "List, fetch, check, import and remove models.",
        "devices": "List microphones and speakers.",
        "config": "Show or check the configuration.",
        "kiosk": "Show how the kiosk page is opened.",
        "tls": "Make certificates for the server.",
        "doctor": "Find out what is missing or wrong on this machine.",
        "update": "Update program and models, and go back.",
    },
}
"""Every command by section, with its line in ``dragoman --help``; the module of that name has the command."""

EXAMPLES = """\
  dragoman translate talk.wav --from en --to pt --speak talk-pt.wav
  dragoman listen --from en --to pt
  dragoman --set mqtt.host=broker.local run
"""


class CommandGroup(click.Group):
    """A group whose commands are imported when they are called, so that ``--help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of the commands that exist, in the order of the help."""
        return [name for section in COMMANDS.values() for name in section if _exists(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        _accept_shared_options(command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end well and quietly when whoever read its output (``| head``) has enough."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click itself would exit with 1
            _print_no_more()
            return 0

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; where there is none, tell which one may be meant."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            raise NoSuchCommand(error.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, each with one line, without importing them."""
        existing = self.list_commands(ctx)
        for title, section in COMMANDS.items():
            rows = [(name, text) for name, text in section.items() if name in existing]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the examples."""
        with formatter.section("Examples"):
            formatter.write(EXAMPLES)


def _accept_shared_options(command: click.Command) -> None:
    """Take ``--config``, ``--set`` and ``-v`` after a command's name too, and after those of the commands below it."""
    taken = {name for parameter in command.params for name in parameter.opts}
    shared = (
        click.Option(["--config"], type=click.Path(path_type=Path), callback=_read_file),
        click.Option(["--set"], multiple=True, callback=_override_more),
        click.Option(["-v", "--verbose"], count=True, callback=_log_more),
    )
    for option in shared:
        option.hidden = option.is_eager = True
        option.expose_value = False
        if not taken & set(option.opts):
            command.params.append(option)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _accept_shared_options(below)


def _read_file(ctx: click.Context, _parameter: click.Parameter, file: Path | None) -> None:
    if file is not None:
        ctx.ensure_object(Invocation).config = file


def _override_more(ctx: click.Context, parameter: click.Parameter, given: Sequence[str]) -> None:
    ctx.ensure_object(Invocation).overrides |= _overrides(ctx, parameter, given)


def _log_more(ctx: click.Context, _parameter: click.Parameter, times: int) -> None:
    if times:
        invocation = ctx.ensure_object(Invocation)
        invocation.verbose += times
        _set_up_log(invocation.verbose)


def _set_up_log(verbose: int) -> None:
    """Send the log to standard error: warnings, with ``-v`` what happens, with ``-vv`` everything."""
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(name)s: %(message)s" if verbose else "dragoman: %(message)s"
    )
    logging.getLogger().setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])


def _exists(name: str) -> bool:
    return util.find_spec(f"{__name__}.{name}") is not None


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from device import __version__

        click.echo(f"dragoman {__version__}")
        ctx.exit()


def _overrides(_ctx: click.Context, _parameter: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in given]
    for key, equals, _ in pairs:
        if not equals or not key.strip():
            raise click.BadParameter(f"expected KEY=VALUE, such as mqtt.host=broker.local, not {key!r}")
    return {key.strip(): value for key, _, value in pairs}


@click.command(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Read this configuration file.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_overrides,
    help="Override one setting; may be given again.",
)
@click.option("-v", "--verbose", count=True, help="Log more; twice for everything.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
@click.pass_obj
def cli(invocation: Invocation, file: Path | None, overrides: dict[str, str], verbose: int) -> None:
    """Translate speech on this machine, with no network.

    People talk, and hear and read in another language what was said. --config, --set and -v are also taken after the
    command.
    """
    invocation.config = file
    invocation.overrides = dict(overrides)
    invocation.verbose = verbose
    _set_up_log(verbose)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong use, 130 interrupted.

    A failure is one clear line on standard error; with ``-v`` an unexpected one comes with its traceback.
    """
    if sys.stdout is None:  # it was closed (``>&-``): whatever is printed fails, whatever prints nothing works
        sys.stdout = open(os.devnull, "w", opener=lambda path, _: os.open(path, os.O_RDONLY))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What is printed is UTF-8 whatever the locale says, and never fails for want of a character.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    invocation = Invocation()
    code = 0
    try:
        code = _run(arguments, invocation)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output (``| head``) has enough
        code = 0
        _print_no_more()
    except OSError as error:  # what could not be written before is still there, and was complained about
        if not code:
            complain(_os_error(error))
        code = code or 1
        _print_no_more()
    sys.exit(code)


def _run(arguments: Sequence[str] | None, invocation: Invocation) -> int:
    """Call the command and return the exit code."""
    try:
        result = cli.main(arguments, prog_name="dragoman", standalone_mode=False, obj=invocation)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line instead of a traceback
        code, message = _verdict(error, invocation)
        complain(message)
        return code
    return result if isinstance(result, int) else 0


def _verdict(error: Exception, invocation: Invocation) -> tuple[int, str]:
    """Choose the exit code and the line for a failure; show where it happened when that was asked for."""
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "dragoman"
        return 2, f"{_wrong_use(error)} (see {command} --help)"
    if isinstance(error, click.ClickException):
        return error.exit_code, _sentence(error.format_message())
    if isinstance(error, DragomanError):
        text = str(error)
        return 2 if isinstance(error, UsageError) else 1, visible(text, lines=hasattr(error, "problems"))
    if invocation.verbose:
        traceback.print_exception(error)
    if isinstance(error, OSError):
        return 1, _os_error(error)
    if isinstance(error, MemoryError):
        return 1, "not enough memory"
    what = f"{type(error).__name__}: {_one_line(str(error)) or 'no further message'}"
    return (
        1,
        f"{what} ({'this is a bug' if invocation.verbose else 'this is a bug; run with -v for details'})",
    )


def _wrong_use(error: click.UsageError) -> str:
    """Say what was wrong; for a mistyped command or option also what may have been meant."""
    possible: list[str] = []
    if isinstance(error, NoSuchCommand):
        possible = list(error.possibilities or ())
    elif isinstance(error, NoSuchOption):  # the dashes, which all have, make nothing alike
        names = {name.lstrip("-"): name for name in error.possibilities or ()}
        possible = [names[name] for name in get_close_matches(error.option_name.lstrip("-"), names)]
    if possible:
        return f"{_sentence(error.message)}: did you mean {one_of(possible)}?"
    if isinstance(error, NoSuchOption):
        return _sentence(error.message)
    return _sentence(error.format_message())


def _os_error(error: OSError) -> str:
    if error.errno == errno.EBADF:
        return "standard output cannot be written: it is closed"
    what = error.strerror or _one_line(str(error)) or type(error).__name__
    if error.errno == errno.ENOSPC:
        what += "; free some space and try again"
    return visible(f"{error.filename}: {what}") if error.filename else what


def _sentence(message: str) -> str:
    """Write click's message the way ours are: on one line, in lower case, without a full stop."""
    text = _one_line(message).rstrip(".")
    return text[:1].lower() + text[1:]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _print_no_more() -> None:
    """Let standard output swallow what is left: Python flushes it once more at its end, and would complain then."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
