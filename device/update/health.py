"""Restarts the service on a new version and finds out whether the version is any good."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from device.errors import DragomanError

SERVICE = "dragoman.service"
USER, GROUPS = "dragoman", ("audio", "gpio", "spi", "i2c")
STATE = Path("/var/lib/dragoman")
BOOTED = Path("/run/systemd/system")
"""Is there while systemd runs the machine (sd_booted(3))."""
LONGEST = 400
"""Characters of what the doctor says that are passed on."""
STEADY = 20.0
"""Seconds that the service must stay up after it said that it is ready."""


class Health:
    """The service, and the doctor's opinion.

    Parameters
    ----------
    limit
        Seconds for the service to become ready, and again for the doctor.
    steady
        Seconds that the service must stay up.
    booted
        The folder that tells whether there is a service manager to ask; without one only the doctor is asked.
    own_models
        The folder for models that the settings name; it has no versions.
    """

    def __init__(
        self, limit: float, *, steady: float = STEADY, booted: Path = BOOTED, own_models: Path | None = None
    ) -> None:
        self._limit, self._steady, self._booted = limit, steady, booted
        self.own_models = own_models

    def restart(self) -> str | None:
        """Restart the service where it is wanted, and return what went wrong; the service says when it is ready."""
        if not self._is_wanted():
            return None
        self._systemctl("daemon-reload")
        self._systemctl("reset-failed", SERVICE)
        done = self._systemctl("restart", SERVICE)
        if done is None:
            return f"the service was not ready after {self._limit:.0f} s"
        if done.returncode:
            return "the service did not start (journalctl -u dragoman)"
        return None

    def is_going_down(self) -> bool:
        """Whether the machine is being switched off, so that nothing can be said about its service."""
        if not self._booted.is_dir() or shutil.which("systemctl") is None:
            return False
        done = self._systemctl("is-system-running")
        return done is None or done.stdout.strip() in {"stopping", "offline", "unknown", ""}

    def check(self, code: Path, models: Path, before: Iterable[str]) -> str | None:
        """Return what is worse than ``before`` with the running version; None when it is well."""
        if self._is_wanted() and (fault := self._stays_up()):
            return fault
        try:
            now = self.problems(code, models)
        except DragomanError as error:
            return str(error)
        if worse := sorted(set(now) - set(before)):
            found = "; ".join(now[check].replace(f"{code}/", "") for check in worse)
            return f"the health check finds what was not so before: {found[:LONGEST]}"
        return None

    def problems(self, code: Path, models: Path) -> dict[str, str]:
        """Return what the doctor of a version calls a problem, by check.

        Raises
        ------
        DragomanError
            The doctor itself cannot be run.
        """
        try:
            done = self.call(code, models, "doctor", "--json", "--silent", timeout=self._limit)
        except subprocess.TimeoutExpired:
            raise DragomanError(f"the health check had not ended after {self._limit:.0f} s") from None
        except OSError as error:
            raise DragomanError(f"the health check cannot be run: {error.strerror}") from None
        findings = [_finding(line) for line in done.stdout.splitlines()]
        if done.returncode not in {0, 1} or not findings or not all(findings):
            last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
            raise DragomanError(f"the health check failed: {last[:300]}")
        return {str(item["check"]): str(item["text"]) for item in findings if item["status"] == "problem"}

    def call(
        self, code: Path, models: Path, *arguments: str, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a version's command as the service's user, with the given set of models.

        Raises
        ------
        subprocess.TimeoutExpired
            It had not ended in ``timeout`` seconds. It and all that it started are killed.
        OSError
            There is no such program.
        """
        own = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
            "LG_WD": "/tmp",
        }
        if self.own_models is None:
            own["DRAGOMAN_MODELS"] = str(models)
        user: dict[str, Any] = {}
        if os.geteuid() == 0 and _exists(USER):
            user = {"user": USER, "group": USER, "extra_groups": [name for name in GROUPS if _exists(name, group=True)]}
            own |= {"HOME": str(STATE), "STATE_DIRECTORY": str(STATE), "XDG_CACHE_HOME": "/var/cache/dragoman"}
        else:
            own["HOME"] = os.environ.get("HOME", "/")
        process = subprocess.Popen(
            [code / "bin" / "dragoman", *arguments],
            env=own,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            **user,
        )
        try:
            output, errors = process.communicate(timeout=timeout)
        except BaseException:
            # What it started would keep the sound card; and whoever may not kill it must not wait for it either.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def _is_wanted(self) -> bool:
        """Whether a service manager runs, and was told to run the service."""
        if not self._booted.is_dir() or shutil.which("systemctl") is None:
            return False
        done = self._systemctl("is-enabled", "--quiet", SERVICE)
        return done is not None and done.returncode == 0

    def _stays_up(self) -> str | None:
        end = time.monotonic() + self._steady
        while True:
            done = self._systemctl("is-active", "--quiet", SERVICE)
            if done is None or done.returncode:
                return "the service does not stay up (journalctl -u dragoman)"
            if (left := end - time.monotonic()) <= 0:
                return None
            time.sleep(min(1.0, left))

    def _systemctl(self, *arguments: str) -> subprocess.CompletedProcess[str] | None:
        """Ask the service manager; None where it does not answer."""
        try:
            return subprocess.run(
                ["systemctl", "--no-ask-password", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=self._limit,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None


def _finding(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and {"check", "status", "text"} <= set(found) else {}


def _exists(name: str, *, group: bool = False) -> bool:
    import grp

    try:
        (grp.getgrnam if group else pwd.getpwnam)(name)
    except KeyError:
        return False
    return True
