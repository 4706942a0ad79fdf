"""Rule-based translation between close languages with Apertium, where Debian's packages are installed.

Apertium (https://www.apertium.org; Forcada et al., "Apertium: a free/open-source platform for rule-based machine
translation", 2011) translates Portuguese into Spanish, or Spanish into Catalan and Galician, in about a millisecond
a sentence, when the programs of its pipeline are kept running. Each package tells its pipeline in a mode file; the
programs answer after every null character ("null flush").
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import select
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from device.engines.mt_text import ChunkTranslation, ChunkTranslator
from device.engines.protocols import Translated, Translator
from device.errors import DragomanError
from device.modelstore.catalogue import Model

log = logging.getLogger(__name__)

MODES: Final = Path("/usr/share/apertium/modes")
"""Where Debian's packages put their mode files."""

PREFIX: Final = "apertium-"
"""What the ids of these models begin with."""

QUALITY: Final = 0.55
"""Beside the catalogue's models: below every student that translates the same pair directly."""

_PAIR: Final = re.compile(r"(?P<source>[a-z]{2,3})-(?P<target>[a-z]{2,3})(?P<region>_[A-Z]{2})?")
_TAGS: Final = {
    "spa": "es", "cat": "ca", "por": "pt", "glg": "gl", "fra": "fr", "ita": "it", "eng": "en", "arg": "an", "oci": "oc",
    "ron": "ro", "swe": "sv", "dan": "da", "nob": "nb", "nno": "nn", "epo": "eo", "eus": "eu", "srd": "sc", "rus": "ru",
    "ukr": "uk", "bel": "be", "pol": "pl", "deu": "de", "nld": "nl", "cym": "cy", "bre": "br",
}  # fmt: skip
"""BCP-47 tags of the names that newer packages use."""
PACKAGES: Final = {
    "apertium-es-pt": ("es-pt", "pt-es"),
    "apertium-spa-cat": ("es-ca", "ca-es"),
    "apertium-es-gl": ("es-gl", "gl-es"),
    "apertium-pt-gl": ("pt-gl", "gl-pt"),
    "apertium-por-cat": ("pt-ca", "ca-pt"),
    "apertium-fra-cat": ("fr-ca", "ca-fr"),
    "apertium-cat-ita": ("ca-it", "it-ca"),
    "apertium-spa-ita": ("es-it", "it-es"),
    "apertium-spa-arg": ("es-an", "an-es"),
    "apertium-spa-ast": ("es-ast", "ast-es"),
    "apertium-swe-dan": ("sv-da", "da-sv"),
    "apertium-nno-nob": ("nb-nn", "nn-nb"),
    "apertium-rus-ukr": ("ru-uk", "uk-ru"),
    "apertium-afr-nld": ("af-nl", "nl-af"),
}
"""Debian's packages for close languages, by the pairs that they translate."""
_SPECIAL: Final = re.compile(r"[\\^$/<>{}@\[\]]")
_ACRONYM: Final = re.compile(r"(?<!\w)[^\W\d_a-zà-ÿ]{3,12}(?!\w)")
_ESCAPED: Final = re.compile(r"\\(.)")
_LIMIT: Final = 400
_PATIENCE: Final = 20.0
"""Seconds after which a pipeline that does not answer is given up."""
LICENCE: Final = "GPL-2.0-or-later"


def package_of(model_id: str) -> str | None:
    """Return the Debian package that brings a pair such as ``apertium-pt-es``, where one is known."""
    pair = model_id.removeprefix(PREFIX)
    return next((package for package, pairs in PACKAGES.items() if pair in pairs), None)


@cache
def installed_pairs(modes: Path = MODES) -> tuple[Model, ...]:
    """Return the pairs of languages that are installed on this machine, as models for `find_route`.

    A pair of which a program is missing is left out, and the log says which.
    """
    found = []
    with contextlib.suppress(OSError):
        for file in sorted(modes.glob("*.mode")):
            match = _PAIR.fullmatch(file.stem)
            if match is None:
                continue
            try:
                commands_of(file)
            except DragomanError as error:
                log.info("%s", error)
                continue
            source = _TAGS.get(match["source"], match["source"])
            target = _TAGS.get(match["target"], match["target"]) + (match["region"] or "").replace("_", "-")
            found.append(
                Model(
                    id=f"{PREFIX}{source}-{target.lower()}", task="mt", engine="apertium",
                    name=f"Apertium, {source} to {target}", licence=LICENCE, homepage="https://www.apertium.org",
                    source=source, target=target, quality=QUALITY, verified=True, options={"mode": str(file)},
                )
            )  # fmt: skip
    return tuple(found)


def load(model: Model, folder: Path, threads: int) -> Translator:  # noqa: ARG001 - as all engines are loaded
    """Start the pipeline of one of `installed_pairs`.

    Raises
    ------
    DragomanError
        The mode file or one of its programs is missing.
    """
    return ApertiumTranslator(model)


class ApertiumTranslator:
    """A pair of languages; its programs run until the process ends."""

    def __init__(self, model: Model) -> None:
        self.model_id = model.id
        self.source, self.target = model.source or "", model.target or ""
        self._commands = commands_of(Path(str(model.options["mode"])))
        self._lock = threading.Lock()
        self._pipeline: _Pipeline | None = None
        self._text = ChunkTranslator(self.source, self.target, self._run, _is_written, _LIMIT)

    def translate(self, sentences: Sequence[str]) -> list[Translated]:
        """Translate each sentence by itself; words that the dictionaries lack stay as they are."""
        return self._text.translate(sentences)

    def close(self) -> None:
        """End the programs; the next translation starts them again."""
        with self._lock:
            if self._pipeline is not None:
                self._pipeline.close()
                self._pipeline = None

    def _run(self, chunks: Sequence[str]) -> list[ChunkTranslation]:
        with self._lock:
            return [ChunkTranslation(_cased(self._ask(chunk), chunk), 0.0, 0) for chunk in chunks]

    def _ask(self, text: str) -> str:
        for attempt in range(2):
            if self._pipeline is None:
                self._pipeline = _Pipeline(self._commands)
            try:
                return self._pipeline.ask(text)
            except OSError as error:
                self._pipeline.close()
                self._pipeline = None
                if attempt:
                    raise DragomanError(f"{self.model_id} does not answer ({error}); is its package whole?") from error
        raise AssertionError("unreachable")


def _cased(answer: str, text: str) -> str:
    """Return a translation with the capitals that the rules for phrases and for "e" before "i" lose."""
    for word in dict.fromkeys(_ACRONYM.findall(text)):
        answer = re.sub(rf"(?<!\w){word[0]}{word[1:]}(?!\w)", word, answer, flags=re.IGNORECASE)
    return answer[:1].upper() + answer[1:] if text[:1].isupper() else answer


class _Pipeline:
    """The running programs of one pair, each reading what the one before it writes."""

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self._programs: list[subprocess.Popen[bytes]] = []
        source: int | None = None
        try:
            for command in commands:
                # Their own session, so that Ctrl-C in a terminal does not reach them.
                program = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE if source is None else source,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, "LC_ALL": "C.UTF-8"},
                    start_new_session=True,
                )
                if self._programs and (before := self._programs[-1].stdout):
                    before.close()
                self._programs.append(program)
                assert program.stdout is not None
                source = program.stdout.fileno()
        except OSError:
            self.close()
            raise

    def ask(self, text: str) -> str:
        """Return the translation of a text.

        Raises
        ------
        OSError
            A program has ended, or does not answer.
        """
        first, last = self._programs[0].stdin, self._programs[-1].stdout
        assert first is not None
        assert last is not None
        first.write((_SPECIAL.sub(r"\\\g<0>", text) + "[]\0").encode())
        first.flush()
        answer = b""
        until = time.monotonic() + _PATIENCE
        while not answer.rstrip(b"\0") or not answer.endswith(b"\0"):
            if not select.select([last], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError("no answer")
            part = os.read(last.fileno(), 1 << 16)
            if not part:
                raise BrokenPipeError("a program of its pipeline has ended")
            answer += part
        plain = answer.replace(b"\0", b"").decode("utf-8", errors="replace").replace("[]", "")
        return _ESCAPED.sub(r"\1", plain)

    def close(self) -> None:
        """End the programs."""
        for program in self._programs:
            for pipe in (program.stdin, program.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        for program in self._programs:
            program.kill()
            program.wait()


def commands_of(mode: Path) -> list[list[str]]:
    """Return the programs of a mode file with their arguments, made to answer after every null character.

    Raises
    ------
    DragomanError
        The file cannot be read, or a program is not installed.
    """
    try:
        pipeline = mode.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise DragomanError(f"{mode} cannot be read ({error.strerror}); is its package installed?") from error
    commands = []
    for part in pipeline.splitlines()[-1].split("|"):
        # $1 says how unknown words are written (-n: as they are), $2 is for display only.
        words = [word for word in shlex.split(part.replace("$1", "-n").replace("$2", "")) if word]
        program = shutil.which(words[0])
        if program is None:
            raise DragomanError(
                f"{words[0]} is not installed, which {mode.name} needs; install apertium, apertium-lex-tools and cg3"
            )
        commands.append([program, "-z", *words[1:]])
    return commands


def _is_written(character: str) -> bool:
    """Whether dictionaries of these languages may have the character: letters of Europe and their marks."""
    return character.isascii() or "\u00a1" <= character <= "\u052f" or character in "–—‘’“”…€"  # noqa: RUF001  # noqa: RUF001
