"""A microphone array and a speaker that exist only in software: a private PulseAudio with two null sinks.

What is played into the sink ``mic`` is captured from its monitor by PortAudio, through ALSA's pulse plugin,
as from any sound card; what a program says is recorded from the monitor of the sink ``speaker``. It needs
no sound hardware, no session bus and no user but the current one, root included. Debian's packages
``pulseaudio``, ``pulseaudio-utils`` and ``libasound2-plugins`` must be installed.

    with VirtualMicrophone(channels=4) as mic:
        subprocess.run(["dragoman", "devices"], env={**os.environ, **mic.env()})
        mic.play(Path("four_channels.wav"))

The devices are named `INPUT_DEVICE` and `OUTPUT_DEVICE`, and are the system's defaults for a program with
that environment.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile
from numpy.typing import NDArray

INPUT_DEVICE = "virtual_mic"
OUTPUT_DEVICE = "virtual_speaker"
MIC_SINK = "mic"
SPEAKER_SINK = "speaker"

_START_SECONDS = 20.0
_ASOUNDRC = f"""\
pcm.{INPUT_DEVICE} {{
    type asym
    capture.pcm {{ type pulse device "{MIC_SINK}.monitor" }}
    hint {{ show on description "The virtual microphone array" }}
}}
pcm.{OUTPUT_DEVICE} {{
    type asym
    playback.pcm {{ type pulse device "{SPEAKER_SINK}" }}
    hint {{ show on description "The virtual speaker" }}
}}
pcm.!default {{
    type asym
    capture.pcm "{INPUT_DEVICE}"
    playback.pcm "{OUTPUT_DEVICE}"
}}
ctl.!default {{ type pulse }}
"""


class VirtualMicrophone:
    """A PulseAudio daemon of its own, with a microphone array to play into and a speaker to listen at.

    Parameters
    ----------
    channels
        Microphones of the array.
    rate
        Sample rate of both sinks, in Hz.
    directory
        Where sockets and configuration live; by default a new folder below the system's temporary one,
        removed by `stop`.

    Raises
    ------
    RuntimeError
        From `start`: PulseAudio is not installed or does not start.
    """

    def __init__(self, channels: int = 4, rate: int = 48_000, directory: Path | None = None) -> None:
        self.channels = channels
        self.rate = rate
        self._given = directory
        self._directory = Path()
        self._daemon: subprocess.Popen[bytes] | None = None
        self._clients: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the daemon, and return when both sinks are there. Does nothing while it runs."""
        if self._daemon is not None and self._daemon.poll() is None:
            return
        if shutil.which("pulseaudio") is None or shutil.which("pacat") is None:
            raise RuntimeError("PulseAudio is missing: install pulseaudio, pulseaudio-utils and libasound2-plugins")
        if not self._directory.name:
            # Unix socket names are short, so the folder is not made below a test's own long one.
            self._directory = self._given or Path(tempfile.mkdtemp(prefix="dragoman-pulse-"))
            for name in ("run", "state", "home"):
                (self._directory / name).mkdir(mode=0o700, exist_ok=True)
            (self._directory / "asound.conf").write_text(_ASOUNDRC)
        self._socket.unlink(missing_ok=True)
        # It ends by itself when nobody has used it for two minutes: whoever started it was killed.
        command = [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=120", "--use-pid-file=no",
            "--disable-shm=yes", "--high-priority=no", "--realtime=no", "--log-target=stderr", "--log-level=error",
            "-L", f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
        ]  # fmt: skip
        for sink, channels in ((MIC_SINK, self.channels), (SPEAKER_SINK, 1)):
            command += ["-L", self._sink_module(sink, channels)]
        log = (self._directory / "pulseaudio.log").open("ab")
        with log:
            self._daemon = subprocess.Popen(
                command, env={**os.environ, **self.env()}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """End the daemon and remove its folder. Does nothing when it has ended."""
        self.kill()
        if self._given is None and self._directory.name:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = Path()

    def kill(self) -> None:
        """Kill the daemon, as a crash would; `start` brings it back at the same place."""
        for process in [*self._clients, self._daemon]:
            if process is not None:
                process.kill()
                process.wait()
        self._clients.clear()
        self._daemon = None

    def env(self) -> dict[str, str]:
        """Return the environment in which a program sees these devices, and no others."""
        return {
            "ALSA_CONFIG_PATH": str(self._directory / "asound.conf"),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_RUNTIME_PATH": str(self._directory / "run"),
            "PULSE_STATE_PATH": str(self._directory / "state"),
            "PULSE_COOKIE": str(self._directory / "home" / "cookie"),
            "JACK_NO_START_SERVER": "1",
        }

    def play(self, recording: Path | NDArray[np.float32], *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Play into the microphones in real time.

        Parameters
        ----------
        recording
            A WAV file, or samples of shape ``(frames, channels)`` or ``(frames,)`` at the sinks' rate. A
            recording with one channel is heard by every microphone.
        wait
            Whether to return only when it is over.
        """
        if isinstance(recording, Path):
            samples, rate = soundfile.read(recording, dtype="float32", always_2d=True)
        else:
            samples, rate = recording.reshape(len(recording), -1), self.rate
        if samples.shape[1] == 1:
            samples = np.repeat(samples, self.channels, axis=1)
        process = subprocess.Popen(
            [
                "pacat", "--playback", f"--device={MIC_SINK}", "--format=float32le", f"--rate={rate}",
                f"--channels={samples.shape[1]}", f"--channel-map={self._channel_map(samples.shape[1])}",
                "--latency-msec=50",
            ],
            env={**os.environ, **self.env()}, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._clients.append(process)
        if wait:
            process.communicate(np.ascontiguousarray(samples, np.float32).tobytes())
            self._clients.remove(process)
        else:
            self._feed(process, np.ascontiguousarray(samples, np.float32).tobytes())
        return process

    def hear_speaker(self) -> None:
        """Let every microphone hear the speaker from now on, as in a room."""
        source, sink = f"source={SPEAKER_SINK}.monitor", f"sink={MIC_SINK}"
        # No adjustment of rates: both sinks run by the same clock.
        self._pactl("load-module", "module-loopback", source, sink, "latency_msec=60", "adjust_time=0", "remix=yes")

    def record_speaker(self, path: Path) -> subprocess.Popen[bytes]:
        """Record what the speaker says into a WAV file, until `finish` ends the returned process."""
        process = subprocess.Popen(
            [
                "parecord", f"--device={SPEAKER_SINK}.monitor", "--format=s16le", f"--rate={self.rate}",
                "--channels=1", "--file-format=wav", "--latency-msec=20", str(path),
            ],
            env={**os.environ, **self.env()}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._clients.append(process)
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """End a recording so that its file is whole."""
        process.terminate()
        process.wait()
        with contextlib.suppress(ValueError):
            self._clients.remove(process)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _socket(self) -> Path:
        return self._directory / "run" / "native"

    def _sink_module(self, sink: str, channels: int) -> str:
        return (
            f"module-null-sink sink_name={sink} channels={channels} rate={self.rate} format=float32le norewinds=1 "
            f"channel_map={self._channel_map(channels)}"
        )

    @staticmethod
    def _channel_map(channels: int) -> str:
        """Return the places that ALSA's pulse plugin gives to so many channels, so that none is moved."""
        places = {
            1: "mono",
            2: "front-left,front-right",
            4: "front-left,front-right,rear-left,rear-right",
            6: "front-left,front-right,rear-left,rear-right,front-center,lfe",
            8: "front-left,front-right,rear-left,rear-right,front-center,lfe,side-left,side-right",
        }
        return places.get(channels) or ",".join(f"aux{i}" for i in range(channels))

    def _pactl(self, *command: str) -> str:
        done = subprocess.run(
            ["pactl", *command], env={**os.environ, **self.env()}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"pactl {' '.join(command)} failed: {done.stderr.strip()}")
        return done.stdout

    def _wait_until_ready(self) -> None:
        assert self._daemon is not None
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._daemon.poll() is None:
            if self._socket.exists():
                with contextlib.suppress(RuntimeError):
                    sinks = self._pactl("list", "short", "sinks")
                    if MIC_SINK in sinks and SPEAKER_SINK in sinks:
                        return
            time.sleep(0.02)
        log = (self._directory / "pulseaudio.log").read_text(errors="replace").strip()
        self.stop()
        raise RuntimeError(f"PulseAudio did not start: {log or 'it says nothing'}")

    @staticmethod
    def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
        """Write to a process that reads at its own pace, without waiting for it."""

        def write() -> None:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(data)

        threading.Thread(target=write, name="virtual-mic-feed", daemon=True).start()
