#!/bin/sh
# Prepares this checkout: Debian packages, then a virtual environment in .venv with pinned versions.
#
#   tools/setup.sh run            what `make demo` needs
#   tools/setup.sh dev            that, and what the tests, lint and benchmark need
#   tools/setup.sh package NAME…  further Debian packages
#
# Does only what is missing, asks nothing, and may be called again at any time. PYTHON=… chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."
extra=${1:-dev}
log=$PWD/build/setup.log
mkdir -p build

say() { echo "setup: $*"; }
fail() {
    echo "setup: $*" >&2
    exit 1
}
works() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }
complete() { "$1" -c '
import ensurepip, pathlib, sysconfig, venv
pathlib.Path(sysconfig.get_path("include"), "Python.h").stat()' 2>/dev/null; }
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# --- Debian packages ---------------------------------------------------------------------------------------------

install_packages() {
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "run as root, or install sudo: these Debian packages are missing:" "$@"
        as_root=sudo
    fi
    say "installing Debian packages:" "$@"
    : >"$log"
    # A machine that was just made has no package lists; one that was not asked for long has old ones.
    apt install --no-install-recommends "$@" || {
        apt update || true
        apt install --no-install-recommends "$@" || fail "apt-get could not install" "$@" "(no network? see $log)"
    }
}
apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null
}
if [ "$extra" = package ]; then
    shift
    missing=
    for package; do
        installed "$package" || missing="$missing $package"
    done
    [ -z "$missing" ] || install_packages $missing
    exit 0
fi

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
    if command -v "$candidate" >/dev/null && works "$candidate"; then
        [ -n "$python" ] || python=$candidate
        if complete "$candidate"; then
            python=$candidate
            break
        fi
    fi
done

missing=
if command -v dpkg-query >/dev/null; then
    if [ -z "$python" ] || ! complete "$python"; then
        missing="python3 python3-venv python3-dev"
    fi
    # A compiler and PortAudio's headers for PyAudio, which is built here; PulseAudio makes the virtual microphone and
    # mosquitto is the broker of the demo and the tests.
    for package in gcc libc6-dev portaudio19-dev libasound2-plugins pulseaudio pulseaudio-utils mosquitto mosquitto-clients; do
        installed "$package" || missing="$missing $package"
    done
else
    for program in gcc pulseaudio pactl mosquitto mosquitto_sub; do
        command -v "$program" >/dev/null || fail "$program is missing; this is no Debian, so install it by hand"
    done
fi

if [ -n "$missing" ]; then
    install_packages $missing
    # Both are started by the demo and the tests for themselves, on ports of their own; nothing need run all day.
    if [ -d /run/systemd/system ]; then
        case " $missing " in *" mosquitto "*) $as_root systemctl disable --now mosquitto >>"$log" 2>&1 || true ;; esac
        case " $missing " in *" pulseaudio "*)
            $as_root systemctl --global disable pulseaudio.service pulseaudio.socket >>"$log" 2>&1 || true ;;
        esac
    fi
fi
if [ -z "$python" ] || ! complete "$python"; then
    python=/usr/bin/python3
    works "$python" && complete "$python" || fail "no Python 3.11-3.13 with venv and headers found; set PYTHON=…"
fi

# --- virtual environment -----------------------------------------------------------------------------------------

version=$("$python" -V)
want=$(cat pyproject.toml constraints.txt tools/setup.sh | sha256sum | cut -d' ' -f1)
# The dev environment holds all that the run environment does.
for have in "$extra" dev; do
    stamp=$PWD/.venv/.dragoman-$have
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$PWD $version $want" ]; then
        exit 0
    fi
done
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null ||
    [ "$(.venv/bin/python -V)" != "$version" ] || ! grep -qs "^$PWD " .venv/.dragoman-*; then
    say "making .venv with $version"
    rm -rf .venv
    "$python" -m venv .venv || fail "could not make a virtual environment with $python"
fi
rm -f .venv/.dragoman-run .venv/.dragoman-dev
target=.
[ "$extra" = dev ] && target='.[dev]'
say "installing Python packages"
# On a terminal pip draws its bars; elsewhere what it says goes to the log.
pip() {
    set -- .venv/bin/python -m pip --disable-pip-version-check --no-input install --constraint constraints.txt "$@"
    if [ -t 1 ]; then "$@" </dev/null; else "$@" </dev/null >>"$log" 2>&1; fi
}
# Pip comes first: the one that a venv begins with knows no constraints for builds.
{ pip pip && pip --build-constraint constraints.txt -e "$target"; } ||
    fail "pip could not install the packages (no network? see $log)"
echo "$PWD $version $want" >".venv/.dragoman-$extra"
