"""``dragoman doctor``: what is missing or wrong on this machine, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from device.cli.common import json_option, load_from, print_json
from device.wording import counted

if TYPE_CHECKING:
    from device.cli.checks import Finding

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@json_option("finding")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> int:
    """Check this machine: libraries, models, microphone, speaker, buttons, broker, disk, memory and clock.

    Ends with 0 when nothing is a problem (a warning is none), and with 1 otherwise.
    """
    counts = {"ok": 0, "warning": 0, "problem": 0}
    for finding in _findings(ctx):
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


def _findings(ctx: click.Context) -> Iterator[Finding]:
    """Make every check; one that fails is a finding itself."""
    from device.cli.checks import CHECKS, Finding, Status
    from device.config import ConfigError, Settings

    try:
        loaded = load_from(ctx)
        settings = loaded.settings
        yield Finding("configuration", Status.OK, str(loaded.file or "no file: defaults"))
    except ConfigError as error:
        settings = Settings()
        for problem in error.problems:
            yield Finding("configuration", Status.PROBLEM, str(problem), "mend it; what follows is for the defaults")
    for check in CHECKS:
        try:
            yield from check(settings)
        except Exception as error:  # noqa: BLE001 - the other checks must still be made
            text = f"the check failed: {type(error).__name__}: {' '.join(str(error).split())}"
            yield Finding(check.__name__, Status.PROBLEM, text, "report this as a bug")
