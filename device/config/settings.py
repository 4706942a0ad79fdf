"""Everything that can be configured, as one tree of typed, frozen settings."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from device.config.frontend import FrontendSettings
from device.config.languages import canonical_language
from device.config.section import Section


def _number_or_name(value: object) -> object:
    """Read a device or pin given as text: "17" from a flag or the environment means the number."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _list_of_languages(value: object) -> object:
    """Read ``pt,de`` or ``["pt", "de"]`` from a flag or the environment as a list."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    if value.lstrip().startswith("["):
        try:
            return tuple(json.loads(value))
        except ValueError as error:
            raise ValueError(f'expected a list such as pt,de or ["pt", "de"] ({error})') from None
    return tuple(tag.strip() for tag in value.split(",") if tag.strip())


def _host(value: str) -> str:
    """Refuse an address with a scheme, a login or a port; it is not repeated, for it may hold a password."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.%]+(%[A-Za-z0-9]+)?\]?", value):
        raise ValueError("expected a host name or address alone, without scheme, login, port or path")
    return value.strip("[]")


def _topic_part(value: str) -> str:
    """Refuse text that MQTT cannot carry in a topic's name (MQTT 5, 4.7)."""
    if not value or re.search(r"[#+\x00-\x1f\x7f]", value) or value.startswith(("/", "$")) or value.endswith("/"):
        raise ValueError("expected part of a topic: no '#', '+' or control character, no '/' at an end, no '$' first")
    return value


def _topic_level(value: str) -> str:
    if "/" in value:
        raise ValueError("expected one level of a topic, without '/'")
    return _topic_part(value)


def _topic_filters(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what is no topic filter (MQTT 5, 4.7.1)."""
    for name in value:
        *levels, last = name.split("/")
        if not name or any("#" in part for part in levels) or (len(last) > 1 and "#" in last):
            raise ValueError(f"expected a topic filter such as translation/#, not {name[:60]!r}")
        if name.startswith("/") or any("+" in part and part != "+" for part in (*levels, last)):
            raise ValueError(f"expected a topic filter below the device such as translation/+, not {name[:60]!r}")
    return value


def _glossary(value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Refuse pairs that are none, and terms that nobody can follow."""
    for pair, terms in value.items():
        source, arrow, target = pair.partition(">")
        if not arrow:
            raise ValueError(f"expected a pair of languages such as en>pt, not {pair[:40]!r}")
        canonical_language(source.strip())
        canonical_language(target.strip())
        _check_terms(terms)
    return value


def _check_terms(terms: dict[str, str]) -> None:
    """Refuse terms that are empty, come twice, or lead back to themselves through others."""
    folded: dict[str, str] = {}
    for source, target in terms.items():
        if not source.strip() or not target.strip():
            raise ValueError("a glossary has no empty terms")
        if source.strip().casefold() in folded:
            raise ValueError(f"the glossary has {source!r} twice")
        folded[source.strip().casefold()] = target.strip().casefold()
    for start in folded:
        way = [start]
        while (following := folded.get(way[-1], way[-1])) != way[-1]:
            if following in way:
                raise ValueError("the glossary goes round in a circle: " + " → ".join([*way, following]))
            way.append(following)


Language = Annotated[str, AfterValidator(canonical_language)]
"""A BCP-47 tag such as ``en`` or ``pt-BR``, of a language that exists."""

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
"""A path; a leading ``~`` is the user's home."""

NumberOrName = Annotated[int | str, BeforeValidator(_number_or_name)]


class ModelSettings(Section):
    """Where models live and which to prefer."""

    directory: UserPath | None = None
    """The model store; by default ``$STATE_DIRECTORY/models`` under systemd, else the user's data folder."""
    offline: bool = False
    """Never fetch; a missing model is an error that names ``dragoman models import``."""
    prefer: dict[str, str] = Field(default_factory=dict)
    """Catalogue ids to use instead of the catalogue's choice, by task and language:
    ``{"asr:en": "asr-moonshine-base-en"}``."""
    voices: dict[str, str] = Field(default_factory=dict)
    """Which voice speaks a language, by its tag: ``{"pt": "tts-piper-pt-faber", "en-GB": "tts-kokoro/bf_emma"}``."""
    threads: int = Field(default=0, ge=0, le=64)
    """Threads of one engine call; 0 chooses 1 up to 3 cores, 2 from 4."""
    workers: int = Field(default=0, ge=0, le=16)
    """Engine calls at once; 0 chooses 2, or 3 from 4 cores."""
    provider: Literal["cpu", "cuda"] = "cpu"
    """What models of sherpa-onnx and CTranslate2 compute on; cuda needs builds of both for it."""


class DirectionSettings(Section):
    """One way of a conversation: who talks in which language, and into which it is translated."""

    source: Language = "en"
    targets: Annotated[tuple[Language, ...], BeforeValidator(_list_of_languages)] = ("pt",)
    speak: Language | None = None
    """The target that is spoken; by default the first. Empty targets are only transcribed."""
    voice: str | None = None
    """Catalogue id of a voice; by default the best installed one for the spoken target."""


class EndpointSettings(Section):
    """When an utterance begins and ends (seconds)."""

    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Silero's speech probability above which a frame is speech."""
    min_speech: float = Field(default=0.25, ge=0.03, le=2)
    """Shorter sounds are not speech."""
    silence: float = Field(default=0.6, ge=0.1, le=10)
    """Silence that ends an utterance when the microphone is open."""
    turn_silence: float = Field(default=2.0, ge=0.1, le=30)
    """Silence that ends an utterance while the button is held or latched."""
    max_utterance: float = Field(default=15.0, ge=3, le=60)
    """An utterance that goes on longer is cut at its quietest point."""
    padding: float = Field(default=0.3, ge=0, le=1)
    """Audio kept before the first frame of speech."""


class PartialSettings(Section):
    """What is shown while somebody talks."""

    enabled: bool = True
    interval: float = Field(default=0.4, ge=0.1, le=5)
    """Seconds of audio between two partials, when the machine keeps up."""
    translate: bool = True
    steady: bool = True
    """Show only that part of a translation that will most likely stay, and a first guess until there is one."""


class SpeakerSettings(Section):
    """Who talks: people are told apart by their voices."""

    enabled: bool = False
    """Number the people of a conversation, and end an utterance where another one goes on. Needs two models."""
    most: int = Field(default=0, ge=0, le=16)
    """How many people there are at most; 0 where nobody knows."""


class SpeechSettings(Section):
    """The device's own voice."""

    enabled: bool = True
    half_duplex: bool = True
    """Do not listen while speaking."""
    tail: float = Field(default=0.25, ge=0, le=2)
    """Seconds after the last sample during which the microphone still hears the room."""
    volume: float = Field(default=1.0, ge=0, le=1)
    earcons: bool = False
    """Short sounds when a turn begins and ends, and for mute and errors."""


class AudioSettings(Section):
    """Microphone and speaker."""

    input: NumberOrName | None = None
    """Name (or part of it) or index of the capture device; by default the system's."""
    output: NumberOrName | None = None
    rate: int | None = Field(default=None, ge=8000, le=192_000)
    """Capture rate; by default the device's own."""
    channels: int | None = Field(default=None, ge=1, le=8)
    """Capture channels; by default as many as the device has, up to 8."""
    block: float = Field(default=0.032, ge=0.005, le=0.5)
    """Seconds of one capture block."""


class Trigger(StrEnum):
    """What starts a turn."""

    HOLD = "hold"
    TOGGLE = "toggle"
    OPEN = "open"


class Pins(StrEnum):
    """Where GPIO pins come from."""

    AUTO = "auto"
    LGPIO = "lgpio"
    MOCK = "mock"
    NONE = "none"


class ButtonSettings(Section):
    """One push-to-talk button."""

    name: Annotated[str, AfterValidator(_topic_level)] = "talk"
    """Told on MQTT, and part of the id of its alert."""
    pin: NumberOrName = 17
    """BCM number, or any name gpiozero knows: ``GPIO17``, ``BOARD11``."""
    direction: int = Field(default=0, ge=0, le=1)
    active_low: bool = True
    """Pressed connects the pin to ground; the pull-up is switched on."""


class ControlSettings(Section):
    """Push to talk."""

    trigger: Trigger = Trigger.HOLD
    pins: Pins = Pins.AUTO
    buttons: tuple[ButtonSettings, ...] = (ButtonSettings(),)
    debounce: float = Field(default=0.03, ge=0, le=1)
    hold_time: float = Field(default=1.0, ge=0.1, le=10)
    """A press this long is reported as ``hold``."""
    double_press: float = Field(default=0.4, ge=0.1, le=2)
    longest_turn: float = Field(default=60.0, ge=1, le=600)
    """A button that stays down longer is stuck: the turn is cut and an alert raised."""

    mute_pin: NumberOrName | None = None
    """An output that is high while the device is muted, for a lamp or another machine to read."""


class LedSettings(Section):
    """The lights that show what the device does."""

    kind: Literal["none", "plain", "rgb", "apa102", "ws2812"] = "none"
    pins: tuple[NumberOrName, ...] = ()
    """The pin of a plain LED, or those for red, green and blue."""
    active_high: bool = True
    """False where the pins sink the current (common anode)."""
    spi: UserPath = Path("/dev/spidev0.0")
    """The SPI port of APA102 and WS2812 lights."""
    count: int = Field(default=3, ge=1, le=256)
    brightness: float = Field(default=0.3, ge=0.02, le=1)
    """Of everything but plain LEDs."""
    power_pin: NumberOrName | None = None
    """An output that is switched on first: GPIO 5 on the ReSpeaker 4-Mic Array."""
    first_azimuth: float | None = Field(default=None, ge=-360, le=360)
    """Of a ring round the array: where its first light is; by default as the array's geometry says."""
    clockwise: bool | None = None
    """Whether the next light of the ring follows clockwise, seen from above."""


class DisplaySettings(Section):
    """A small screen with the live text."""

    kind: Literal["none", "ssd1306", "sh1106", "st7789"] = "none"
    width: int = Field(default=128, ge=64, le=480)
    height: int = Field(default=64, ge=32, le=480)
    rotate: int = Field(default=0, ge=0, le=3)
    """Quarter turns."""
    i2c: int = Field(default=1, ge=0, le=32)
    """The I2C port of SSD1306 and SH1106."""
    address: int = Field(default=0x3C, ge=0x08, le=0x77)
    spi: UserPath = Path("/dev/spidev0.0")
    """The SPI port of ST7789."""
    data_pin: NumberOrName = 24
    """ST7789: tells data from commands (D/C)."""
    reset_pin: NumberOrName | None = 25
    font: UserPath | None = None
    """Tried first; other scripts take what fontconfig knows."""
    font_size: int = Field(default=14, ge=8, le=96)


class PanelSettings(Section):
    """A rotary encoder and buttons for volume, language and mute; all unset by default."""

    encoder_a: NumberOrName | None = None
    encoder_b: NumberOrName | None = None
    encoder_push: NumberOrName | None = None
    """Changes whether turning means volume or language."""
    volume_up: NumberOrName | None = None
    volume_down: NumberOrName | None = None
    language: NumberOrName | None = None
    """The next language."""
    mute: NumberOrName | None = None
    volume_step: float = Field(default=0.05, gt=0, le=0.5)
    languages: Annotated[tuple[Language, ...], BeforeValidator(_list_of_languages)] = ()
    """Languages to choose among; by default all that the installed models translate into."""


class Redaction(StrEnum):
    """What can be taken out of text, since it tells who somebody is."""

    PHONE = "phone"
    CARD = "card"
    EMAIL = "email"
    IBAN = "iban"
    ID = "id"
    ADDRESS = "address"
    NAME = "name"
    """Of people, found by lists and by what stands beside them: some are missed."""


class MqttSettings(Section):
    """The broker."""

    enabled: bool = True
    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)
    base: Annotated[str, AfterValidator(_topic_part)] = "dragoman"
    device: Annotated[str, AfterValidator(_topic_level)] | None = None
    """Identifies this device below ``base``; by default the host's name."""
    username: str | None = None
    password_file: UserPath | None = None
    """A file that holds the password and nothing else; nobody but the owner should be able to read it."""
    tls: bool = False
    ca_file: UserPath | None = None
    """By default the system's CAs."""
    cert_file: UserPath | None = None
    key_file: UserPath | None = None
    text: Literal["full", "none"] = "full"
    """With ``none`` no topic carries what was said, only that something was."""
    redact: Annotated[dict[str, tuple[Redaction, ...]], AfterValidator(_topic_filters)] = Field(default_factory=dict)
    """What is taken out of the text on some topics, beside ``text.redact``: kinds by topic filter below the device,
    ``{"translation/#": ["name"]}``. What is taken out is in the outbox nowhere either."""
    keepalive: int = Field(default=30, ge=5, le=600)
    outbox: UserPath | None = None
    """The durable outbox; by default ``outbox.sqlite`` in the state folder."""
    outbox_mb: int = Field(default=64, ge=1, le=4096)
    discovery: bool = True
    """Make the device known to Home Assistant; switched off, it is removed there."""
    discovery_prefix: Annotated[str, AfterValidator(_topic_part)] = "homeassistant"


class ServerSettings(Section):
    """Programs written for Azure Speech: sockets and REST."""

    enabled: bool = False
    """Serve from the daemon; ``dragoman serve`` serves in any case."""
    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    """Any other address than this machine's own needs a key."""
    port: int = Field(default=5000, ge=0, le=65535)
    """0 takes a free one."""
    key_file: UserPath | None = None
    """A file that holds the key that programs must show, and nothing else."""
    allowed_hosts: tuple[str, ...] = ()
    """Without a key, further names of this machine that programs and browsers may use; a leading dot takes in all
    names below. Its own name, localhost, addresses and Azure's names are always right."""
    tls_port: int | None = Field(default=None, ge=0, le=65535)
    """A second port that speaks TLS: 443 for programs that know only a key and a region."""
    cert_file: UserPath | None = None
    """Certificate and key of the TLS port; by default what ``dragoman tls init`` made."""
    cert_key_file: UserPath | None = None
    connections: int = Field(default=32, ge=1, le=1000)
    """Sockets and requests served at once; what comes on top is told to come again later."""
    message_kb: int = Field(default=1024, ge=64, le=65536)
    """The longest message on a socket, and the longest text to speak."""
    upload_mb: int = Field(default=250, ge=1, le=4096)
    """The longest recording sent whole."""
    longest_audio: float = Field(default=7200, ge=1, le=86400)
    """Seconds of audio in one turn or recording."""
    idle: float = Field(default=300, ge=1, le=3600)
    """Seconds without a message after which a socket is closed."""
    batch_workers: int = Field(default=1, ge=0, le=16)
    """Recordings of batch transcriptions worked on at once; 0 leaves them waiting."""
    batch_folders: tuple[UserPath, ...] = ()
    """Folders whose recordings may be asked for by ``file:`` addresses; none by default."""
    batch_hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = ()
    """Hosts whose recordings may be asked for by ``http:`` and ``https:`` addresses; none by default."""


class Profanity(StrEnum):
    """What becomes of offensive words."""

    RAW = "raw"
    MASKED = "masked"
    REMOVED = "removed"
    TAGGED = "tagged"


class TextSettings(Section):
    """How what was said is written."""

    fluent: bool = True
    """Leave out hesitations, repetitions, false starts and what speakers take back."""
    numbers: bool = True
    """Write numbers, times, dates and amounts in digits."""
    punctuation: bool = True
    """Put capitals and marks where the recogniser writes none."""
    profanity: Profanity = Profanity.RAW
    """In transcripts, translations and captions; what is masked or removed is not spoken either."""
    profanity_words: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Further offensive words by language, ``{"en": ["dratted", "blast*"]}``; ``*`` stands for any ending, and a
    word with ``!`` before it is innocent."""
    redact: tuple[Redaction, ...] = ()
    """What is taken out of transcripts, translations, captions and speech."""
    phrases: tuple[str, ...] = ()
    """Names and terms that speakers are likely to say: what was heard nearly like them is written like them."""
    glossary: Annotated[dict[str, dict[str, str]], AfterValidator(_glossary)] = Field(default_factory=dict)
    """How terms are translated, by pair of languages: ``{"en>pt": {"gateway": "porta de ligação"}}``."""


class UpdateSettings(Section):
    """Signed updates (``dragoman update``)."""

    key_file: UserPath = Path("/etc/dragoman/update.pub")
    """The owner's public keys in minisign's format; without the file no update is taken."""
    source: str | None = None
    """A folder, or an http address, where ``dragoman update`` looks."""
    health_timeout: float = Field(default=600, ge=10, le=3600)
    """Seconds that a new version has to become ready, and again for its health check."""


class LogSettings(Section):
    """What the daemon writes to its log (never what people said)."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Section):
    """Everything that can be configured, by room."""

    directions: tuple[DirectionSettings, ...] = Field(default=(DirectionSettings(),), min_length=1, max_length=2)
    identify: bool = False
    """Tell by ear which of two directions is spoken, so that one open microphone serves both."""
    models: ModelSettings = ModelSettings()
    endpoint: EndpointSettings = EndpointSettings()
    partials: PartialSettings = PartialSettings()
    speakers: SpeakerSettings = SpeakerSettings()
    speech: SpeechSettings = SpeechSettings()
    audio: AudioSettings = AudioSettings()
    frontend: FrontendSettings = FrontendSettings()
    controls: ControlSettings = ControlSettings()
    panel: PanelSettings = PanelSettings()
    leds: LedSettings = LedSettings()
    display: DisplaySettings = DisplaySettings()
    mqtt: MqttSettings = MqttSettings()
    server: ServerSettings = ServerSettings()
    text: TextSettings = TextSettings()
    update: UpdateSettings = UpdateSettings()
    log: LogSettings = LogSettings()
    state_directory: UserPath | None = None
    """Durable state; by default ``$STATE_DIRECTORY``, else the user's state folder."""
