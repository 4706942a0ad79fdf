"""Makes captions out of a conversation's events, utterance by utterance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from device.events import Event, Final, Translation, UtteranceEnded
from device.text.captions import CaptionStyle, Cue, Said, captions, fit, speaker_label
from device.text.rules import primary


class Captioner:
    """Makes captions of finals and translations; a listener of one conversation.

    Parameters
    ----------
    style
        What a caption may be.
    target
        The language of the captions; what was said, in whatever language, where there is none. What is spoken in that
        language already stands as it was said.
    both
        Show what was said above its translation.
    label
        Write who speaks before the words of whoever is not the one before: for formats that cannot say it otherwise.
    show
        Receives each caption as soon as its text is known; without it they are kept in ``cues``.
    """

    def __init__(
        self, style: CaptionStyle, target: str | None, *, both: bool = False, label: bool = False,
        show: Callable[[Cue], None] | None = None,
    ) -> None:  # fmt: skip
        self._style, self._target, self._both, self._show = style, target, both, show
        self._label = label
        self._speaker: int | None = None
        self._finals: dict[str, Final] = {}
        self._shown_until = 0.0
        self.cues: list[Cue] = []
        self.heard = False
        """Whether anybody said anything."""

    def __call__(self, event: Event) -> None:
        """Hear one event of the conversation."""
        if isinstance(event, Final):
            self.heard = True
            if self._target is None or primary(event.language) == primary(self._target):
                self._caption(_said(event))
            else:
                self._finals[event.utterance] = event
        elif isinstance(event, Translation) and self._is_wanted(event):
            self._translated(self._finals.pop(event.utterance, None), event)
        elif isinstance(event, UtteranceEnded):
            self._finals.pop(event.utterance, None)  # its translation failed, which was told

    def _is_wanted(self, event: Translation) -> bool:
        return self._target is not None and primary(event.language) == primary(self._target)

    def _translated(self, final: Final | None, event: Translation) -> None:
        if final is None:
            return
        if self._both:
            self._caption(_said(final), (event.text, event.language))
        else:
            self._caption(Said(event.text, event.language, final.start, final.end, speaker=final.speaker))

    def _caption(self, said: Said, translation: tuple[str, str] | None = None) -> None:
        label = ""
        if self._label and said.speaker is not None and said.speaker != self._speaker:
            label = speaker_label(said.speaker)
        cues = captions(said, self._style, translation, label=label)
        if cues:
            self._speaker = said.speaker
        if self._show is None:
            self.cues += cues
            return
        for cue in fit(cues, self._style):
            # What was written stays; a caption that comes too early for it begins later.
            start = max(cue.start, self._shown_until)
            shown = replace(cue, start=start, end=max(cue.end, start + 0.3))
            self._shown_until = shown.end
            self._show(shown)


def _said(final: Final) -> Said:
    return Said(final.text, final.language, final.start, final.end, final.words, final.speaker)
