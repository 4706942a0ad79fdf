"""A program that knows nothing but Azure's client of fast transcription: prints what it is told as JSON."""

import json
import sys
from pathlib import Path

from azure.ai.transcription import TranscriptionClient
from azure.ai.transcription.models import (
    TranscriptionContent,
    TranscriptionDiarizationOptions,
    TranscriptionOptions,
)
from azure.core.credentials import AzureKeyCredential

HOST, PATH, *LOCALES = sys.argv[1:]
SPEAKERS = int(LOCALES.pop()) if LOCALES[-1].isdigit() else None
with Path(PATH).open("rb") as audio:
    client = TranscriptionClient(endpoint=HOST, credential=AzureKeyCredential("no-key-needed"))
    result = client.transcribe(
        TranscriptionContent(
            definition=TranscriptionOptions(
                locales=LOCALES,
                profanity_filter_mode="Masked",
                diarization_options=TranscriptionDiarizationOptions(max_speakers=SPEAKERS) if SPEAKERS else None,
            ),
            audio=audio,
        )
    )
print(
    json.dumps(
        {
            "duration": result.duration_milliseconds,
            "text": result.combined_phrases[0].text,
            "words": [[w.text, w.offset_milliseconds] for p in result.phrases for w in p.words or ()],
            "speakers": [p.speaker for p in result.phrases],
            "phrases": [[p.offset_milliseconds, p.duration_milliseconds, p.text, p.locale] for p in result.phrases],
        }
    )
)
