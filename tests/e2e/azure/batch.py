"""A program that knows nothing but batch transcription's addresses: prints each phrase as JSON."""

import json
import sys
import time
import urllib.request

HOST, SOURCE, PROPERTIES = sys.argv[1:]


def ask(address, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


job = ask(
    f"{HOST}/speechtotext/v3.2/transcriptions",
    {"displayName": "talk", "locale": "en-US", "contentUrls": [SOURCE], "properties": json.loads(PROPERTIES)},
)
while job["status"] not in {"Succeeded", "Failed"}:
    time.sleep(0.2)
    job = ask(job["self"])
for file in ask(job["links"]["files"])["values"]:
    if file["kind"] == "Transcription":
        for phrase in ask(file["links"]["contentUrl"])["recognizedPhrases"]:
            start, length = phrase["offsetInTicks"] / 1e7, phrase["durationInTicks"] / 1e7
            text = phrase["nBest"][0]["display"]
            print(json.dumps({"start": start, "end": start + length, "speaker": phrase.get("speaker"), "text": text}))
