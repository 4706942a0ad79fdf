"""One turn of a recognition or translation socket: audio in, replies in the order and shape the SDKs expect."""

from __future__ import annotations

from enum import Enum, auto

from device.errors import DragomanError
from device.events import Event, Final, Partial, SpeechStarted, UtteranceEnded
from device.server import replies
from device.server.identification import Begin, Finish, Identified, LanguageSplitter, Step
from device.server.options import Mode, TurnOptions
from device.server.refusals import refuse_what_is_missing
from device.server.replies import Reply
from device.server.service import Conversation, Service
from device.server.spoken import SpokenTranslation
from device.server.utterances import Utterance, Utterances
from device.server.wave import WaveStream
from device.speakers import Speakers

INITIAL_SILENCE = 5.0
"""Seconds without speech after which an interactive turn gives up."""
SLACK = 0.5
"""Seconds that the beginning of speech is noticed late."""


class State(Enum):
    """How far the turn is."""

    OPEN = auto()
    ENDING = auto()
    """No more audio is heard; what was said is still being answered."""
    OVER = auto()


class Turn:
    """Answers one turn.

    Parameters
    ----------
    service
        What is shared.
    options
        What the client asked for.
    reply
        Sends one message of this turn.
    v2
        Whether replies have the newer shape.
    """

    def __init__(self, service: Service, options: TurnOptions, reply: Reply, *, v2: bool) -> None:
        self._service, self._options, self._reply, self._v2 = service, options, reply, v2
        self._state = State.OPEN
        self._audio = WaveStream()
        self._conversation: Conversation | None = None
        self._splitter: LanguageSplitter | None = None
        self._targets: dict[str, str] = {}
        self._people: Speakers | None = None
        self._spoken: SpokenTranslation | None = None
        self._utterances = Utterances(self)
        self._heard = 0.0
        self._silent_from = 0.0
        self._speaking = False
        self._phrases = 0
        self._noises = 0
        self.complete = False
        """Whether an interactive turn has its phrase."""

    @property
    def over(self) -> bool:
        """Whether nothing more will be said."""
        return self._state is State.OVER

    @property
    def listening(self) -> bool:
        """Whether audio is still heard."""
        return self._state is State.OPEN

    async def open(self) -> dict[str, str]:
        """Load what is needed, and return which language, models and voice answer.

        Raises
        ------
        DragomanError
            A language or option cannot be served; the message says what can.
        """
        options, languages = self._options, self._service.languages
        refuse_what_is_missing(options)
        if options.diarize:
            guests = self._service.guests
            self._people = await self._service.work(guests.of, options.audio_session, resumed=options.resumed)
        served: dict[str, str] = {}
        if options.candidates:
            self._splitter = await self._service.work(LanguageSplitter, self._service, options)
            served["locale"] = ", ".join(self._splitter.languages)
            sources = self._splitter.languages
        else:
            sources = (languages.source(options.locale),)
            served["locale"] = sources[0]
        voice = None
        if options.speak is not None:
            named = languages.voice(options.voice, options.speak)
            voice = named.id
            served["voice"] = named.short
            self._spoken = SpokenTranslation(self._reply)
        for source in sources:
            for target in options.targets:
                self._targets.setdefault(target, languages.target(source, target))
        self._utterances = Utterances(self, self._targets.values())
        self._voice = voice
        if self._splitter is None:
            self._conversation = await self._begin(sources[0], 0.0, None)
            recognizer = await self._service.work(self._service.engines.recognizer, sources[0])
            served["model"] = recognizer.model_id
        return served

    async def _begin(self, source: str, base: float, identified: Identified | None) -> Conversation:
        options = self._options
        speak = self._targets[options.speak] if options.speak is not None else None
        conversation = Conversation(
            self._service,
            self._service.conversation_settings(
                source, tuple(dict.fromkeys(self._targets.values())), speak=speak, voice=self._voice,
                silence=options.end_silence, profanity=options.profanity, fluent=options.true_text,
                phrases=options.phrases, people=0 if options.diarize else None,
            ),
            lambda event: self._happened(event, base, identified), people=self._people,
        )  # fmt: skip
        await conversation.open()
        return conversation

    async def feed(self, data: bytes) -> None:
        """Hear a chunk of the client's audio.

        Raises
        ------
        DragomanError
            It is no audio, or more than may be sent.
        """
        if self._state is not State.OPEN:
            return
        samples = self._audio.feed(data)
        self._heard += len(samples) / 16_000
        longest = self._service.settings.server.longest_audio
        if self._heard > longest:
            raise DragomanError(f"a turn may hold {longest:g} seconds of audio")
        if self._splitter is not None and not self._splitter.settled:
            await self._follow(await self._service.work(self._splitter.feed, samples))
        elif self._conversation is not None:
            await self._conversation.feed(samples)
        if self._silent_too_long() and self._conversation is not None:
            await self._conversation.caught_up()  # somebody may have begun to talk meanwhile
        if self._silent_too_long():
            self._say_nothing("InitialSilenceTimeout")
            self._silent_from = self._heard
            self.complete = self._options.mode is Mode.INTERACTIVE

    async def _follow(self, steps: list[Step]) -> None:
        """Hear what was identified; every stretch of one language is a conversation of its own."""
        for step in steps:
            if isinstance(step, Begin):
                self._conversation = await self._begin(step.identified.language, step.base, step.identified)
            elif isinstance(step, Finish):
                await self._finish_conversation()
            elif self._conversation is not None:
                await self._conversation.feed(step)

    async def _finish_conversation(self) -> None:
        if self._conversation is not None:
            await self._conversation.finish()
            self._conversation.abandon()
            self._conversation = None

    def hear_no_more(self) -> None:
        """Take what was heard so far for all there is: `finish` follows, and `feed` does nothing any more."""
        if self._state is State.OPEN:
            self._state = State.ENDING

    async def finish(self) -> None:
        """End the turn, of which no more is heard: answer what was said, and say that it is over."""
        if self.over:
            return
        if not self.complete:
            rest = self._audio.flush()
            if self._splitter is not None:
                await self._follow(await self._service.work(self._splitter.feed, rest, last=True))
            elif self._conversation is not None:
                await self._conversation.feed(rest)
            await self._finish_conversation()
        elif self._conversation is not None:
            self._conversation.abandon()
        if self._state is State.OVER:
            return
        if self._options.mode is Mode.INTERACTIVE and not self._phrases:
            self._say_nothing("NoMatch" if self._noises else "InitialSilenceTimeout")
        self._reply("speech.endDetected", {"Offset": replies.ticks(self._heard)})
        self._end()

    def fail(self, name: str, reason: str) -> None:
        """End the turn with an error that the SDKs show: ``Error``, ``BadRequest``, ``TooManyRequests``."""
        if self._state is State.OVER:
            return
        self.abandon()
        body = replies.status(name, 0.0, self._heard) | {"DisplayText": reason, "Error": {"Message": reason}}
        self._reply("speech.phrase", body)
        self._reply("turn.end", {})

    def abandon(self) -> None:
        """Let go of everything; nothing more is said."""
        self._state = State.OVER
        if self._conversation is not None:
            self._conversation.abandon()

    def _end(self) -> None:
        self._state = State.OVER
        self._reply("turn.end", {})

    # Silence

    def _silent_too_long(self) -> bool:
        options = self._options
        limit = options.initial_silence
        if limit is None:
            limit = INITIAL_SILENCE if options.mode is Mode.INTERACTIVE else None
        speaking = self._speaking or (self._splitter is not None and self._splitter.speaking)
        if limit is None or speaking or self._phrases or self._state is not State.OPEN:
            return False
        return self._heard - self._silent_from > limit + SLACK

    def _say_nothing(self, name: str) -> None:
        self._phrases += self._options.mode is Mode.INTERACTIVE
        body = replies.status(name, self._silent_from, self._heard)
        if self._options.translates:
            path, body = replies.translated(body, {}, "", v2=self._v2, partial=False)
            self._reply(path, body)
        else:
            self._reply("speech.phrase", body)

    def _happened(self, event: Event, base: float, identified: Identified | None) -> None:
        if self._state is not State.OVER and not self.complete:
            self._utterances.take(event, base, identified)

    # What is known of utterances

    def began(self, said: Utterance, event: SpeechStarted) -> None:
        """Say that somebody begins to talk."""
        self._speaking = True
        self._reply("speech.startDetected", {"Offset": replies.ticks(said.base + event.start)})

    def guessed(self, said: Utterance, partial: Partial) -> None:
        """Send what was understood so far."""
        language = said.identified.locale if said.identified else None
        path, body = (
            "speech.hypothesis",
            replies.hypothesis(partial, said.base, self._options, language),
        )
        if self._targets:
            texts = {asked: said.guesses[tag] for asked, tag in self._targets.items()}
            path, body = replies.translated(body, texts, "", v2=self._v2, partial=True)
        self._reply(path, body, key=f"partial {partial.utterance}")

    def failed(self, said: Utterance) -> None:
        """Say that something was not understood."""
        if said.final is None:
            self._reply("speech.phrase", replies.status("Error", said.base, self._heard))

    def answer(self, said: Utterance, final: Final) -> None:
        """Send what was said."""
        self._phrases += 1
        identified = said.identified
        language = (identified.locale, identified.confidence) if identified else None
        path, body = "speech.phrase", replies.phrase(final, said.base, self._options, language)
        if self._targets:
            texts = {a: said.translations[t] for a, t in self._targets.items() if t in said.translations}
            path, body = replies.translated(body, texts, said.failure, v2=self._v2, partial=False)
        self._reply(path, body, final=final.utterance)

    def speak(self, said: Utterance) -> None:
        """Send what is spoken."""
        if self._spoken is not None:
            for speech in said.speech:
                self._spoken.send(speech)
        said.speech.clear()

    def ended(self, said: Utterance, event: UtteranceEnded) -> None:
        """Note the end of an utterance, which is that of an interactive turn."""
        self._speaking = False
        self._silent_from = self._heard
        if not event.has_text:
            self._noises += 1
            return
        if self._spoken is not None:
            self._spoken.end(said.failure)
        if self._options.mode is Mode.INTERACTIVE:
            self.complete = True
