"""Native chatter stays away from the user; what anybody else writes does not."""

import ctypes
import os
import subprocess
import sys
import threading

from device.audio.quiet import quiet


def c_prints(text):
    libc = ctypes.CDLL(None)
    libc.fputs(text.encode(), ctypes.c_void_p.in_dll(libc, "stderr"))


def test_looking_for_devices_prints_nothing(tmp_path):
    """With an ALSA configuration full of devices that do not exist, as on most machines."""
    broken = tmp_path / "asound.conf"
    broken.write_text("pcm.!default { type hw card 7 }\npcm.ghost { type pulse server nowhere hint.show on }\n")
    code = "from device.audio.devices import list_devices; list_devices()"
    for environment in ({}, {"ALSA_CONFIG_PATH": str(broken)}, {"PULSE_SERVER": "unix:/nowhere"}):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_pythons_own_stderr_is_never_held_back(capfd):
    with quiet():
        os.write(2, b"seen at once\n")
        assert capfd.readouterr().err == "seen at once\n"


def test_chatter_is_dropped_and_the_rest_comes_out(capfd):
    with quiet():
        c_prints("ALSA lib pcm.c:2666:(snd_pcm_open_noupdate) Unknown PCM cards.pcm.rear\n")
        c_prints("model file is damaged\n")
        c_prints("jack server is not running or cannot be started\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "model file is damaged\n"
    c_prints("as before\n")
    assert capfd.readouterr().err == "as before\n"


def test_the_last_of_several_threads_restores_the_stream(capfd):
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with quiet():
            entered.set()
            leave.wait()

    other = threading.Thread(target=hold)
    other.start()
    entered.wait()
    with quiet(), quiet():
        pass
    c_prints("ALSA lib still quiet\n")
    leave.set()
    other.join()
    c_prints("loud again\n")
    assert capfd.readouterr().err == "loud again\n"


def test_a_child_started_meanwhile_keeps_its_stderr(capfd):
    with quiet():
        subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write('from a child')"], check=True)
    assert capfd.readouterr().err == "from a child"
