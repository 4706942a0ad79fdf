"""Keys on a real pseudo-terminal, which is left as it was."""

import io
import os
import pty
import queue
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from device.controls.keyboard import Key, Keyboard


@pytest.fixture
def terminal():
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        yield master, stdin
    os.close(master)


def test_keys_are_read_without_enter_and_others_are_ignored(terminal):
    master, stdin = terminal
    keys = queue.Queue()
    with Keyboard(keys.put, stdin) as keyboard:
        assert keyboard.available
        os.write(master, "x é12 Q".encode())
        expected = [Key.TALK, Key.FIRST, Key.SECOND, Key.TALK, Key.QUIT]
        assert [keys.get(timeout=60) for _ in expected] == expected


def test_terminal_is_left_as_it_was_even_after_an_error(terminal):
    _, stdin = terminal
    before = termios.tcgetattr(stdin)
    with pytest.raises(ZeroDivisionError), Keyboard(lambda _key: None, stdin):
        1 / (termios.tcgetattr(stdin) == before)
    assert termios.tcgetattr(stdin) == before


def test_terminal_is_left_as_it_was_by_a_process_that_is_told_to_end(terminal):
    _, stdin = terminal
    before = termios.tcgetattr(stdin)
    code = (
        "import signal\nfrom device.controls.keyboard import Keyboard\n"
        "with Keyboard(print):\n    print('up', flush=True)\n    signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=stdin, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        assert termios.tcgetattr(stdin) != before
        process.send_signal(signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM
    assert termios.tcgetattr(stdin) == before


def test_end_of_input_counts_as_quit():
    master, slave = pty.openpty()
    keys = queue.Queue()
    with os.fdopen(slave) as stdin, Keyboard(keys.put, stdin):
        os.write(master, b"1")
        assert keys.get(timeout=60) is Key.FIRST
        os.close(master)
        assert keys.get(timeout=60) is Key.QUIT


def test_no_terminal_means_no_keys():
    with io.StringIO("q") as stdin, Keyboard(pytest.fail, stdin) as keyboard:
        assert not keyboard.available
    with Path(os.devnull).open() as stdin, Keyboard(pytest.fail, stdin) as keyboard:
        assert not keyboard.available
    closed = io.StringIO()
    closed.close()
    assert not Keyboard(pytest.fail, closed).available
