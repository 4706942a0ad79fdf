"""Settings of what others reach: the broker, and the server for programs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from device.config.section import Section
from device.config.text import Redaction
from device.config.values import Host, TopicLevel, TopicPart, UserPath


def _topic_filters(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what is no topic filter (MQTT 5, 4.7.1)."""
    for name in value:
        *levels, last = name.split("/")
        if not name or any("#" in part for part in levels) or (len(last) > 1 and "#" in last):
            raise ValueError(f"expected a topic filter such as translation/#, not {name[:60]!r}")
        if name.startswith("/") or any("+" in part and part != "+" for part in (*levels, last)):
            raise ValueError(f"expected a topic filter below the device such as translation/+, not {name[:60]!r}")
    return value


class MqttSettings(Section):
    """The broker."""

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)
    base: TopicPart = "dragoman"
    device: TopicLevel | None = None
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
    discovery_prefix: TopicPart = "homeassistant"


class ServerSettings(Section):
    """Programs written for Azure Speech: sockets and REST."""

    enabled: bool = False
    """Serve from the daemon; ``dragoman serve`` serves in any case."""
    host: Host = "127.0.0.1"
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
    batch_hosts: tuple[Host, ...] = ()
    """Hosts whose recordings may be asked for by ``http:`` and ``https:`` addresses; none by default."""
