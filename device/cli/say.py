"""``dragoman say``: speak a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.cli.common import LANGUAGE, OUTPUT_FILE, json_option, print_json, read_stdin, settings_from
from device.config import Settings
from device.errors import DragomanError, UsageError

if TYPE_CHECKING:
    from device.engines.protocols import Synthesizer


@click.command(short_help="Speak a text.")
@click.argument("text")
@click.option("--lang", "language", type=LANGUAGE, help="Language of the text [the language that is spoken to].")
@click.option("--voice", metavar="ID", help="Speak with this voice (see `dragoman models list`).")
@click.option(
    "--out",
    type=OUTPUT_FILE,
    metavar="FILE",
    help="Write this WAV file instead of playing.",
)
@json_option("text spoken")
@click.pass_context
def say(
    ctx: click.Context, text: str, language: str | None, voice: str | None, out: Path | None, as_json: bool
) -> None:
    """Speak TEXT, or standard input where TEXT is -, through the speaker or into a file."""
    from device.engines.registry import Engines

    settings = settings_from(ctx)
    direction = settings.directions[0]
    if text == "-":
        text = read_stdin().read().decode("utf-8", errors="replace")
    if not text.strip():
        raise UsageError("there is nothing to say: the text is empty")
    with Engines.open(settings) as engines:
        speaker = engines.synthesizer(language or direction.speak or direction.targets[0], voice)
        seconds = _to_file(speaker, text, out) if out else _aloud(speaker, text, settings)
    if not seconds:
        raise DragomanError(f"the voice {speaker.voice} finds nothing to say in this text")
    if as_json:
        print_json(
            {"voice": speaker.model_id, "language": speaker.language, "duration": round(seconds, 3)}
            | ({"file": str(out)} if out else {})
        )


def _to_file(speaker: Synthesizer, text: str, path: Path) -> float:
    from device.audio.wav import WavWriter

    with WavWriter(path, speaker.sample_rate) as writer:
        for samples in speaker.stream(text):
            writer.append(samples, speaker.sample_rate)
        return writer.duration


def _aloud(speaker: Synthesizer, text: str, settings: Settings) -> float:
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
        for samples in speaker.stream(text):
            player.play(samples, speaker.sample_rate)
            seconds += len(samples) / speaker.sample_rate
        player.wait()
    finally:
        player.close()
    if troubles:
        raise DragomanError(troubles[0])
    return seconds
