"""``dragoman doctor``: what is missing or wrong on this machine, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from device.cli.common import json_option, load_from, print_json
from device.wording import counted

if TYPE_CHECKING:
    from device.cli.findings import Finding

BY_SYSTEMD = "INVOCATION_ID"
"""The variable that everything started by systemd has (systemd.exec(5))."""
COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@json_option("finding")
@click.option("--silent", is_flag=True, help="Play nothing: leave out whether the microphone hears the speaker.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, silent: bool) -> int:
    """Check this machine: libraries, models, sound, pins, broker, certificates, disk, memory, heat and clock.

    A short rising tone is played to find out whether the microphone hears the speaker; not where systemd runs this. A
    running daemon holds the sound card and the pins, so stop it first where both are to be checked. Ends with 0 when
    nothing is a problem (a warning is none), and with 1 otherwise.
    """
    silent = silent or BY_SYSTEMD in os.environ
    counts = {"ok": 0, "warning": 0, "problem": 0}
    for finding in _findings(ctx, silent=silent):
        counts[finding.status] += 1
        if as_json:
            print_json(asdict(finding))
            continue
        status = click.style(f"{finding.status:8}", fg=COLOURS[finding.status])
        click.echo(f"{status} {finding.check:13} {finding.text}")
        if finding.remedy:
            click.echo(f"{'':22} → {finding.remedy}")
    if not as_json:
        click.echo(f"{counted(counts['problem'], 'problem')}, {counted(counts['warning'], 'warning')}")
    return 1 if counts["problem"] else 0


def _findings(ctx: click.Context, *, silent: bool) -> Iterator[Finding]:
    """Make every check; one that fails is a finding itself."""
    from device.cli.checks import CHECKS
    from device.cli.checks_sound import round_trip
    from device.cli.findings import Finding, Status
    from device.config import ConfigError, Settings

    try:
        loaded = load_from(ctx)
        settings = loaded.settings
        yield Finding("configuration", Status.OK, str(loaded.file or "no file: defaults"))
    except ConfigError as error:
        settings = Settings()
        for problem in error.problems:
            yield Finding("configuration", Status.PROBLEM, str(problem), "mend it; what follows is for the defaults")
    for check in (check for check in CHECKS if not (silent and check is round_trip)):
        try:
            yield from check(settings)
        except Exception as error:  # noqa: BLE001 - the other checks must still be made
            text = f"the check failed: {type(error).__name__}: {' '.join(str(error).split())}"
            yield Finding(check.__name__, Status.PROBLEM, text, "report this as a bug")
