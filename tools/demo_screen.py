"""What the demo shows: captions that grow while somebody talks, then tables. Plain lines where nobody watches."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from device.events import Error, Event, Final, Partial, PartialTranslation, Speech, Translation

WIDEST = 100
"""Columns that are used of a wide terminal."""
PAPER = 92
"""Columns of a picture."""
BETWEEN_DRAWN = 1.6
"""Seconds of speech between two partial results in a picture, which would be too long with all of them."""


class Screen:
    """The demo's output; receives the daemon's events like any other listener.

    Partial results replace each other in place on a terminal, and are a line each elsewhere.

    Parameters
    ----------
    picture
        Keep what is shown, and some of the partial results, for `save_picture`.
    """

    def __init__(self, *, picture: bool = False) -> None:
        self.console = Console(highlight=False)
        self.console.width = min(self.console.width, WIDEST) if self.console.is_terminal else WIDEST
        self._paper = Console(file=io.StringIO(), highlight=False, record=True, width=PAPER) if picture else None
        self._drawn = 0.0
        self._live: Live | None = None
        self._partial: dict[str, str] = {}
        self._seconds = 0.0

    def title(self, text: str) -> None:
        """Say what this is."""
        self._print(Text(f"\n{text}\n", style="bold"))

    def fact(self, name: str, text: str) -> None:
        """Say one thing about the set-up."""
        self._print(Text.assemble((f"  {name:<12}", "dim"), text))

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._print(Text(f"\n{text}", style="bold"))

    def turn(self, text: str) -> None:
        """Say that somebody begins to talk."""
        self._print(Text.assemble("\n", ("●", "red"), f" {text}"))
        self._drawn = 0.0
        if self.console.is_terminal:
            self._live = Live(Text(""), console=self.console, auto_refresh=False, transient=True)
            self._live.start()

    def end_turn(self) -> None:
        """Remove what is left of the partial results."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._partial.clear()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Partial() | PartialTranslation():
                self._show_partial(event)
            case Final():
                self.end_turn()
                self._say(event.language, event.text, "green")
            case Translation():
                self._say(event.language, event.text, "bold cyan")
            case Speech(index=0):
                after = f", {event.emitted - event.end:.2f} s after the last word" if event.end else ""
                self._say("♪", f"begins to speak {event.language}{after}", "dim")
            case Error():
                self._say("!", event.text, "bold red")
            case _:
                pass

    def _show_partial(self, event: Partial | PartialTranslation) -> None:
        if isinstance(event, Partial):
            self._seconds = event.end - event.start
        self._partial[event.language] = event.text
        seconds = f"{self._seconds:.1f} s"
        if self._live is None:
            self.console.print(_line(event.language, f"{event.text} …", "dim", seconds), soft_wrap=True)
        else:
            shown = [_caption(tag, f"{text} …", "dim", seconds) for tag, text in self._partial.items()]
            self._live.update(Group(*shown), refresh=True)
        if self._paper is not None and isinstance(event, PartialTranslation) and self._seconds >= self._drawn:
            self._drawn = self._seconds + BETWEEN_DRAWN
            for tag, text in self._partial.items():
                self._paper.print(_caption(tag, f"{text} …", "dim", seconds))

    def _say(self, tag: str, text: str, style: str) -> None:
        if self.console.is_terminal:
            self.console.print(_caption(tag, text, style))
        else:
            self.console.print(_line(tag, text, style), soft_wrap=True)
        if self._paper is not None:
            self._paper.print(_caption(tag, text, style))

    def _print(self, what: RenderableType) -> None:
        # Without soft wrap rich would break lines where the output is a file.
        self.console.print(what, soft_wrap=not self.console.is_terminal)
        if self._paper is not None:
            self._paper.print(what)

    def messages(self, rows: Iterable[tuple[str, int, str]]) -> None:
        """List received messages: topic, how many of them, and the last one's content."""
        rows = list(rows)
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("topic", style="cyan", min_width=max((len(topic) for topic, _, _ in rows), default=0))
        table.add_column("count", justify="right", min_width=5)
        table.add_column("the last one", overflow="ellipsis", no_wrap=True)
        for topic, count, content in rows:
            table.add_row(topic, str(count), Text(content))
        self._print(table)

    def figures(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table of numbers; the first column is text."""
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column(columns[0], overflow="ellipsis", no_wrap=True)
        for column in columns[1:]:
            table.add_column(column, justify="right", min_width=len(column))
        for row in rows:
            table.add_row(*row)
        self._print(table)

    def save_picture(self, path: Path, title: str) -> None:
        """Write what was shown as an SVG that needs nothing from elsewhere."""
        assert self._paper is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = self._paper.export_svg(title=title)
        path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL), encoding="utf-8")


def _line(tag: str, text: str, style: str, before: str = "") -> Text:
    """Return a caption on one line, however long."""
    return Text.assemble((f"{before:>6}  {tag:>2}  ", "dim"), (text, style))


def _caption(tag: str, text: str, style: str, before: str = "") -> Table:
    """Return a caption whose further lines begin below its first word."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", min_width=6, style="dim")
    grid.add_column(justify="right", min_width=2, style="dim")
    grid.add_column(style=style)
    grid.add_row(before, tag, Text(text))
    return grid
