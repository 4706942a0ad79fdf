"""Runs a command under the restrictions of a systemd unit, where no systemd does: ``sandbox UNIT -- COMMAND...``.

It must be started as root, and applies to the command what the unit says, by the means systemd itself uses:

- ``SystemCallFilter``, ``SystemCallArchitectures``, ``MemoryDenyWriteExecute``, ``RestrictAddressFamilies``,
  ``RestrictNamespaces``, ``RestrictSUIDSGID``, ``LockPersonality``: seccomp filters through libseccomp, the groups
  of system calls as this machine's ``systemd-analyze syscall-filter`` lists them;
- ``CapabilityBoundingSet=`` (empty), ``NoNewPrivileges``, ``Limit*``, ``UMask``, ``Environment``;
- ``ProtectSystem=strict`` and the kernel's tunables: a mount namespace in which all is read-only but what
  ``--writable`` names;
- ``DevicePolicy=closed``: a /dev with the pseudo devices and those of the classes in ``DeviceAllow``.

Not applied: ``User=`` and ``PrivateUsers=`` (the command stays root, without a single capability), ``PrivateTmp=`` and
``ProtectHome=`` (the program under test may live there), ``ProtectProc=``, ``IPAddressDeny=``, ``TasksMax=``.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
CLONE_NEWNS = 0x20000
NAMESPACES = CLONE_NEWNS | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x80
SET_ID_BITS = (0o4000, 0o2000)
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
LAST_FAMILY = 64

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECUREBITS = 24, 38, 28
NOROOT_LOCKED = 0b11
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 1 << 18, 0x1000
SYS_MOUNT_SETATTR, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, 0x8000, 1

ALLOW = 0x7FFF0000
NOT_EQUAL, EQUAL, GREATER, MASKED = 1, 4, 6, 7
"""scmp_compare of seccomp.h."""
PSEUDO_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")
CLASSES = {"char-alsa": "snd", "char-gpiochip": "gpiochip*", "char-spi": "spidev*", "char-i2c": "i2c-*"}

libc = ctypes.CDLL(None, use_errno=True)


class Unit:
    """The assignments of a unit's ``[Service]`` section."""

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[str]] = {}
        section = ""
        for line in text.splitlines():
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and not line.startswith("#"):
                key, _, value = line.partition("=")
                self._values.setdefault(key, []).append(value)

    def all(self, key: str) -> list[str]:
        """Return every value given to ``key``, in order."""
        return self._values.get(key, [])

    def words(self, key: str) -> list[str]:
        """Return the words of all values of ``key``."""
        return [word for value in self.all(key) for word in shlex.split(value)]

    def yes(self, key: str) -> bool:
        """Whether ``key`` is switched on."""
        return self.all(key)[-1:] == ["yes"]


def allowed_calls(unit: Unit) -> set[str]:
    """Return the system calls that the unit's filter lets through."""
    allowed: set[str] = set()
    for value in unit.all("SystemCallFilter"):
        deny = value.startswith("~")
        calls = {call for word in value.lstrip("~").split() for call in _expand(word)}
        allowed = allowed - calls if deny else allowed | calls
    return allowed


def _expand(word: str) -> Iterator[str]:
    if not word.startswith("@"):
        yield word.partition(":")[0]
        return
    listed = subprocess.run(["systemd-analyze", "syscall-filter", word], check=True, capture_output=True, text=True)
    for line in listed.stdout.splitlines()[1:]:
        if (inner := line.strip()) and not inner.startswith("#"):
            yield from _expand(inner)


class _Condition(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@dataclass
class Filter:
    """One seccomp filter: what is done to every call, and rules for some."""

    default: int
    rules: list[tuple[int, str, tuple[int, int, int, int] | None]] = field(default_factory=list)
    """Action, call, and a condition: argument, comparison and its operands."""

    def load(self) -> None:
        """Apply it to this process, for good."""
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        library.seccomp_init.restype = ctypes.c_void_p
        context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(self.default)))
        for action, call, condition in self.rules:
            number = library.seccomp_syscall_resolve_name(call.encode())
            if number < 0:
                continue  # not a call of this architecture
            conditions = (_Condition * 1)(_Condition(*condition)) if condition else None
            code = library.seccomp_rule_add_array(
                context, ctypes.c_uint32(action), number, 1 if condition else 0, conditions
            )
            if code not in (0, -errno.EEXIST):
                raise OSError(-code, f"{os.strerror(-code)}: seccomp rule for {call}")
        if code := library.seccomp_load(context):
            raise OSError(-code, os.strerror(-code))
        library.seccomp_release(context)


def filters(unit: Unit) -> Iterator[Filter]:
    """Yield the filters that the unit asks for; the one of allowed calls comes last, for it forbids seccomp itself."""
    refuse = 0x00050000 | errno.EPERM
    extra = Filter(ALLOW)
    if unit.yes("MemoryDenyWriteExecute"):
        both = PROT_WRITE | PROT_EXEC
        extra.rules.append((refuse, "mmap", (2, MASKED, both, both)))
        extra.rules += [(refuse, call, (2, MASKED, PROT_EXEC, PROT_EXEC)) for call in ("mprotect", "pkey_mprotect")]
        extra.rules.append((refuse, "shmat", (2, MASKED, SHM_EXEC, SHM_EXEC)))
    if families := unit.words("RestrictAddressFamilies"):
        unknown = 0x00050000 | errno.EAFNOSUPPORT
        known = {FAMILIES[name] for name in families}
        extra.rules += [(unknown, "socket", (0, EQUAL, n, 0)) for n in range(LAST_FAMILY + 1) if n not in known]
        extra.rules.append((unknown, "socket", (0, GREATER, LAST_FAMILY, 0)))
    if unit.yes("RestrictNamespaces"):
        for bit in (1 << n for n in range(32) if NAMESPACES >> n & 1):
            extra.rules += [(refuse, call, (0, MASKED, bit, bit)) for call in ("unshare", "clone")]
        extra.rules.append((refuse, "setns", None))
        extra.rules.append((0x00050000 | errno.ENOSYS, "clone3", None))  # its flags cannot be looked at
    if unit.yes("RestrictSUIDSGID"):
        places = {
            "chmod": 1,
            "fchmod": 1,
            "fchmodat": 2,
            "mkdir": 1,
            "mkdirat": 2,
            "mknod": 1,
            "mknodat": 2,
            "creat": 1,
        }
        for bit in SET_ID_BITS:
            extra.rules += [(refuse, call, (arg, MASKED, bit, bit)) for call, arg in places.items()]
    if unit.yes("LockPersonality"):
        extra.rules.append((refuse, "personality", (0, NOT_EQUAL, 0xFFFFFFFF, 0)))
    yield extra
    if unit.all("SystemCallFilter"):
        yield Filter(refuse, [(ALLOW, call, None) for call in sorted(allowed_calls(unit))])


def confine(unit: Unit, writable: Sequence[Path]) -> None:
    """Put this process under the unit's restrictions; root, before it becomes the command."""
    for line in unit.words("Environment"):
        name, _, value = line.partition("=")
        os.environ[name] = value
    if mask := unit.all("UMask"):
        os.umask(int(mask[-1], 8))
    for key in ("RTPRIO", "NOFILE", "CORE", "MEMLOCK"):
        if limit := unit.all(f"Limit{key}"):
            try:
                resource.setrlimit(getattr(resource, f"RLIMIT_{key}"), (int(limit[-1]), int(limit[-1])))
            except ValueError:  # raising one needs CAP_SYS_RESOURCE, which a container may lack
                print(f"sandbox: Limit{key}={limit[-1]} cannot be set here", file=sys.stderr)
    _confine_files(unit, writable)
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    _checked(libc.prctl(PR_SET_SECUREBITS, NOROOT_LOCKED, 0, 0, 0), "securebits")  # root is nobody special at exec
    _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    for each in list(filters(unit)):
        each.load()


def _confine_files(unit: Unit, writable: Sequence[Path]) -> None:
    _checked(libc.unshare(CLONE_NEWNS), "unshare")
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    if unit.all("DevicePolicy")[-1:] == ["closed"]:
        _make_dev(unit)
    for folder in writable:
        _mount(str(folder), str(folder), None, MS_BIND | MS_REC)
    if unit.all("ProtectSystem")[-1:] == ["strict"]:
        for top in ("/", *(("/sys", "/proc/sys") if unit.yes("ProtectKernelTunables") else ())):
            _set_read_only(top, True)
        for folder in (*writable, Path("/dev"), Path("/proc")):
            _set_read_only(str(folder), False)
        if unit.yes("ProtectKernelTunables"):
            _mount("/proc/sys", "/proc/sys", None, MS_BIND | MS_REC)
            _set_read_only("/proc/sys", True)


def _make_dev(unit: Unit) -> None:
    staging = "/mnt"
    _mount("tmpfs", staging, "tmpfs", 0)
    names = list(PSEUDO_DEVICES)
    for word in unit.words("DeviceAllow"):
        if word in CLASSES:
            names += [path.name for path in Path("/dev").glob(CLASSES[word])]
    for name in (*names, "shm"):
        place, source = Path(staging, name), Path("/dev", name)
        if not source.exists():
            continue
        if source.is_dir():
            place.mkdir()
        else:
            place.touch()
        _mount(str(source), str(place), None, MS_BIND | MS_REC)
    _mount(staging, "/dev", None, MS_BIND | MS_REC)


class _MountAttributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns"))


def _set_read_only(path: str, value: bool) -> None:
    attributes = _MountAttributes(MOUNT_ATTR_RDONLY if value else 0, 0 if value else MOUNT_ATTR_RDONLY, 0, 0)
    code = libc.syscall(
        SYS_MOUNT_SETATTR, -100, path.encode(), AT_RECURSIVE, ctypes.byref(attributes), ctypes.sizeof(attributes)
    )
    if code and ctypes.get_errno() == errno.EINVAL:  # no mount point of its own: it is part of what holds it
        return
    _checked(code, f"read-only {path}")


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind)]
    _checked(libc.mount(*encoded, ctypes.c_ulong(flags), None), f"mount {target}")


def _checked(code: int, what: str) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Confine this process and become the command."""
    parser = argparse.ArgumentParser(prog="sandbox", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("unit", type=Path)
    parser.add_argument("--writable", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    try:
        confine(Unit(options.unit.read_text(encoding="utf-8")), options.writable)
        os.execvp(options.command[0], options.command)
    except OSError as error:
        sys.exit(f"sandbox: {error}")


if __name__ == "__main__":
    main()
