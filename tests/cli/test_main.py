"""The command line's promises: help, lazy commands, one-line failures, exit codes, quiet pipes."""

import json
import logging
import os
import pty
import signal
import subprocess
import sys

import click
import pytest

from device import cli
from device.cli.common import LANGUAGE, on_terminal, print_json, progress
from device.errors import DragomanError, UsageError


@pytest.fixture
def dragoman(capsys, monkeypatch, tmp_path):
    """Run the command line in this process: exit code, standard output, standard error."""
    for name in [name for name in os.environ if name.startswith("DRAGOMAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("device.config.loading.SYSTEM_FILE", tmp_path / "none.toml")

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    level = logging.getLogger().level
    yield run
    logging.getLogger().setLevel(level)


@pytest.fixture
def command(monkeypatch):
    """Make a function the ``dragoman doctor`` command."""

    def install(function, *decorators):
        made = click.command("doctor")(function)
        monkeypatch.setattr(cli.CommandGroup, "get_command", lambda *_: made)

    return install


def test_help_has_sections_with_one_line_a_command_and_examples(dragoman):
    code, out, err = dragoman("--help")
    assert (code, err) == (0, "")
    assert "Set up:" in out
    assert "  config" in out
    assert "Examples:\n  dragoman translate talk.wav" in out


def test_help_lists_only_commands_that_exist(dragoman, monkeypatch):
    monkeypatch.setitem(cli.COMMANDS["Set up"], "frobnicate", "Does not exist.")
    assert "frobnicate" not in dragoman("--help")[1]
    code, _, err = dragoman("frobnicate")
    assert code == 2
    assert err == "dragoman: no such command 'frobnicate' (see dragoman --help)\n"


def test_every_command_that_exists_has_its_own_help(dragoman):
    group = cli.cli
    for name in group.list_commands(click.Context(group)):
        code, out, _ = dragoman(name, "--help")
        assert code == 0, name
        assert out.startswith(f"Usage: dragoman {name} "), name


def test_help_imports_no_engine_and_no_settings():
    code = (
        "import sys\nfrom device.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "sherpa_onnx", "ctranslate2", "onnxruntime", "pydantic", "rich", "gpiozero", "pyaudio"}
    assert "click" in done.stdout.split()
    assert not heavy & set(done.stdout.split())


def test_wrong_use_is_one_line_and_exit_code_2(dragoman):
    for arguments in (["--frob"], ["--set", "nonsense", "config", "show"], ["config", "frob"]):
        code, out, err = dragoman(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("dragoman: ")
        assert err.endswith("--help)\n")
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["lisen"], "'lisen': did you mean listen? (see dragoman --help)"),
        (["models", "lst"], "'lst': did you mean list? (see dragoman models --help)"),
        (["translate", "--form", "en"], "'--form': did you mean --from? (see dragoman translate --help)"),
        (["config", "show", "--sett", "x=1"], "'--sett': did you mean --set? (see dragoman config show --help)"),
    ],
)
def test_a_mistyped_command_or_option_brings_the_right_one_to_mind(dragoman, arguments, meant):
    code, _, err = dragoman(*arguments)
    assert code == 2
    assert err.endswith(f" {meant}\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "mqtt.port=1", "config", "show"],
        ["config", "--set", "mqtt.port=1", "show"],
        ["config", "show", "--set", "mqtt.port=1"],
        ["--set", "mqtt.port=2", "config", "show", "--set", "mqtt.port=1"],
    ],
)
def test_a_setting_may_be_given_before_and_after_the_command(dragoman, arguments):
    code, out, err = dragoman(*arguments, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["mqtt"]["port"] == 1


def test_a_configuration_file_may_be_named_after_the_command(dragoman, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text("mqtt.port = 3\n")
    code, out, _ = dragoman("config", "show", "--json", "--config", str(own))
    assert code == 0
    assert json.loads(out)["mqtt"]["port"] == 3


def test_a_setting_after_the_command_must_be_one(dragoman):
    code, _, err = dragoman("config", "show", "--set", "nonsense")
    assert code == 2
    assert "expected KEY=VALUE" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["caption", "--shortest", "nan", "x.wav"],
        ["caption", "--shortest", "-1", "x.wav"],
        ["caption", "--reading-speed", "NaN", "x.wav"],
        ["caption", "--reading-speed", "inf", "x.wav"],
        ["caption", "--line-length", "-3", "x.wav"],
        ["caption", "--output", "-", "x.wav"],
        ["say", "hello", "--out", "-"],
        ["say", "hello", "--out", ""],
        ["translate", "x.wav", "--speak", "-"],
        ["translate", "x.wav", "--identify"],
        ["translate", "x.wav", "--voice", "tts-piper-pt-faber"],
        ["devices", "calibrate", "--azimuth", "nan"],
        ["devices", "calibrate", "--azimuth", "-inf"],
        ["devices", "calibrate", "--seconds", "nan"],
        ["devices", "calibrate", "--output", "-"],
        ["devices", "calibrate", "--array", "nope"],
        ["devices", "calibrate"],
        ["models", "import", "/nonexistent"],
        ["models", "import", "/etc/hostname"],
        ["serve", "--port", "-1"],
        ["--set", "endpoint.silence=nan", "config", "check"],
        ["--set", "server.longest_audio=inf", "config", "check"],
        ["--set", "models.threads=-1", "config", "check"],
    ],
)
def test_a_value_that_cannot_be_meant_is_wrong_use(dragoman, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = dragoman(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("dragoman: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_json_is_lines_in_every_command(dragoman):
    def commands(command, path):
        yield command, path
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                yield from commands(command.get_command(context, name), [*path, name])

    told = [path for command, path in commands(cli.cli, []) if "--json" in {o for p in command.params for o in p.opts}]
    assert ["models", "list"] in told
    assert ["translate"] in told
    for path in told:
        said = " ".join(dragoman(*path, "--help")[1].split())
        assert "Print JSON for programs: one " in said, path


def test_an_option_like_no_other_brings_nothing_to_mind(dragoman):
    assert "mean" not in dragoman("translate", "--bogus")[2]


def test_no_command_is_wrong_use_and_shows_the_help(dragoman):
    code, out, err = dragoman()
    assert (code, out) == (2, "")
    assert "Examples:" in err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DragomanError("talk.wav: no sound in it"), 1, "talk.wav: no sound in it"),
        (UsageError("--to: no such language"), 2, "--to: no such language"),
        (PermissionError(13, "Permission denied", "/x"), 1, "/x: Permission denied"),
        (
            OSError(28, "No space left on device", "/x"),
            1,
            "/x: No space left on device; free some space and try again",
        ),
        (KeyError("a\nb"), 1, "KeyError: 'a\\nb' (this is a bug; run with -v for details)"),
        (ValueError("two\nlines"), 1, "ValueError: two lines (this is a bug; run with -v for details)"),
        (MemoryError(), 1, "not enough memory"),
        (click.FileError("a.wav", "is a directory"), 1, "could not open file 'a.wav': is a directory"),
    ],
)
def test_failure_is_one_line_without_traceback(dragoman, command, error, code, line):
    def doctor():
        raise error

    command(doctor)
    assert dragoman("doctor") == (code, "", f"dragoman: {line}\n")


@pytest.mark.parametrize("arguments", [("-v", "doctor"), ("doctor", "-v")])
def test_verbose_shows_where_a_bug_is(dragoman, monkeypatch, arguments):
    def doctor():
        raise RuntimeError("broken")

    monkeypatch.setattr("device.cli.doctor.doctor", click.command(doctor))
    code, _, err = dragoman(*arguments)
    assert code == 1
    assert "Traceback" in err
    assert err.endswith("dragoman: RuntimeError: broken (this is a bug)\n")


def test_interrupt_is_quiet_and_130(dragoman, command):
    def doctor():
        raise KeyboardInterrupt

    command(doctor)
    code, out, err = dragoman("doctor")
    assert (code, out, err.strip()) == (130, "", "")


def test_a_command_says_its_own_exit_code(dragoman, command):
    command(lambda: 1)
    assert dragoman("doctor")[0] == 1


def test_reader_that_goes_away_is_no_failure_to_talk_about():
    code = "from device.cli import main\nmain(['config', 'show'])"
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run([sys.executable, "-c", code], stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert done.stderr == b""
    assert done.returncode == 0


def shell(line, **options):
    return subprocess.run(
        ["bash", "-c", line.replace("dragoman", f"{sys.executable} -m device")],
        capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("to", "reason"),
    [(">/dev/full", "No space left on device; free some space and try again"),
     (">&-", "standard output cannot be written: it is closed")],
)  # fmt: skip
@pytest.mark.parametrize("command", ["config show --json", "config show", "translate --text --from pt --to pt"])
def test_output_that_cannot_be_written_is_one_line_and_a_failure(command, to, reason):
    done = shell(f"echo Oi | dragoman {command} {to}")
    *notes, last = done.stderr.splitlines()
    assert (done.returncode, last) == (1, f"dragoman: {reason}")
    assert not any("rror" in note for note in notes)


def test_a_command_that_prints_nothing_works_without_standard_output():
    done = shell("echo -n | dragoman translate --text --from pt --to pt >&-")
    assert done.returncode == 0
    assert "rror" not in done.stderr


@pytest.mark.parametrize("command", ["translate", "caption"])
def test_a_name_that_no_terminal_can_show_is_escaped_on_one_line(command):
    done = shell(f"dragoman {command} $'no\\nsuch\\xff.wav' --from en")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert r"no\nsuch\udcff.wav" in line


def test_interrupt_from_outside_ends_with_130():
    code = (
        "import click, signal\nfrom device import cli\n"
        "@click.command()\ndef doctor():\n    print('up', flush=True)\n    signal.pause()\n"
        "cli.CommandGroup.get_command = lambda *_: doctor\ncli.main(['doctor'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.strip() == b""


def test_interrupt_while_the_program_loads_is_quiet_too():
    code = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from device.cli import main"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")  # to a shell: 130


def test_output_is_utf8_whatever_the_locale_says():
    code = "from device.cli import main\nmain(['--set', 'audio.input=f\\xfcr \\u8a9e', 'config', 'show'])"
    environ = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "HOME": "/nowhere",
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environ, check=True)
    assert "für 語".encode() in done.stdout


def test_version(dragoman):
    code, out, _ = dragoman("--version")
    assert code == 0
    assert out.startswith("dragoman ")


def test_json_is_one_object_a_line_in_plain_utf8(capsys):
    print_json({"text": "olá\n🌍"})
    assert capsys.readouterr().out == '{"text": "olá\\n🌍"}\n'


def test_no_progress_where_the_output_is_a_pipe(capfd):
    assert not on_terminal()
    with progress(bytes_=True) as bars:
        bars.update(bars.add_task("model", total=10), advance=5)
    assert capfd.readouterr() == ("", "")


def test_progress_on_a_terminal():
    code = (
        "from device.cli.common import progress\n"
        "with progress(bytes_=True) as bars:\n"
        "    bars.update(bars.add_task('model [x]', total=10), advance=10)"
    )
    master, slave = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", code], stdout=slave, stderr=slave) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                shown += os.read(master, 4096)
            except OSError:  # the other end is closed
                break
        assert process.wait() == 0
    os.close(master)
    assert b"model [x]" in shown
    assert b"100%" in shown


@pytest.mark.parametrize("value", ["xx", "english", "e", "en--", ""])
def test_wrong_language_on_the_command_line_is_wrong_use(value, dragoman, command):
    command(click.option("--to", type=LANGUAGE)(lambda to: None))
    code, _, err = dragoman("doctor", "--to", value)
    assert code == 2
    assert err.startswith("dragoman: invalid value for '--to':")
    assert "not a language tag" in err
