"""``dragoman say``: speak a text or an SSML document, and list the voices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from device.cli.common import LANGUAGE, WAV_FILE, complain, json_option, print_json, progress, read_stdin, settings_from
from device.config import Settings
from device.errors import DragomanError, UsageError

if TYPE_CHECKING:
    from device.engines.protocols import Synthesizer
    from device.engines.registry import Engines
    from device.engines.tts_reader import Spoken
    from device.events import Samples
    from device.text.ssml import Manner, Part


@click.command(short_help="Speak a text.")
@click.argument("text", required=False)
@click.option("--lang", "language", type=LANGUAGE, help="Language of the text [the language that is spoken to].")
@click.option("--voice", metavar="NAME", help="Speak with this voice (see --list-voices).")
@click.option("--ssml", is_flag=True, help="TEXT is an SSML document.")
@click.option(
    "--out",
    type=WAV_FILE,
    metavar="FILE",
    help="Write this WAV file instead of playing.",
)
@click.option("--list-voices", is_flag=True, help="List the installed voices (of --lang, if given) and end.")
@json_option("text spoken, with the time of every word, or one voice")
@click.pass_context
def say(
    ctx: click.Context, text: str | None, language: str | None, voice: str | None, ssml: bool, out: Path | None,
    list_voices: bool, as_json: bool,
) -> None:  # fmt: skip
    """Speak TEXT, or standard input where TEXT is -, through the speaker or into a file."""
    from device.engines.registry import Engines

    settings = settings_from(ctx)
    if list_voices:
        with Engines.open(settings) as engines:
            _list(engines, language, as_json=as_json)
        return
    if text is None:
        raise UsageError("say what: dragoman say TEXT, or - for standard input")
    if text == "-":
        text = read_stdin().read().decode("utf-8", errors="replace")
    if not text.strip():
        raise UsageError("there is nothing to say: the text is empty")
    if not text.isascii() and not _is_unicode(text):
        raise UsageError("the text is not UTF-8")
    direction = settings.directions[0]
    usual = language or direction.speak or next(iter(direction.targets), direction.source)
    with Engines.open(settings) as engines:
        reading = _Reading(engines, _parts(text, ssml=ssml), usual, voice)
        seconds = _to_file(reading, out) if out else _aloud(reading, settings)
    reading.require_said()
    if as_json:
        print_json(reading.report() | {"duration": round(seconds, 3)} | ({"file": str(out)} if out else {}))


def _is_unicode(text: str) -> bool:
    """Whether the shell's bytes were text; the others came as lone surrogates."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _parts(text: str, *, ssml: bool) -> Sequence[Part]:
    from device.text.ssml import Manner, Say, parse_ssml

    if not ssml:
        return [Say(text, Manner())]
    notes: list[str] = []
    parts = parse_ssml(text, notes)
    for note in dict.fromkeys(notes):
        complain(note)
    return parts


_LONG: Final = 10
"""Sentences, pauses and marks from which on progress is shown."""


class _Reading:
    """One text being read, with what is told about it."""

    def __init__(self, engines: Engines, parts: Sequence[Part], language: str, voice: str | None) -> None:
        from device.engines.tts_reader import Reader
        from device.text.ssml_script import write_script

        self._engines, self._language, self._voice = engines, language, voice
        self._loaded: dict[tuple[str, str, str], Synthesizer] = {}
        self._ids: list[str] = []
        self._told: list[Spoken] = []
        reader = Reader(self._voice_of)
        self._script = list(write_script(parts, lambda manner: self._voice_of(manner).language))
        self._read = reader.read
        self._finish: Callable[[], Iterator[Spoken]] = reader.finish
        self.said = False

    @property
    def names(self) -> list[str]:
        """The voices that spoke."""
        return list(dict.fromkeys(voice.voice for voice in self._loaded.values())) or [self._voice or self._language]

    def require_said(self) -> None:
        """Raise `DragomanError` where all was read and there was nothing to say in it."""
        if not self.said:
            raise DragomanError(f"the voice {self.names[0]} finds nothing to say in this text")

    def sounds(self) -> Iterator[tuple[Samples, int]]:
        """Yield the sound as it is made, and note the rest."""
        from device.engines.tts_reader import Sound

        with progress(hidden=len(self._script) < _LONG) as bars:
            for item in bars.track(self._script, description="speaking"):
                for spoken in self._read(item):
                    if isinstance(spoken, Sound):
                        self.said = True
                        yield spoken.samples, spoken.rate
                    else:
                        self._told.append(spoken)
        for spoken in self._finish():
            if isinstance(spoken, Sound):
                yield spoken.samples, spoken.rate
            else:
                self._told.append(spoken)

    def report(self) -> dict[str, Any]:
        """Return who spoke, and when each word and bookmark came."""
        from device.engines.tts_reader import WORD, Boundary, Mark

        words = [t for t in self._told if isinstance(t, Boundary) and t.kind == WORD]
        marks = [t for t in self._told if isinstance(t, Mark)]
        voices = list(self._loaded.values())
        return {
            "voice": self._ids[0],
            "name": voices[0].voice,
            "language": voices[0].language,
            "words": [
                {"text": w.text, "start": round(w.start, 3), "end": round(w.start + w.duration, 3)} for w in words
            ],
        } | ({"bookmarks": [{"name": m.name, "start": round(m.start, 3)} for m in marks]} if marks else {})

    def _voice_of(self, manner: Manner) -> Synthesizer:
        from device.server.languages import Languages

        who = (manner.voice, manner.language, manner.gender)
        if who not in self._loaded:
            language = manner.language or self._language
            if manner.voice or (manner.gender and not self._voice):
                found = Languages(self._engines).voice(manner.voice, language, manner.gender)
                language, name = found.locale, found.id
            else:
                name = self._voice or ""
            self._ids.append(self._engines.voice(language, name or None).id)
            self._loaded[who] = self._engines.synthesizer(language, name or None)
        return self._loaded[who]


def _to_file(reading: _Reading, path: Path) -> float:
    from device.audio.wav import WholeWavWriter

    with WholeWavWriter(path) as writer:
        for samples, rate in reading.sounds():
            writer.append(samples, rate)
        reading.require_said()
        return writer.duration


def _aloud(reading: _Reading, settings: Settings) -> float:
    from device.audio.playback import Player
    from device.audio.reports import AudioReport, Happening

    troubles: list[str] = []

    def report(happened: AudioReport) -> None:
        if happened.kind in (Happening.LOST, Happening.DROPPED):
            troubles.append(happened.text)

    player = Player(settings.audio, settings.speech.volume, on_event=report)
    player.start()
    seconds = 0.0
    try:
        for samples, rate in reading.sounds():
            player.play(samples, rate)
            seconds += len(samples) / rate
        player.wait()
    finally:
        player.close()
    if troubles:
        raise DragomanError(troubles[0])
    return seconds


def _list(engines: Engines, language: str | None, *, as_json: bool) -> None:
    from device.config.languages import NAMES
    from device.modelstore.catalogue import primary

    voices = [v for v in engines.voices() if language is None or primary(v.language) == primary(language)]
    if not voices:
        which = f"no voice of {language!r}" if language else "no voice"
        raise DragomanError(f"{which} is installed; see `dragoman models list --all`")
    for voice in sorted(voices, key=lambda v: primary(v.language)):
        if as_json:
            print_json(
                {
                    "id": voice.id, "name": voice.name, "language": voice.language,
                    "gender": voice.speaker.gender or None,
                    "model": voice.model.id, "licence": voice.model.licence,
                    "usual": engines.voice(voice.language).id == voice.id,
                }
            )  # fmt: skip
        else:
            name = NAMES.get(primary(voice.language), voice.language)
            click.echo(f"{voice.id:<28} {voice.name:<12} {voice.language:<7} {voice.speaker.gender or '':<7} {name}")
