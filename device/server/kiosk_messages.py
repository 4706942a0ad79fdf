"""What a kiosk page says to the device: one JSON object a text message; audio comes in binary messages.

Between ``begin`` and ``end`` every binary message is 16-bit little-endian PCM, one channel, at the turn's rate.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from device.config import Language
from device.errors import UsageError

LONGEST_TEXT = 2000
"""Characters of a text that somebody typed, or wants to hear again."""

Side = Annotated[int, Field(ge=0, le=1)]
Id = Annotated[str, Field(min_length=1, max_length=80)]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class _Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Hello(_Ask):
    """The first message: what lets the page in, where a key is needed."""

    do: Literal["hello"]
    key: Annotated[str, Field(max_length=1000)] | None = None
    pass_: Annotated[str, Field(max_length=1000)] | None = Field(default=None, alias="pass")


class Open(_Ask):
    """Go into a conversation: the page's own (``here``), or the device's, with its microphone and speaker."""

    do: Literal["open"]
    place: Literal["here", "device"]
    sides: tuple[Language, Language] | None = None
    """The languages of the two sides; by default those that are set."""
    sound: bool = True
    """Whether translations are to be spoken in the page."""


class Begin(_Ask):
    """Somebody presses the button of a side."""

    do: Literal["begin"]
    side: Side
    rate: Annotated[int, Field(ge=8000, le=192_000)] = 16_000
    """Samples a second of the audio that follows."""


class End(_Ask):
    """The button is released."""

    do: Literal["end"]


class Translate(_Ask):
    """Translate what somebody typed."""

    do: Literal["translate"]
    id: Id
    source: Language
    target: Language
    text: Text


class Speak(_Ask):
    """Speak a text again."""

    do: Literal["speak"]
    id: Id
    language: Language
    text: Text


class Hush(_Ask):
    """Be silent."""

    do: Literal["hush"]


class Mute(_Ask):
    """Let the device stop or begin to listen at all."""

    do: Literal["mute"]
    muted: bool


class Invite(_Ask):
    """Show how another machine opens the page."""

    do: Literal["invite"]


class Ping(_Ask):
    """Find out whether somebody is there."""

    do: Literal["ping"]


Message = Hello | Open | Begin | End | Translate | Speak | Hush | Mute | Invite | Ping

_READER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="do")])


def parse(text: str) -> Message:
    """Read one message.

    Raises
    ------
    UsageError
        It is none; the message repeats nothing of what people said.
    """
    try:
        return _READER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:80]
        raise UsageError(f"the page sent what is not understood: {where}: {first['msg'][:200]}") from None
