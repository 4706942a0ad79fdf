"""Carries out what people and programs tell the device over MQTT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import singledispatchmethod
from typing import Any

from device.commanded import Commanded
from device.engines.scheduler import Priority
from device.errors import DragomanError, UsageError
from device.events import Speech
from device.mqtt import commands
from device.text.room import TextRoom
from device.text.rules import primary
from device.translation import TextTranslator

Reply = Mapping[str, Any]


class Orders:
    """Does what a command says, to one daemon. What takes long is done by the engines' threads."""

    def __init__(self, daemon: Commanded) -> None:
        self._daemon = daemon
        self._said = 0

    def obey(self, command: commands.Command) -> Reply | Future[Reply] | None:
        """Carry out a command; return what to answer, or a future of it.

        Raises
        ------
        DragomanError
            It cannot be done; the message says why, for whoever asked.
        """
        answer: Reply | Future[Reply] | None = self._do(command)
        self._daemon.changed()
        return answer

    @singledispatchmethod
    def _do(self, command: commands.Command) -> Reply | Future[Reply] | None:
        raise UsageError(f"{command.name} is not supported")

    @_do.register
    def _(self, command: commands.SetSource) -> None:
        self._daemon.redirect(self._checked(command.direction), source=command.language)

    @_do.register
    def _(self, command: commands.SetTargets) -> None:
        index = self._checked(command.direction)
        source = self._daemon.settings.directions[index].source
        for target in command.languages:
            if primary(target) == primary(source):
                raise UsageError(f"{target!r} is the language that is spoken ({source!r}): set/source changes that")
        self._daemon.redirect(index, targets=command.languages, speak=None, voice=None)

    @_do.register
    def _(self, command: commands.SetMute) -> None:
        self._daemon.mute(command.muted)

    @_do.register
    def _(self, command: commands.SetVolume) -> None:
        self._daemon.voice.player.volume = command.volume

    @_do.register
    def _(self, command: commands.SetMode) -> None:
        self._daemon.set_mode(command.mode)

    @_do.register
    def _(self, command: commands.Listen) -> None:
        if self._daemon.muted:
            raise UsageError("the device is muted")
        if not self._daemon.controller.begin(self._checked(command.direction)):
            raise UsageError("no turn can begin: the microphone is open, or a button is held")

    @_do.register
    def _(self, command: commands.Stop) -> None:  # noqa: ARG002
        self._daemon.controller.end()
        self._daemon.voice.silence()

    @_do.register
    def _(self, command: commands.Repeat) -> None:  # noqa: ARG002
        if not self._daemon.voice.repeat():
            raise UsageError("nothing has been said yet")

    @_do.register
    def _(self, command: commands.Say) -> Future[Reply]:
        direction = self._daemon.settings.directions[0]
        language = command.language or direction.speak or next(iter(direction.targets), direction.source)
        return self._later(self._say, command.text, language)

    @_do.register
    def _(self, command: commands.Translate) -> Future[Reply]:
        return self._later(self._translate, command)

    def _checked(self, direction: int) -> int:
        directions = self._daemon.settings.directions
        if direction >= len(directions):
            raise UsageError(f"there is no direction {direction}: {len(directions)} configured")
        return direction

    def _later(self, call: Callable[..., Reply], *args: Any) -> Future[Reply]:
        job = self._daemon.engines.scheduler.submit(Priority.SPEECH, call, *args)
        if job is None:
            raise DragomanError("the device is stopping")
        return job

    def _say(self, text: str, language: str) -> Reply:
        voice = self._daemon.engines.synthesizer(language)
        self._said += 1
        total = 0.0
        for index, samples in enumerate(voice.stream(text)):
            seconds = len(samples) / voice.sample_rate
            total += seconds
            self._daemon.voice.say(
                Speech(
                    emitted=self._daemon.interpreter.now(), utterance=f"say-{self._said}", index=index,
                    text="" if index else text, language=voice.language, voice=voice.voice,
                    sample_rate=voice.sample_rate, duration=seconds, samples=samples,
                )
            )  # fmt: skip
        return {"language": voice.language, "voice": voice.model_id, "duration": round(total, 3)}

    def _translate(self, command: commands.Translate) -> Reply:
        direction = self._daemon.settings.directions[0]
        source = command.source or direction.source
        targets = direction.targets if command.targets is None else command.targets
        settings = self._daemon.settings.text
        translators = TextTranslator.for_targets(self._daemon.engines, source, targets, settings.glossary)
        room = TextRoom(settings)
        typed = room.typed(command.text, source)  # what is hidden in it is hidden in the translations
        answers = {t.target: t.translate(typed).text for t in translators}
        if command.speak and answers:
            language, text = next(iter(answers.items()))
            self._say(room.spoken(text, language), language)
        reply: dict[str, Any] = {
            "source": source, "translations": {target: room.shown(text, target) for target, text in answers.items()},
        }  # fmt: skip
        # Of one language are also "pt" and "pt-BR": nothing is there to be translated.
        if unchanged := [t.target for t in translators if not t.models]:
            reply["unchanged"] = unchanged
        return reply
