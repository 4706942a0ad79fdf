"""``dragoman run``: the daemon."""

from __future__ import annotations

import logging
import signal
import threading

import click

from device.cli.common import settings_from


@click.command(short_help="Run the translator: microphone, button, speaker and broker.")
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run the translator until it is told to stop (SIGTERM, SIGINT): microphone, button, speaker and broker.

    What somebody is saying when it stops is still translated and published. The log goes to standard error and never
    holds what was said.
    """
    settings = settings_from(ctx)
    logging.getLogger().setLevel(settings.log.level.upper())
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    from device.daemon import Daemon
    from device.watchdog import Watchdog

    with Daemon(settings) as daemon, Watchdog(daemon.vital):
        stopping.wait()
