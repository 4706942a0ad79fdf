"""The composition root: builds the rooms from the settings, joins them, and takes them down again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from device.audio.capture import open_capture
from device.audio.frontend import FrontendOutput
from device.audio.reports import AudioReport, Happening
from device.config import DirectionSettings, Settings, Trigger, state_directory
from device.controls.buttons import Buttons
from device.controls.controller import TurnController
from device.controls.display import Display
from device.controls.earcons import RATE, Earcon
from device.controls.leds import Leds
from device.controls.panel import Panel
from device.controls.pointer import ring
from device.diagnostics import Diagnostics
from device.ears import Ears
from device.engines.registry import Engines
from device.errors import DragomanError
from device.events import Event, Sink, Speech, SpeechStarted, State, UtteranceEnded
from device.interpreter import Interpreter
from device.mqtt.discovery import Way
from device.mqtt.room import MqttRoom
from device.orders import Orders
from device.remote import Remote
from device.voice import Voice
from device.watchdog import LookAgain, Pulse

if TYPE_CHECKING:
    from device.server.serve import Server

log = logging.getLogger(__name__)

Shown = TypeVar("Shown", bound=AbstractContextManager[Any])

LET_GO = 0.25
"""Seconds of audio that are still heard when a button is let go in the middle of a word."""
DRAIN = 20.0
"""Seconds that the last finals may take when the daemon stops."""
AUDIO_STILL = 30.0
ENGINES_STILL = 180.0
PUBLISHER_STILL = 90.0
"""Seconds after which audio, one call of an engine, or the publisher is stuck: each far longer than what is slow."""


class Daemon:
    """The device: microphone, buttons, one conversation, speaker and broker.

    Used as a context manager, or with `start` and `stop`.

    Parameters
    ----------
    settings
        Everything.
    listeners
        Receive every event of the conversation, after the outbox has it.
    """

    def __init__(self, settings: Settings, listeners: Sequence[Sink] = ()) -> None:
        self.settings = settings
        self._listeners = tuple(listeners)
        self._lock = threading.RLock()
        self._changing = threading.Lock()
        """Held by who changes the conversation, one after the other."""
        self._ending: list[Interpreter] = []
        self._telling = threading.Lock()
        self._untold = False
        self._muted = False
        self._direction = 0
        self._state: tuple[Any, ...] | None = None
        self._described: tuple[DirectionSettings, ...] = ()
        self._problems: set[str] = set()
        self._broken: set[str] = set()
        self._ready = False
        self._listening = Pulse("audio", AUDIO_STILL)
        self._publishing = Pulse("the publisher", PUBLISHER_STILL)
        self.engines = Engines.open(settings)
        orders = Orders(self)
        self.remote = Remote(self, orders)
        self.mqtt = (
            MqttRoom(
                settings.mqtt,
                state_directory(settings),
                orders.obey,
                on_alert=self._alerted,
                on_tick=self._ticked,
            )
            if settings.mqtt.enabled
            else None
        )
        self.diagnostics = Diagnostics(self._measured, self.alert, self.engines.meter, self._overruns)

    def start(self) -> None:
        """Load the models and begin to listen.

        Raises
        ------
        DragomanError
            Something that cannot mend itself is missing or wrong: a model, a key file, a second daemon.
        """
        with ExitStack() as rooms:  # each is taken down again if a later one cannot be built
            rooms.callback(self.engines.close)
            if self.mqtt is not None:
                self.mqtt.start()
                rooms.callback(self.mqtt.stop)
            server = self._server(rooms)
            self._load_models()
            if server is not None:
                server.start()
            self.interpreter = Interpreter(self.engines, self.settings, self._happened)
            self._ears = Ears(self.settings.frontend, self.settings.endpoint, self.engines, self._heard, self.alert)
            self.voice = Voice(self.settings, self.changed, self._speaker_report, self._ears.tap)
            self.voice.player.start()
            rooms.callback(self.voice.player.close)
            pins = self.settings.controls.pins
            azimuths = ring(self.settings.leds, self._ears.geometry)
            self.leds = self._optional(rooms, "leds", lambda: Leds(self.settings.leds, pins, azimuths))
            self.display = self._optional(rooms, "display", lambda: Display(self.settings.display, pins))
            self.panel = rooms.enter_context(
                Panel(
                    self.settings.panel, self.settings.controls, self._louder, self._next_language, self._toggle_mute
                )
            )  # fmt: skip
            rooms.callback(self._drain)
            self._microphone = open_capture(self.settings.audio, self._ears.hear, self._microphone_report)
            rooms.callback(self._microphone.stop)
            self.controller = TurnController(
                self.settings.controls, self._turn_began, self._turn_ended, self._button, self.alert
            )
            rooms.callback(self.controller.close)
            rooms.enter_context(Buttons(self.settings.controls, self.controller))
            if self.controller.mode is Trigger.OPEN:
                self.interpreter.begin_turn(hands_free=True)
            self._microphone.start()
            self._rooms = rooms.pop_all()
        self._ready = True
        self.changed()
        log.info("ready")

    def _server(self, rooms: ExitStack) -> Server | None:
        """Take the server's ports, so that one that is taken is told before the models are loaded, not after."""
        if not self.settings.server.enabled:
            return None
        from device.server.serve import Server  # a large part of the program, which most devices do without

        server = Server(self.engines, self.settings, self.remote)
        rooms.callback(server.stop)
        server.bind()
        return server

    def _load_models(self) -> None:
        try:
            self.engines.preload(self.settings)
        except DragomanError as error:
            if self.mqtt is not None:
                self.mqtt.alert("models", str(error))  # which stands at the broker until a start succeeds
            raise

    def _optional(self, rooms: ExitStack, what: str, make: Callable[[], Shown]) -> Shown | None:
        """Open something that people look at; without it the device works on, and says so."""
        try:
            shown: Shown = rooms.enter_context(make())
        except DragomanError as error:
            self.alert(what, str(error))
            return None
        return shown

    def stop(self) -> None:
        """Finish what somebody is saying, publish it, and let go of everything."""
        self._ready = False
        self._rooms.close()

    def _drain(self) -> None:
        until = time.monotonic() + DRAIN
        with self._lock:
            conversations = [*self._ending, self.interpreter]
        in_time = [each.close(max(0.0, until - time.monotonic())) for each in conversations]
        if not all(in_time):
            log.error("some finals were not ready in %g s", DRAIN)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def state(self) -> State:
        """What the device is doing."""
        if self._broken:
            return State.ERROR
        if self._muted:
            return State.MUTED
        if self.controller.direction is not None:
            return State.LISTENING
        if self.voice.speaking:
            return State.SPEAKING
        if self.interpreter.busy:
            return State.TRANSLATING
        return State.LISTENING if self.controller.mode is Trigger.OPEN else State.IDLE

    @property
    def ready(self) -> bool:
        """Whether it has started, and does not stop yet."""
        return self._ready

    @property
    def problems(self) -> frozenset[str]:
        """Ids of the alerts that are up."""
        return frozenset(self._problems)

    @property
    def muted(self) -> bool:
        """Whether the device does not listen at all."""
        return self._muted

    @property
    def vital(self) -> dict[str, LookAgain]:
        """What must move while the device is up, for the watchdog."""
        vital: dict[str, LookAgain] = {"audio": self._audio_still, "engines": self._engines_still}
        if self.mqtt is not None:
            vital["publisher"] = self._publishing.look
        return vital

    def _audio_still(self) -> str | None:
        # A microphone that was never there gives no sound, and starting again would not bring one. One that went
        # away is replaced by silence, which moves.
        missing = "microphone" in self._broken and not self._listening.beaten
        return None if missing else self._listening.look()

    def _engines_still(self) -> str | None:
        seconds = self.engines.scheduler.stuck_for()
        return f"an engine has been stuck for {seconds:.0f} s" if seconds > ENGINES_STILL else None

    # From the microphone to the interpreter

    def _heard(self, heard: FrontendOutput) -> None:
        if self.leds is not None:
            self.leds.point(heard.azimuth, heard.confidence)
        deaf = self._muted or (self.voice.deafens and not self._ears.full_duplex)
        if heard.look is not None and self.controller.mode is Trigger.OPEN:
            self.interpreter.steer(self.settings.frontend.array.looks[heard.look].direction)
        self.interpreter.feed(np.zeros_like(heard.samples) if deaf else heard.samples, heard.azimuth)
        self._listening.beat()

    def _microphone_report(self, report: AudioReport) -> None:
        if report.kind is Happening.FOUND:
            self._ears.open(report)
        self._device_report("microphone", report)

    def _speaker_report(self, report: AudioReport) -> None:
        self._device_report("speaker", report)

    def _device_report(self, what: str, report: AudioReport) -> None:
        if report.kind is Happening.LOST:
            self.alert(what, report.text)
        elif report.kind is Happening.FOUND:
            self.alert(what, None)
            log.info("%s", report.text)
        else:
            log.warning("%s", report.text)

    # From the button to the interpreter

    def _turn_began(self, direction: int) -> None:
        with self._lock:
            self._direction = min(direction, len(self.settings.directions) - 1)
            self.voice.hold_back()
            self.interpreter.begin_turn(self._direction)
        self._cue(Earcon.LISTEN)
        self.changed()

    def _turn_ended(self) -> None:
        with self._lock:
            self.interpreter.end_turn(LET_GO)
            if self.controller.mode is Trigger.OPEN:  # since then: this comes from another thread
                self.interpreter.begin_turn(self._direction, hands_free=True)
            self.voice.go_on()
        self._cue(Earcon.DONE)
        self.changed()

    def _cue(self, earcon: Earcon) -> None:
        if self.settings.speech.earcons:
            self.voice.cue(earcon.samples, RATE)

    def _button(self, name: str, action: str) -> None:
        if self.mqtt is not None:
            self.mqtt.button(name, action)

    # From the interpreter to everybody

    def _happened(self, event: Event) -> None:
        if self.mqtt is not None:
            self.mqtt.sink(event)
        if self.display is not None:
            self.display.sink(event)
        for listener in self._listeners:
            listener(event)
        self.remote.tell(event)
        if isinstance(event, SpeechStarted):
            self.voice.player.prime()
        elif isinstance(event, Speech):
            self.voice.say(event)
        elif isinstance(event, UtteranceEnded):
            self.changed()

    def changed(self) -> None:
        """Publish the state if it is another one.

        One thread at a time does, so that the last one told is the last one there was; another leaves that to it.
        """
        self._untold = True
        while self._ready and self._untold and self._telling.acquire(blocking=False):
            try:
                self._untold = False
                self._tell_state()
            finally:
                self._telling.release()

    def _tell_state(self) -> None:
        with self._lock:
            now = (self.state, self._direction, self.voice.player.volume, self._muted, self.controller.mode)
            told = (*now, self.settings.directions, frozenset(self._problems))
            if told == self._state:
                return
            self._state = told
        if self.leds is not None:
            self.leds.show(now[0])
        if self.display is not None:
            self.display.show(now[0])
        self.panel.show_muted(self._muted)
        if self.mqtt is not None:
            if self.settings.directions != self._described:
                self._described = self.settings.directions
                self.mqtt.describe(self._ways())
            self.mqtt.publish_state(
                now[0],
                directions=[(d.source, d.targets) for d in self.settings.directions],
                direction=now[1], volume=now[2], muted=now[3], mode=now[4],
            )  # fmt: skip
        self.remote.changed()

    def alert(self, alert: str, text: str | None) -> None:
        """Raise an alert, or with None clear it."""
        if self.mqtt is not None:
            self.mqtt.alert(alert, text)
        else:
            self._alerted(alert, text)

    def _alerted(self, alert: str, text: str | None) -> None:
        if text is None:
            self._problems.discard(alert)
            self._broken.discard(alert)
        else:
            log.warning("%s: %s", alert, text)
            self._problems.add(alert)
            if alert == "microphone":
                self._broken.add(alert)
                self._cue(Earcon.ERROR)
        self.changed()

    # What is told about the device

    def _ways(self) -> list[Way]:
        """Tell which languages each direction has, and which the installed models let people choose."""
        heard = {language for model in self.engines.installed("asr") for language in model.languages}
        read = {model.target for model in self.engines.installed("mt") if model.target}
        return [
            Way(
                way.source,
                way.targets,
                sorted(source for source in heard if all(self._leads(source, target) for target in way.targets)),
                sorted(target for target in read if self._leads(way.source, target)),
            )
            for way in self.settings.directions
        ]

    def _leads(self, source: str, target: str) -> bool:
        try:
            self.engines.route(source, target)
        except DragomanError:
            return False
        return True

    def _ticked(self) -> None:
        self._publishing.beat()
        if self._ready:
            self.diagnostics.tick()

    def _measured(self, name: str, value: Any) -> None:
        if self.mqtt is not None:
            self.mqtt.diag(name, value)

    def _overruns(self) -> int:
        return getattr(self._microphone, "overruns", 0)

    # What commands change

    def redirect(self, direction: int, **changes: Any) -> None:
        """Change one direction's settings: a new conversation begins, and the old one's finals still come.

        Raises
        ------
        DragomanError
            A model that the change needs is not installed; everything stays as it was.
        """
        with self._changing:
            directions = list(self.settings.directions)
            directions[direction] = DirectionSettings.model_validate(directions[direction].model_dump() | changes)
            old = self._begin(tuple(directions))
        self._end(old)

    def converse(self, directions: tuple[DirectionSettings, ...]) -> None:
        """Change all directions, as `redirect` changes one."""
        with self._changing:
            old = self._begin(directions)
        self._end(old)

    def _begin(self, directions: tuple[DirectionSettings, ...]) -> Interpreter:
        """Begin a new conversation, and return the one before, to which nobody listens any more."""
        settings = self.settings.model_copy(update={"directions": directions})
        self.engines.preload(settings)
        new = Interpreter(self.engines, settings, self._happened, self.interpreter.speakers)
        with self._lock:
            old, self.interpreter, self.settings = self.interpreter, new, settings
            self._ending.append(old)
            self._direction = min(self._direction, len(directions) - 1)
            if old.listening:
                new.begin_turn(self._direction, hands_free=self.controller.mode is Trigger.OPEN)
        return old

    def _end(self, old: Interpreter) -> None:
        """Wait for what was said last in a conversation."""
        old.close()
        with self._lock:
            self._ending.remove(old)

    def set_mode(self, mode: Trigger) -> None:
        """Change what starts a turn."""
        self.controller.set_mode(mode)
        with self._lock:
            if mode is Trigger.OPEN:
                self.interpreter.begin_turn(self._direction, hands_free=True)
            elif self.controller.direction is None:
                self.interpreter.end_turn()

    def mute(self, muted: bool) -> None:
        """Stop or begin to listen at all; a turn that goes on ends."""
        if muted != self._muted:
            self._muted = muted
            if muted:
                self.controller.end()
            self._cue(Earcon.MUTED if muted else Earcon.UNMUTED)

    # What the panel changes

    def _louder(self, change: float) -> None:
        self.voice.player.volume += change
        self.changed()

    def _next_language(self, step: int) -> None:
        languages = list(self.settings.panel.languages or self._ways()[0].choices)
        if not languages:
            return
        now = next(iter(self.settings.directions[0].targets), None)
        at = (languages.index(now) + step) % len(languages) if now in languages else 0
        self.redirect(0, targets=(languages[at],), speak=None, voice=None)
        self.changed()

    def _toggle_mute(self) -> None:
        self.mute(not self._muted)
        self.changed()
