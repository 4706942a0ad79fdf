"""The description of the REST interfaces (https://spec.openapis.org/oas/v3.1.0), as it is served."""

from __future__ import annotations

from typing import Any, Final

from device import __version__
from device.server.diarization import MOST_ASKED
from device.server.encoding import FORMATS
from device.speakers import MOST

_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "innerError": {
                    "type": "object",
                    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                },
            },
        }
    },
}
_TICKS: Final = {"type": "integer", "minimum": 0, "description": "Units of 100 ns."}
_NUMBER: Final = {"type": "integer", "minimum": 1}
_PEOPLE: Final = {
    "type": "integer", "minimum": 1, "maximum": MOST_ASKED, "description": f"{MOST} are told apart at most.",
}  # fmt: skip
_MILLISECONDS: Final = {"type": "integer", "minimum": 0}
_FORMS: Final = {name: {"type": "string"} for name in ("lexical", "itn", "maskedITN", "display")}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Final = {"type": "string"}
_SCHEMAS: Final[dict[str, Any]] = {
    "Error": _ERROR,
    "Voice": _object(
        ("Name", "ShortName", "Locale"), Name=_TEXT, DisplayName=_TEXT, LocalName=_TEXT, ShortName=_TEXT, Gender=_TEXT,
        Locale=_TEXT, LocaleName=_TEXT, StyleList=_array(_TEXT), SampleRateHertz=_TEXT, VoiceType=_TEXT, Status=_TEXT,
        WordsPerMinute=_TEXT,
    ),
    "ShortAudio": _object(
        ("RecognitionStatus", "Offset", "Duration"),
        RecognitionStatus={"enum": ["Success", "NoMatch"]}, DisplayText=_TEXT, Offset=_TICKS, Duration=_TICKS,
        NBest=_array(_object((), Confidence={"type": "number"}, Lexical=_TEXT, ITN=_TEXT, MaskedITN=_TEXT,
                             Display=_TEXT, Words=_array(_object()))),
    ),
    "FastTranscript": _object(
        ("combinedPhrases", "phrases"), durationMilliseconds=_MILLISECONDS,
        combinedPhrases=_array(_object(("text",), channel={"type": "integer"}, text=_TEXT)),
        phrases=_array(_object(
            ("text", "locale"), channel={"type": "integer"}, offsetMilliseconds=_MILLISECONDS,
            durationMilliseconds=_MILLISECONDS, text=_TEXT, locale=_TEXT, confidence={"type": "number"},
            speaker=_NUMBER, words=_array(_object(("text",), text=_TEXT)),
        )),
    ),
    "NewTranscription": _object(
        ("displayName", "locale"), displayName={"type": "string", "minLength": 1}, locale=_TEXT,
        contentUrls={"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1000},
        contentContainerUrl=_TEXT, description=_TEXT, customProperties={"type": "object"},
        properties=_object(
            (), wordLevelTimestampsEnabled={"type": "boolean"}, diarizationEnabled={"type": "boolean"},
            diarization=_object(
                (), enabled={"type": "boolean"}, maxSpeakers=_PEOPLE, speakers=_object((), minCount=_PEOPLE,
                                                                                       maxCount=_PEOPLE),
            ),
            channels=_array({"type": "integer"}), punctuationMode=_TEXT, profanityFilterMode=_TEXT,
            languageIdentification=_object((), candidateLocales=_array(_TEXT)), timeToLive=_TEXT,
        ),
    ),
    "Changes": {
        **_object((), displayName={"type": "string", "minLength": 1}, description={"type": "string", "minLength": 1},
                  customProperties={"type": "object"}),
        "additionalProperties": False,
    },
    "Transcription": _object(
        ("self", "links", "status", "createdDateTime", "lastActionDateTime"),
        self=_TEXT, links=_object(("files",), files=_TEXT),
        status={"enum": ["NotStarted", "Running", "Succeeded", "Failed"]}, createdDateTime=_TEXT,
        lastActionDateTime=_TEXT, displayName=_TEXT, locale=_TEXT, properties={"type": "object"},
    ),
    "Transcriptions": {
        **_object(("values",), values=_array(_ref("Transcription"))),
    },
    "File": _object(
        ("self", "name", "kind", "links"), self=_TEXT, name=_TEXT, kind={"enum": ["Transcription",
        "TranscriptionReport"]}, properties=_object((), size={"type": "integer"}), createdDateTime=_TEXT,
        links=_object(("contentUrl",), contentUrl=_TEXT),
    ),
    "Files": _object(("values",), values=_array(_ref("File"))),
    "TranscriptFile": _object(
        ("combinedRecognizedPhrases", "recognizedPhrases"), source=_TEXT, timestamp=_TEXT, durationInTicks=_TICKS,
        duration=_TEXT, combinedRecognizedPhrases=_array(_object((), channel={"type": "integer"}, **_FORMS)),
        recognizedPhrases=_array(_object(("nBest",), speaker=_NUMBER, nBest=_array(_object(("display",), **_FORMS)))),
    ),
    "ReportFile": _object(
        ("successfulTranscriptionsCount", "failedTranscriptionsCount", "details"),
        successfulTranscriptionsCount={"type": "integer"}, failedTranscriptionsCount={"type": "integer"},
        details=_array(_object(("source", "status"), source=_TEXT, status=_TEXT)),
    ),
}  # fmt: skip


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _answers(*failures: int, **good: Any) -> dict[str, Any]:
    found = {name.lstrip("_"): {"description": "Done.", "content": content} for name, content in good.items()}
    for status in (*failures, 400, 401, 403, 408, 429):
        found[str(status)] = {"description": "Refused.", "content": _json(_ref("Error"))}
    return found


def _query(name: str, schema: Any = None, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema or _TEXT}


_ID: Final = {"name": "id", "in": "path", "required": True, "schema": _TEXT}
_FILE: Final = {"name": "file", "in": "path", "required": True, "schema": _TEXT}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_LIVE: Final = [_query("to"), _query("both", {"enum": ["0", "1"]})]
_JOBS: Final = "/speechtotext/v3.2/transcriptions"


def description() -> dict[str, Any]:
    """Return the whole description."""
    voices = {"get": {"operationId": "listVoices", "responses": _answers(_200=_json(_array(_ref("Voice"))))}}
    speak = {
        "post": {
            "operationId": "speak",
            "parameters": [
                {"name": "X-Microsoft-OutputFormat", "in": "header", "schema": {"enum": list(FORMATS)}},
            ],
            "requestBody": {"required": True, "content": {"application/ssml+xml": {"schema": _TEXT}}},
            "responses": _answers(413, _200={"audio/*": _BINARY, "audio/x-wav": _BINARY}),
        }
    }
    recognize = {
        "post": {
            "operationId": "recognizeShortAudio",
            "parameters": [
                {"name": "mode", "in": "path", "required": True,
                 "schema": {"enum": ["interactive", "conversation", "dictation"]}},
                _query("language", required=True), _query("format", {"enum": ["simple", "detailed"]}),
                _query("profanity"),
            ],
            "requestBody": {"required": True, "content": {"audio/wav": _BINARY, "audio/ogg": _BINARY}},
            "responses": _answers(413, _200=_json(_ref("ShortAudio"))),
        }
    }  # fmt: skip
    fast = {
        "post": {
            "operationId": "transcribe",
            "parameters": [_query("api-version")],
            "requestBody": {
                "required": True,
                "content": {
                    "multipart/form-data": {
                        "schema": _object(("audio",), audio={"type": "string", "format": "binary"}, definition=_TEXT)
                    }
                },
            },
            "responses": _answers(413, _200=_json(_ref("FastTranscript"))),
        }
    }
    body = {"required": True, "content": _json(_ref("NewTranscription"))}
    changes = {"required": True, "content": _json(_ref("Changes"))}
    one = _json(_ref("Transcription"))
    digits = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
    paths: dict[str, Any] = {
        "/cognitiveservices/voices/list": voices,
        "/cognitiveservices/v1": speak,
        "/speech/recognition/{mode}/cognitiveservices/v1": recognize,
        "/sts/v1.0/issueToken": {
            "post": {"operationId": "issueToken", "responses": _answers(_200={"application/jwt": {"schema": _TEXT}})}
        },
        "/speechtotext/transcriptions:transcribe": fast,
        _JOBS: {
            "get": {"operationId": "listTranscriptions", "parameters": [_query("skip", digits), _query("top", digits)],
                    "responses": _answers(503, _200=_json(_ref("Transcriptions")))},
            "post": {"operationId": "createTranscription", "requestBody": body, "responses": _answers(413, 503,
                     _201=one)},
        },
        f"{_JOBS}/{{id}}": {
            "parameters": [_ID],
            "get": {"operationId": "getTranscription", "responses": _answers(404, 503, _200=one)},
            "patch": {"operationId": "changeTranscription", "requestBody": changes,
                      "responses": _answers(404, 413, 503, _200=one)},
            "delete": {"operationId": "deleteTranscription", "responses": {
                **_answers(503), "204": {"description": "It is gone, or never was."}}},
        },
        f"{_JOBS}/{{id}}/files": {
            "parameters": [_ID], "get": {"operationId": "listFiles", "responses": _answers(404, 503,
                                         _200=_json(_ref("Files")))},
        },
        f"{_JOBS}/{{id}}/files/{{file}}": {
            "parameters": [_ID, _FILE],
            "get": {"operationId": "getFile", "responses": _answers(404, 503, _200=_json(_ref("File")))},
        },
        f"{_JOBS}/{{id}}/files/{{file}}/content": {
            "parameters": [_ID, _FILE],
            "get": {"operationId": "getFileContent", "responses": _answers(404, 503, _200=_json(
                {"anyOf": [_ref("TranscriptFile"), _ref("ReportFile")]}))},
        },
        "/captions/live.vtt": {"get": {"operationId": "followCaptions", "parameters": _LIVE, "responses": _answers(
            404, _200={"text/vtt": {"schema": _TEXT}})}},
        "/captions/events": {"get": {"operationId": "followEvents", "parameters": _LIVE, "responses": _answers(
            404, _200={"text/event-stream": {"schema": _TEXT}})}},
        "/languages": {
            "get": {"operationId": "listLanguages", "security": [],
                    "description": "Names of languages are English, whatever Accept-Language asks for.",
                    "parameters": [_query("scope")],
                    "responses": _answers(_200=_json(_object((), speech={"type": "object"},
                                          text={"type": "object"}, tts={"type": "object"})))},
        },
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dragoman", "version": __version__, "description": "Speech, on this device alone."},
        "security": [{"key": []}, {}],
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "Ocp-Apim-Subscription-Key"}},
        },
    }
