"""The README says what is so."""

import re

from click.testing import CliRunner

from device.cli import cli
from device.cli.common import Invocation
from device.config.problems import all_keys
from tools.readme import README, renewed

TEXT = README.read_text(encoding="utf-8")


def part(name: str) -> str:
    return TEXT.split(f"<!-- {name}:")[1].split(f"<!-- end of {name}")[0]


def test_tables_are_up_to_date():
    assert renewed(TEXT) == TEXT, "run `make readme`"


def test_configuration_table_has_every_key():
    rows = re.findall(r"^\| `([\w.]+)` \|", part("configuration"), flags=re.MULTILINE)
    keys = {key.replace(".0", "") for key in all_keys()}
    leaves = {key for key in keys if not any(other.startswith(f"{key}.") for other in keys)}
    assert sorted(rows) == sorted(leaves)


def test_commands_that_are_shown_exist():
    prose = TEXT.replace(part("configuration"), "")
    shown = set(re.findall(r"dragoman (?:--set \S+ )?(?!-)([a-z]+)", prose))
    known = CliRunner().invoke(cli, ["--help"], obj=Invocation()).output
    assert {"run", "translate", "listen", "say", "models", "devices", "config", "doctor"} <= shown
    for command in shown - {"is"}:
        assert re.search(rf"^  {command} ", known, flags=re.MULTILINE), command


def test_files_that_are_linked_exist():
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT):
        assert (README.parent / link).exists(), link
