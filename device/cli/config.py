"""``dragoman config``: what is configured, from where, and whether it is right."""

from __future__ import annotations

import os
from pathlib import Path

import click

from device.cli.common import json_option, load_from, print_json


@click.group()
def config() -> None:
    """Show or check the configuration.

    Settings come from one TOML file (--config, $DRAGOMAN_CONFIG, /etc/dragoman/dragoman.toml or
    ~/.config/dragoman/dragoman.toml, the first there is), from environment variables such as
    DRAGOMAN_MQTT__HOST over it, and from --set over those.
    """


@config.command()
@json_option("configuration")
@click.option("--origin", is_flag=True, help="Tell where each value came from.")
@click.pass_context
def show(ctx: click.Context, as_json: bool, origin: bool) -> None:
    """Print every setting in effect, as TOML that can be saved."""
    from device.config.render import to_toml

    loaded = load_from(ctx)
    if not as_json:
        click.echo(f"# {loaded.file or 'no configuration file: defaults'}")
        click.echo(to_toml(loaded.settings, loaded.origin if origin else None), nl=False)
        return
    data = loaded.settings.model_dump(mode="json")
    if origin:
        data = {
            "file": str(loaded.file) if loaded.file else None,
            "settings": data,
            "origins": dict(loaded.origins),
        }
    print_json(data)


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_context
def check(ctx: click.Context, file: Path | None) -> None:
    """Check a configuration FILE alone, or everything that is in effect, and list all that is wrong.

    The files that it names, passwords and certificates say, must be there and readable too.
    """
    from device.config import ConfigError, Problem, load
    from device.config.files import unreadable

    loaded = load(file, environ=_without_settings()) if file else load_from(ctx)
    if missing := [Problem(loaded.origin(key), key, why) for key, why in unreadable(loaded.settings)]:
        raise ConfigError(missing)
    click.echo(f"{loaded.file or 'no configuration file: defaults'}: ok")


def _without_settings() -> dict[str, str]:
    """Leave the environment's settings out: a file that is checked by name is checked for itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DRAGOMAN_")}
