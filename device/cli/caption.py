"""``dragoman caption``: caption files of recordings, and live captions of the microphone."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import IO, Self

import click

from device.cli.common import (
    LANGUAGE,
    OUTPUT_FILE,
    FiniteRange,
    complain,
    progress,
    refuse_own_input,
    require_writable,
    settings_from,
    speakers_options,
    speakers_overrides,
    visible,
)
from device.config import DirectionSettings, Pins, Profanity, Redaction, Settings, Trigger
from device.errors import DragomanError, UsageError
from device.events import Error, Event
from device.text.captioner import Captioner
from device.text.captionfiles import CaptionFormat, LiveCaptions, write_captions
from device.text.captions import CaptionStyle, fit


@click.command(short_help="Write captions of a recording, or of the microphone.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice([f.value for f in CaptionFormat]), help="[by --output, else srt; live vtt]."
)
@click.option("--from", "source", type=LANGUAGE, help="Language that is spoken [configured].")
@click.option("--to", "target", type=LANGUAGE, help="Language of the captions [the spoken one].")
@click.option("--both", is_flag=True, help="What was said, and its translation below it.")
@click.option("--output", "-o", type=OUTPUT_FILE, help="File to write [standard output].")
@click.option("--line-length", type=click.IntRange(10, 200), default=42, show_default=True, help="Characters a line.")
@click.option("--lines", type=click.IntRange(1, 4), default=2, show_default=True, help="Lines a caption and language.")
@click.option("--reading-speed", type=FiniteRange(5, 60), default=17.0, show_default=True, help="Characters a second.")
@click.option(
    "--shortest",
    type=FiniteRange(0.3, 5),
    default=1.0,
    show_default=True,
    help="Seconds a caption stays at least.",
)
@click.option("--profanity", type=click.Choice([p.value for p in Profanity]), help="Offensive words [configured].")
@click.option(
    "--redact",
    multiple=True,
    type=click.Choice([r.value for r in Redaction]),
    help="Leave out; may be given again [configured].",
)
@speakers_options
@click.option("--live", is_flag=True, help="Write each caption as soon as it is known (for the microphone: always).")
@click.pass_context
def caption(
    ctx: click.Context, file: Path | None, form: str | None, source: str | None, target: str | None, both: bool,
    output: Path | None, line_length: int, lines: int, reading_speed: float, shortest: float, profanity: str | None,
    redact: tuple[str, ...], speakers: bool | None, speakers_most: int | None, live: bool,
) -> int:  # fmt: skip
    """Write captions of a recording of any common format; without FILE, live ones of the microphone.

    \b
    Examples:
      dragoman caption talk.mp4 --format srt --to pt -o talk.pt.srt
      dragoman caption talk.wav --format vtt --to pt --both
      dragoman caption --format vtt --to pt

    With --speakers, WebVTT has voice spans, TTML agents, and JSON a field; in SubRip a number stands before the words
    where the speaker changes.
    """  # noqa: D301 - \b is click's mark for lines that stay
    loaded = settings_from(ctx, speakers_overrides(speakers, speakers_most))
    if both and target is None:
        raise UsageError("--both needs --to, the language of the translation")
    spoken = source or loaded.directions[0].source
    if output is not None and file is not None:
        refuse_own_input(output, [file])
    chosen = _format(form, output, default=CaptionFormat.VTT if file is None else CaptionFormat.SRT)
    live = live or file is None
    if live and chosen is CaptionFormat.TTML:
        raise UsageError("TTML is one document and cannot be written live; take vtt, srt or json")
    text: dict[str, object] = {"profanity": Profanity(profanity)} if profanity else {}
    if redact:
        text["redact"] = tuple(map(Redaction, redact))
    settings = loaded.model_copy(
        update={
            "directions": (DirectionSettings(source=spoken, targets=(target,) if target else ()),),
            "speech": loaded.speech.model_copy(update={"enabled": False}),
            "partials": loaded.partials.model_copy(update={"enabled": False}),
            "text": loaded.text.model_copy(update=text),
        }
    )
    style = CaptionStyle(line_length=line_length, lines=lines, reading_speed=reading_speed, shortest=shortest)
    with _Output(output) as out:
        if not live:
            collector = _Told(style, target, both=both, label=not chosen.names_speakers)
            _hear_file(settings, file, collector)
            out.write(write_captions(fit(collector.cues, style), chosen))
            return int(collector.failed)
        writer = LiveCaptions(chosen)
        out.write(writer.head())
        collector = _Told(
            style, target, both=both, label=not chosen.names_speakers, show=lambda cue: out.write(writer.add(cue))
        )
        if file is None:
            _hear_microphone(settings, collector)
        else:
            _hear_file(settings, file, collector)
        return int(collector.failed)


def _format(form: str | None, output: Path | None, default: CaptionFormat) -> CaptionFormat:
    if form is not None:
        return CaptionFormat(form)
    if output is None:
        return default
    try:
        return CaptionFormat(output.suffix.lstrip(".").lower())
    except ValueError:
        known = ", ".join(f.value for f in CaptionFormat)
        raise UsageError(f"{output.name} does not tell its format; give --format ({known})") from None


class _Told(Captioner):
    """Captions, and what went wrong on the way told to whoever asked for them."""

    failed = False

    def __call__(self, event: Event) -> None:
        """Hear one event of the conversation."""
        if isinstance(event, Error):
            self.failed = True
            complain(visible(event.text))
        super().__call__(event)


class _Output:
    """Standard output, or a file that appears when the first text is known."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            require_writable(path)  # now, not after an hour of recording
        self._path = path
        self._file: IO[str] | None = None

    def write(self, text: str) -> None:
        """Write text, at once."""
        if self._path is None:
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        try:
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8", newline="\n")
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            raise DragomanError(f"{self._path} cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _hear_file(settings: Settings, file: Path | None, sink: _Told) -> None:
    from device.audio.files import probe, read_blocks
    from device.engines.registry import Engines
    from device.events import SAMPLE_RATE
    from device.interpreter import Interpreter

    assert file is not None
    info = probe(file)
    with Engines.open(settings) as engines, progress() as bars:
        if settings.speakers.enabled:
            engines.telling_apart()  # a missing model is told before anything else
        bar = bars.add_task(file.name, total=info.duration)
        interpreter = Interpreter(engines, settings, sink)
        interpreter.begin_turn(hands_free=True)
        fed = 0
        try:
            for block in read_blocks(file, on_warning=complain):
                interpreter.feed(block)
                interpreter.keep_up()
                fed += len(block)
                bars.update(bar, completed=fed / SAMPLE_RATE)
        finally:
            interpreter.close()
    if not (sink.heard or sink.failed):
        complain(f"{visible(str(file))}: no speech was found")


def _hear_microphone(settings: Settings, sink: _Told) -> None:
    from device.audio.capture import require_microphone
    from device.daemon import Daemon

    settings = settings.model_copy(
        update={
            "mqtt": settings.mqtt.model_copy(update={"enabled": False}),
            "controls": settings.controls.model_copy(update={"pins": Pins.NONE, "trigger": Trigger.OPEN}),
        }
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    require_microphone(settings.audio)
    with Daemon(settings, [sink]):
        stopping.wait()
