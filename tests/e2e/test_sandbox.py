"""The real daemon, and every engine, under the restrictions of its unit, as near as a machine without systemd comes."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_daemon import fox, state, words

UNIT = Path(__file__).parents[2] / "systemd" / "dragoman.service"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.models,
    pytest.mark.timeout(240),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can confine a process so"),
    pytest.mark.skipif(
        not (shutil.which("systemd-analyze") and ctypes.util.find_library("seccomp")),
        reason="systemd-analyze or libseccomp is not installed",
    ),
]

PROBE = """
import ctypes, socket
def refused(call):
    try:
        call()
    except OSError:
        return True
    return False
print(refused(lambda: open("/etc/dragoman-probe", "w")),
      refused(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
      refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
      ctypes.CDLL(None).unshare(0x10000000) == -1,
      {line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")} == {"0" * 16})
"""

EVERY_ENGINE = """
import sys
import numpy as np
from device.config import Settings
from device.engines.registry import Engines
from device.modelstore.store import ModelStore
from device.audio.files import read_blocks
samples = np.concatenate(list(read_blocks(sys.argv[1])))
with Engines(ModelStore(), Settings().models) as engines:
    def hear(model, language):
        engines._settings = Settings.model_validate({"models": {"prefer": {f"asr:{language}": model}}}).models
        return engines.recognizer(language).session(language).recognize(samples, final=True).text
    print(hear("asr-moonshine-tiny-en", "en"))
    print(hear("asr-whisper-base", "en"))
    for model, text in (("mt-bergamot-en-pt", "Good morning."), ("mt-argos-zh-en", "\u65e9\u4e0a\u597d\u3002")):
        print(engines.translator(model).translate([text])[0].text)
    print(sum(map(len, engines.synthesizer("pt", "tts-piper-pt-faber").stream("Bom dia."))))
    detector = engines.vad(Settings().endpoint)
    print(sum(detector.is_speech(samples[i : i + 512]) for i in range(0, len(samples) - 512, 512)))
"""


@pytest.fixture
def sandbox(tmp_path, model_store, monkeypatch):
    """The start of a command line that runs what follows under the unit's restrictions.

    The model store may be written, for a part of it is what the daemon may write in the field too.
    """
    writable = [tmp_path, model_store.directory]
    monkeypatch.setenv("DRAGOMAN_MODELS", str(model_store.directory))  # the unit's HOME is another
    return [sys.executable, "-m", "tools.sandbox", str(UNIT), *(f"--writable={path}" for path in writable), "--"]


def test_the_restrictions_are_really_there(sandbox):
    probed = subprocess.run([*sandbox, sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=60)
    assert probed.stdout.split() == ["True"] * 5, probed.stderr


def test_every_engine_loads_and_works(sandbox, model_dir, recordings):
    for model in ("asr-moonshine-tiny-en", "asr-whisper-base", "mt-bergamot-en-pt", "mt-argos-zh-en",
                  "tts-piper-pt-faber", "vad-silero"):  # fmt: skip
        model_dir(model)
    path, said = fox(recordings)
    command = [*sandbox, sys.executable, "-c", EVERY_ENGINE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    moonshine, whisper, english, chinese, spoken, frames = done.stdout.splitlines()
    assert words(moonshine)[-5:] == words(whisper)[-5:] == words(said)[-5:]
    assert english == "Bom dia."
    assert "morning" in chinese.lower()
    assert int(spoken) > 4000
    assert int(frames) > 20


def test_the_daemon_hears_translates_speaks_and_is_fed_under_its_unit(
    start_process, configuration, sandbox, listener, virtual_mic, recordings, tmp_path
):
    configuration["controls"]["trigger"] = "open"
    path, said = fox(recordings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = tmp_path / "notify"
        manager.bind(str(address))
        manager.settimeout(100)
        daemon = start_process(sandbox, NOTIFY_SOCKET=str(address), WATCHDOG_USEC="2000000")
        ready = manager.recv(4096).decode().splitlines()
        assert ready == ["READY=1", "STATUS=ready", "WATCHDOG=1"], daemon.text()
        state(listener, "listening")
        virtual_mic.play(path)
        listener.wait_on("translation/pt")
        state(listener, "speaking")
        assert words(listener.on("transcript/final")[0].json["text"])[-5:] == words(said)[-5:]
        assert manager.recv(4096) == b"WATCHDOG=1"
        daemon.process.terminate()
        assert daemon.process.wait(60) == 0, daemon.text()
        while not (last := manager.recv(4096)).startswith(b"STOPPING=1"):
            assert last == b"WATCHDOG=1"
    assert "Traceback" not in daemon.text()
    assert "not permitted" not in daemon.text()
