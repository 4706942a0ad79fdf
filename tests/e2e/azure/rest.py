"""A program that knows nothing but Azure's client of fast transcription: prints what it is told as JSON."""

import json
import sys
from pathlib import Path

from azure.ai.transcription import TranscriptionClient
from azure.ai.transcription.models import TranscriptionContent, TranscriptionOptions
from azure.core.credentials import AzureKeyCredential

HOST, PATH, *LOCALES = sys.argv[1:]
with Path(PATH).open("rb") as audio:
    client = TranscriptionClient(endpoint=HOST, credential=AzureKeyCredential("no-key-needed"))
    result = client.transcribe(
        TranscriptionContent(
            definition=TranscriptionOptions(locales=LOCALES, profanity_filter_mode="Masked"), audio=audio
        )
    )
print(
    json.dumps(
        {
            "duration": result.duration_milliseconds,
            "text": result.combined_phrases[0].text,
            "words": [[w.text, w.offset_milliseconds] for p in result.phrases for w in p.words or ()],
            "phrases": [[p.offset_milliseconds, p.duration_milliseconds, p.text, p.locale] for p in result.phrases],
        }
    )
)
