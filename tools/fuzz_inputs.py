"""What strangers may send to the server: frames, JSON, audio headers, SSML, and bytes that are none of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from device.server.frames import write_binary
from device.server.wave import wave_header

Message = str | bytes

KEYS = st.sampled_from(
    [
        "phraseDetection", "mode", "language", "translation", "targetLanguages", "onSuccess", "action", "synthesis",
        "defaultVoices", "languageId", "languages", "phraseOutput", "format", "detailed", "options", "dgi", "Groups",
        "Items", "Text", "segmentation", "segmentationSilenceTimeoutMs", "initialSilenceTimeout", "enrichment",
        "profanity", "audio", "outputFormat", "metadataOptions", "input", "bidirectionalStreamingMode", "context",
    ]
)  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["en-US", "pt", "INTERACTIVE", "Synthesize", "masked", "raw-16khz-16bit-mono-pcm", "Detailed"])
)  # fmt: skip
TREES = st.recursive(LEAVES, lambda c: st.lists(c, max_size=3) | st.dictionaries(KEYS, c, max_size=4), max_leaves=12)
"""JSON that is made of the keys the clients write, in the wrong places."""
OBJECTS = st.dictionaries(KEYS, TREES, max_size=4)
_CONTEXTS = st.sampled_from(["speech.config", "speech.context", "synthesis.context", "synthesis.control", "telemetry"])
_NAMES = st.sampled_from([*"ab", "speech.context", "synthesis.context", "ssml", "audio", "text.piece", "text.end"])
_IDS = st.sampled_from(["", "a" * 32, "b" * 32]) | st.text(max_size=5)
_SAMPLES = st.binary(max_size=400)


def _text(path: str, request: str, body: str) -> str:
    return f"Path:{path}\r\nX-RequestId:{request}\r\n\r\n{body}"


def _sound(request: str, data: bytes) -> bytes:
    return write_binary("audio", request.replace("\r", "").replace("\n", ""), data, None)


# Headers of frames

_HEADER = st.text(max_size=12) | st.sampled_from(["Path", "X-RequestId", "x-requestid", "Content-Type", "PATH "])
_HEADERS = st.lists(
    st.tuples(_HEADER, st.sampled_from([":", ": ", "", "::"]), st.text(max_size=20) | _NAMES), max_size=8
) | st.integers(60, 80).map(lambda count: [(f"h{number}", ":", "v") for number in range(count)])


@st.composite
def headers(draw: DrawFn) -> Message:
    """Make a frame of which the headers are odd, in text or with a length that need not be true."""
    end = draw(st.sampled_from(["\r\n", "\n", "\r\n\r\n", ""]))
    head = "".join(f"{name}{colon}{value}{end}" for name, colon, value in draw(_HEADERS))
    if draw(st.booleans()):
        return f"{head}\r\n{draw(st.text(max_size=20))}"
    data = head.encode("utf-8", "replace")
    length = draw(st.just(len(data)) | st.integers(0, 65_535))
    return length.to_bytes(2, "big") + data + draw(st.binary(max_size=20))


# JSON

_NOT_QUITE = st.text(max_size=50) | st.integers(2, 5000).map(lambda deep: '{"a":' * deep + "1" + "}" * deep)


@st.composite
def contexts(draw: DrawFn) -> Message:
    """Make a message with a JSON body, or what looks like one."""
    body = draw(OBJECTS.map(json.dumps) | OBJECTS.map(json.dumps) | TREES.map(json.dumps) | _NOT_QUITE)
    return _text(draw(_CONTEXTS), "a" * 32, body)


# Headers of audio

_CHUNK = st.tuples(
    st.sampled_from([b"fmt ", b"data", b"LIST", b"fact"]) | st.binary(min_size=4, max_size=4),
    st.sampled_from([0, 16, 18, 40, 0xFFFFFFFF]) | st.integers(0, 2**32 - 1),
    st.binary(max_size=48),
)


@st.composite
def fmt(draw: DrawFn) -> bytes:
    """Make a ``fmt`` chunk with numbers that nobody sends."""
    number = st.sampled_from([0, 1, 2, 8, 16, 24, 32, 64, 0xFFFF]) | st.integers(0, 0xFFFF)
    rate = st.sampled_from([0, 1, 8000, 16_000, 44_100, 48_000, 192_000, 0xFFFFFFFF]) | st.integers(0, 2**32 - 1)
    kind = draw(st.sampled_from([0, 1, 3, 6, 7, 0xFFFE]) | number)
    body = struct.pack("<HHIIHH", kind, draw(number), draw(rate), draw(rate), draw(number), draw(number))
    return b"fmt " + struct.pack("<I", draw(st.sampled_from([16, 18, len(body)]))) + body


@st.composite
def riff(draw: DrawFn) -> bytes:
    """Make the beginning of a WAVE file: a true one, one of odd chunks, or one cut off."""
    chunks = b"".join(name + struct.pack("<I", size) + body for name, size, body in draw(st.lists(_CHUNK, max_size=4)))
    begin = draw(st.sampled_from([b"RIFF\0\0\0\0WAVE", b"RIFF\xff\xff\xff\xffWAVE", b"RIFX\0\0\0\0WAVE", b"RIFF"]))
    made = begin + chunks + draw(st.just(b"") | fmt()) + draw(st.sampled_from([b"data\0\0\0\0", b"data", b""]))
    whole = draw(st.sampled_from([made, made, wave_header(16_000), wave_header(8_000)]) | st.binary(max_size=60))
    return whole[: draw(st.sampled_from([len(whole), len(whole), 43, 20]))] + draw(_SAMPLES)


def sounds() -> SearchStrategy[Message]:
    """Make frames of audio."""
    return st.builds(_sound, _IDS, riff())


# SSML

TAGS = st.sampled_from(["p", "s", "voice", "prosody", "break", "sub", "say-as", "bookmark", "audio", "x:y", "emphasis"])
_VALUES = st.text(max_size=12) | st.sampled_from(["en-US-BobNeural", "fast", "-20%", "1s", "x-high", "9e999", "+0st"])
ATTRIBUTES = st.lists(
    st.tuples(st.sampled_from(["name", "rate", "pitch", "volume", "time", "strength", "alias", "mark"]), _VALUES),
    max_size=3, unique_by=lambda pair: pair[0],
)  # fmt: skip
BOMB = "".join(
    ["<!DOCTYPE speak [<!ENTITY a 'ha'>"]
    + [f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>" for i in range(12)]
    + ["]><speak>&m;</speak>"]
)
OUTSIDE = (
    "<!DOCTYPE speak [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><speak>&x;</speak>",
    "<!DOCTYPE speak [<!ENTITY % x SYSTEM 'http://127.0.0.1:9/x.dtd'> %x;]><speak/>",
    "<!DOCTYPE speak SYSTEM 'http://127.0.0.1:9/x.dtd'><speak/>",
    "<speak xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='file:///etc/passwd'/></speak>",
    "<speak><audio src='file:///etc/passwd'/></speak>",
)


@st.composite
def elements(draw: DrawFn, depth: int = 3) -> str:
    """Make an element of SSML, with others in it."""
    inner = "".join(draw(st.lists(elements(depth=depth - 1), max_size=2))) if depth else ""
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in draw(ATTRIBUTES))
    tag = draw(TAGS)
    return f"<{tag}{attributes}>{escape(draw(st.text(max_size=3)))}{inner}</{tag}>"


def documents() -> SearchStrategy[str]:
    """Make SSML documents: of known elements, bombs, of things from elsewhere, very deep or long ones, and none."""
    nested = st.integers(1, 3000).map(lambda deep: f"<speak>{'<p>' * deep}{'</p>' * deep}</speak>")
    long = st.integers(1, 100_000).map(lambda n: f"<speak><voice name='{'x' * n}'/></speak>")
    return st.one_of(
        elements().map(lambda inner: f"<speak>{inner}</speak>"),
        elements(),
        st.sampled_from([BOMB, *OUTSIDE]),
        st.tuples(st.sampled_from([BOMB, *OUTSIDE]), st.integers(0, 120)).map(lambda cut: cut[0][: -cut[1] or None]),
        nested,
        long,
        st.text(max_size=60),
    )


HUGE = "<speak><voice name='" + "x" * 10_000_000 + "'>a</voice></speak>"
"""An attribute of 10 MB."""


def ssml() -> SearchStrategy[Message]:
    """Make messages that ask for a document to be spoken."""
    return st.builds(lambda body: _text("ssml", "a" * 32, body), documents())


# The kiosk page

_ASKS = st.fixed_dictionaries(
    {"do": st.sampled_from(["open", "begin", "end", "translate", "speak", "hush", "mute", "invite", "ping", "dance"])},
    optional={
        "place": st.sampled_from(["here", "device", ""]), "side": st.integers(-1, 2) | LEAVES, "muted": LEAVES,
        "sides": st.lists(st.sampled_from(["en", "pt", "xx", ""]), max_size=3), "rate": st.integers(-1, 200_000),
        "id": st.text(max_size=90), "text": st.text(max_size=5), "source": st.sampled_from(["en", "pt", "xx"]),
        "target": st.sampled_from(["pt", "en", ""]), "language": st.sampled_from(["en", "pt", "xx"]), "sound": LEAVES,
    },
)  # fmt: skip


def asks() -> SearchStrategy[list[Message]]:
    """Make what a kiosk page could say, after its greeting."""
    rest = st.lists(_ASKS.map(json.dumps) | TREES.map(json.dumps) | st.text(max_size=20) | _SAMPLES, max_size=4)
    return rest.map(lambda more: ['{"do": "hello"}', *more]) | rest


# All of it, and none of it


@st.composite
def _texts(draw: DrawFn) -> Message:
    body = draw(TREES.map(json.dumps) | st.text(max_size=50) | st.just("<speak>a</speak>"))
    return _text(draw(_NAMES), draw(_IDS), body)


MESSAGES: SearchStrategy[Message] = _texts() | sounds() | contexts() | st.text(max_size=60) | st.binary(max_size=60)

_LINES = st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=10)
_STARTS = st.sampled_from(
    [
        "GET / HTTP/1.1", "GET /stt/speech/universal/v2 HTTP/1.1", "POST /cognitiveservices/v1 HTTP/1.1",
        "PRI * HTTP/2.0", "GET", "BREW /pot HTTP/1.1", "GET / HTTP/9.9", "POST /languages HTTP/1.0", "",
    ]
)  # fmt: skip
_FIELDS = st.sampled_from(
    [
        "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAA", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 99",
        "Content-Length: 99999999999999999999", "Content-Length: -1", "Content-Length: 5", "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked", "Expect: 100-continue", "Content-Type: multipart/form-data; boundary=",
    ]
)  # fmt: skip


@st.composite
def raw(draw: DrawFn) -> bytes:
    """Make the bytes of a request that is nearly one."""
    lines = [draw(_STARTS), *draw(st.lists(_FIELDS, max_size=6)), *draw(_LINES)]
    text = "\r\n".join(lines) + draw(st.sampled_from(["\r\n\r\n", "\r\n\r\n5\r\nhello\r\nzz\r\n", "\r\n", ""]))
    return text.encode("latin-1") + draw(st.binary(max_size=50))


def some(message: Callable[[], SearchStrategy[Message]], most: int = 3) -> SearchStrategy[list[Message]]:
    """Make a few messages of one kind."""
    return st.lists(message(), min_size=1, max_size=most)


def encodable(message: Message) -> Message:
    """Return a message without what no WebSocket carries: lone surrogates."""
    return message if isinstance(message, bytes) else message.encode("utf-8", "replace").decode()
