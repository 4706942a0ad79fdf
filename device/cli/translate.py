"""``dragoman translate``: recordings or lines of text into other languages."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.cli.captions import PlainCaptions, open_captions
from device.cli.common import (
    LANGUAGE,
    WAV_FILE,
    complain,
    json_option,
    print_json,
    progress,
    read_stdin,
    refuse_own_input,
    settings_from,
    speakers_options,
    speakers_overrides,
    visible,
)
from device.config import DirectionSettings, Settings
from device.errors import DragomanError, UsageError
from device.events import SAMPLE_RATE, Error, Event, Final, Samples, Speech, Translation

if TYPE_CHECKING:
    from device.audio.decoding import AudioInfo
    from device.audio.wav import WavWriter
    from device.interpreter import Interpreter


@click.command(short_help="Translate recordings, or lines of text.")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("--from", "source", type=LANGUAGE, help="Language that is spoken or written [configured].")
@click.option("--to", "targets", type=LANGUAGE, multiple=True, help="Language wanted; may be given again [configured].")
@click.option(
    "--speak",
    type=WAV_FILE,
    metavar="OUT.wav",
    help="Speak the first target's translation into this file.",
)
@click.option("--voice", metavar="ID", help="Speak with this voice (see `dragoman models list`).")
@click.option("--text", is_flag=True, help="Translate the lines of standard input: one line out a line and target.")
@click.option(
    "--identify", is_flag=True, help="Tell each line's language; --from is for lines that tell none [with --text]."
)
@speakers_options
@json_option("event")
@click.option("--realtime", is_flag=True, help="Play the recordings at their own pace.")
@click.option(
    "--partials/--no-partials",
    default=None,
    help="Show what is understood while it is spoken [with --json or --realtime].",
)
@click.pass_context
def translate(
    ctx: click.Context, files: tuple[Path, ...], source: str | None, targets: tuple[str, ...], speak: Path | None,
    voice: str | None, text: bool, identify: bool, speakers: bool | None, speakers_most: int | None, as_json: bool,
    realtime: bool, partials: bool | None,
) -> int:  # fmt: skip
    """Translate recordings of any common format, or with --text the lines of standard input.

    \b
    Examples:
      dragoman translate talk.mp3 --from en --to pt
      dragoman translate talk.wav --to pt --speak talk-pt.wav
      dragoman translate talk.wav --realtime --json
      dragoman translate interview.mp3 --speakers-most 2
      echo "Good morning." | dragoman translate --text --to pt

    In events, start and end are seconds into the recording. So is emitted with --realtime, where it tells latencies;
    without, work goes as fast as the machine can, and emitted is the seconds it has taken so far.
    """  # noqa: D301 - \b is click's mark for lines that stay
    if text == bool(files):
        raise UsageError("give either recordings or --text (see dragoman translate --help)")
    if voice and not speak:
        raise UsageError("--voice needs --speak, the file that the voice speaks into")
    loaded = settings_from(ctx, speakers_overrides(speakers, speakers_most))
    configured = loaded.directions[0]
    direction = DirectionSettings(
        source=source or configured.source,
        targets=targets or configured.targets,
        speak=(targets or configured.targets)[0] if speak else None,
        voice=voice or (configured.voice if not targets else None),
    )
    if text:
        if speak or realtime:
            raise UsageError("--speak and --realtime go with recordings; see also dragoman say")
        if speakers or speakers_most is not None:
            raise UsageError("--speakers goes with recordings: lines of text have no voices")
        return _translate_lines(loaded, direction, as_json=as_json, identify=identify)
    if identify:
        raise UsageError("--identify goes with --text; in recordings one language is heard: --from")
    if speak:
        refuse_own_input(speak, files)
    shown = partials if partials is not None else as_json or realtime
    settings = loaded.model_copy(
        update={
            "directions": (direction,),
            "speech": loaded.speech.model_copy(update={"enabled": speak is not None}),
            "partials": loaded.partials.model_copy(update={"enabled": shown}),
        }
    )
    return _translate_files(settings, files, speak, as_json=as_json, realtime=realtime)


def _translate_lines(settings: Settings, direction: DirectionSettings, *, as_json: bool, identify: bool) -> int:
    from device.engines.registry import Engines
    from device.engines.routes import Route
    from device.text.identify import identify_text
    from device.text.room import TextRoom
    from device.translation import TextTranslator

    with Engines.open(settings) as engines:

        def ways(source: str) -> tuple[TextTranslator, ...]:
            return TextTranslator.for_targets(engines, source, direction.targets, settings.text.glossary)

        known = {direction.source: ways(direction.source)}
        for translator in known[direction.source]:
            if not translator.models:
                complain(f"{direction.source} and {translator.target} are one language: its lines pass unchanged")
        room = TextRoom(settings.text)
        began = time.monotonic()
        for number, line in enumerate(_lines(read_stdin()), 1):
            source = direction.source
            if identify and (told := identify_text(line)) and told[0][0] != source.split("-", 1)[0]:
                source = told[0][0]
            if source not in known:
                try:
                    known[source] = ways(source)
                except DragomanError as error:
                    complain(f"line {number}: {error}")
                    known[source] = tuple(TextTranslator(t, Route((t,), ()), ()) for t in direction.targets)
            line = room.typed(line, source)  # noqa: PLW2901 - what is hidden in it is hidden in the translations
            for translator in known[source]:
                answer = translator.translate(line)
                one_line = " ".join(room.shown(answer.text, translator.target).splitlines())
                if as_json:
                    print_json(
                        Translation(
                            emitted=time.monotonic() - began, utterance=str(number), sequence=number, text=one_line,
                            language=translator.target, source_language=source, start=0.0, end=0.0,
                            route=translator.route, models=translator.models, confidence=answer.confidence,
                        ).to_dict()
                    )  # fmt: skip
                else:
                    sys.stdout.write(one_line + "\n")
            sys.stdout.flush()
    return 0


def _lines(stream: Iterable[bytes]) -> Iterator[str]:
    """Give the lines of a stream; what is no UTF-8 is replaced rather than refused."""
    for line in stream:
        yield line.decode("utf-8", errors="replace").rstrip("\r\n")


def _translate_files(
    settings: Settings, files: Sequence[Path], speak: Path | None, *, as_json: bool, realtime: bool
) -> int:
    from device.audio.wav import WholeWavWriter
    from device.engines.registry import Engines
    from device.interpreter import Interpreter

    captions = open_captions(as_json=as_json, live=realtime)
    printer = _Printer(captions, name_files=len(files) > 1)
    found = [(file, _probed(file)) for file in files]
    wrong = [(file, info) for file, info in found if isinstance(info, DragomanError)]
    if len(wrong) == len(found):  # say so before the models are loaded
        for file, failure in wrong:
            printer.refuse(file, failure)
        return 1
    with ExitStack() as stack:
        engines = stack.enter_context(Engines.open(settings))
        if settings.speakers.enabled:
            engines.telling_apart()  # now, and not once a recording
        printer.voice = stack.enter_context(WholeWavWriter(speak)) if speak else None
        stack.enter_context(captions)
        bars = stack.enter_context(progress(hidden=realtime or as_json))
        for file, info in found:
            if isinstance(info, DragomanError):
                printer.refuse(file, info)
                continue
            bar = bars.add_task(visible(file.name), total=info.duration)
            with printer.reporting(file):
                interpreter = Interpreter(engines, settings, printer)
                interpreter.begin_turn(hands_free=True)
                for seconds in _hear(interpreter, file, captions, realtime=realtime):
                    bars.update(bar, completed=seconds)
                if not printer.answered:
                    complain(f"{visible(str(file))}: no speech was found")
    return int(printer.failed)


def _probed(file: Path) -> AudioInfo | DragomanError:
    from device.audio.files import probe

    try:
        return probe(file)
    except DragomanError as error:
        return error


def _hear(interpreter: Interpreter, file: Path, captions: PlainCaptions, *, realtime: bool) -> Iterator[float]:
    """Let the interpreter hear a recording to its end, and close it; yield the seconds heard so far.

    Raises
    ------
    OSError
        What was understood could not be shown.
    """
    from device.audio.files import read_blocks

    try:
        for seconds in play(read_blocks(file, on_warning=complain), interpreter.feed, realtime=realtime):
            if captions.gone.is_set():
                break
            if not realtime:
                interpreter.keep_up()
            yield seconds
    finally:
        interpreter.close()
    if captions.gone.is_set():
        raise captions.failure


def play(blocks: Iterable[Samples], feed: Callable[[Samples], None], *, realtime: bool) -> Iterator[float]:
    """Feed the blocks, each at its own time where ``realtime``; yield the seconds of audio fed so far."""
    began, fed = time.monotonic(), 0
    for block in blocks:
        fed += len(block)
        seconds = fed / SAMPLE_RATE
        if realtime:
            time.sleep(max(0.0, began + seconds - time.monotonic()))
        feed(block)
        yield seconds


class _Printer:
    """Shows the events of recordings, and writes their speech to a file where one is open."""

    def __init__(self, captions: PlainCaptions, *, name_files: bool) -> None:
        self._captions, self._name_files = captions, name_files
        self.voice: WavWriter | None = None
        self.failed = False
        self.answered = False
        """Whether this recording brought words, or a reason why not."""

    @contextmanager
    def reporting(self, file: Path) -> Iterator[None]:
        """Name ``file`` in what is shown meanwhile; its failure is shown and does not stop the others."""
        self.answered = False
        if self._name_files:
            self._captions.begin_file(str(file))
        try:
            yield
        except DragomanError as error:
            self(Error(emitted=0.0, text=str(error), code="file"))

    def refuse(self, file: Path, error: DragomanError) -> None:
        """Show why ``file`` cannot be translated."""
        with self.reporting(file):
            raise error

    def __call__(self, event: Event) -> None:
        if isinstance(event, Error):
            self.failed = True
        if isinstance(event, Final | Error):
            self.answered = True
        if isinstance(event, Speech) and self.voice is not None:
            try:
                self.voice.append(event.samples, event.sample_rate)
            except DragomanError as error:
                self.voice = None
                self(Error(emitted=event.emitted, text=str(error), code="file"))
        self._captions(event)
