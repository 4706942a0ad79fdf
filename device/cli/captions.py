"""How a conversation looks in a terminal, in a pipe, and as lines of JSON."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from device.cli.common import clock, complain, on_terminal, print_json, visible
from device.events import CONTROL_EVENTS, Error, Event, Final, Partial, PartialTranslation, Translation, UtteranceEnded
from device.text.captions import speaker_label

if TYPE_CHECKING:
    from rich.text import Text


class PlainCaptions:
    """Prints finals and their translations, a line each; partials are for people who watch."""

    def begin_file(self, name: str) -> None:
        """Say that what follows belongs to this recording."""
        print(f"{visible(name)}:", flush=True)

    def __init__(self) -> None:
        self.gone = threading.Event()
        """Set when nothing more can be shown."""
        self.failure: OSError = BrokenPipeError()
        """Why not: whoever read the output has gone away (``| head``), the disk is full."""

    def __call__(self, event: Event) -> None:
        """Show one event; an events.Sink."""
        if self.gone.is_set():
            return
        try:
            self._show(event)
        except OSError as error:
            self.failure = error
            self.gone.set()

    def _show(self, event: Event) -> None:
        if isinstance(event, Final):
            print(f"[{clock(event.start)}] {_said(event)}", flush=True)
        elif isinstance(event, Translation):
            print(f"{event.language:>9}  {event.text}", flush=True)
        elif isinstance(event, Error):
            complain(visible(event.text))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class LiveCaptions(PlainCaptions):
    """Shows what is being said at the bottom of a terminal, dimmed, and moves it up when it is final."""

    def __init__(self, hint: str = "") -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__()
        self._hint = hint
        self._source = ""
        self._targets: dict[str, str] = {}
        self._live = Live(self._shown(), console=Console(highlight=False), auto_refresh=False, transient=True)

    def _show(self, event: Event) -> None:
        from rich.text import Text

        match event:
            case Partial():
                self._source = event.text
            case PartialTranslation():
                self._targets[event.language] = event.text
            case Final():
                self._source, self._targets = "", {}
                self._live.console.print(Text(f"{clock(event.start):>9}  {_said(event)}"))
            case Translation():
                self._live.console.print(Text(f"{event.language:>9}  {event.text}", style="bold"))
            case UtteranceEnded(has_text=False):
                self._source, self._targets = "", {}
            case Error():
                self._live.console.print(Text(f"{'!':>9}  {event.text}", style="red"))
            case _:
                return
        self._live.update(self._shown(), refresh=True)

    def _shown(self) -> Text:
        from rich.text import Text

        lines = [f"{'…':>9}  {self._source}"] if self._source else []
        lines += [f"{language:>9}  {text}" for language, text in self._targets.items()]
        return Text("\n".join(lines or [self._hint]), style="dim")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


class JsonCaptions(PlainCaptions):
    """Prints every event as one line of JSON, with the recording's name where there are several."""

    def __init__(self) -> None:
        super().__init__()
        self._named: dict[str, str] = {}

    def begin_file(self, name: str) -> None:
        """Name this recording in the events that follow."""
        self._named = {"file": name}

    def _show(self, event: Event) -> None:
        if event.type not in CONTROL_EVENTS:
            print_json(event.to_dict() | self._named)
        if isinstance(event, Error):
            complain(visible(event.text))


def _said(final: Final) -> str:
    """Return a transcript and who said it; each line tells it, for any may be read alone."""
    return (speaker_label(final.speaker) if final.speaker is not None else "") + final.text


def open_captions(*, as_json: bool, live: bool = True, hint: str = "") -> PlainCaptions:
    """Return the captions that suit where standard output goes; ``live`` ones only where a person watches."""
    if as_json:
        return JsonCaptions()
    return LiveCaptions(hint) if live and on_terminal() else PlainCaptions()
