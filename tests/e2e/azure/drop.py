"""Cuts the SDK's connection once in the middle of a turn, and prints what was recognised all the same."""

import asyncio
import json
import sys
import threading

import azure.cognitiveservices.speech as speech

HOST, PATH, AFTER = sys.argv[1], sys.argv[2], float(sys.argv[3])
PORT = int(HOST.rsplit(":", 1)[1])
cut = threading.Event()


async def relay(reader, writer):
    """Pass bytes on in both directions until the cut."""
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", PORT)

    async def pump(source, sink):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    pumps = [asyncio.create_task(pump(reader, there_writer)), asyncio.create_task(pump(there_reader, writer))]
    if not cut.is_set():
        cut.set()
        await asyncio.sleep(AFTER)
        for task in pumps:
            task.cancel()
        writer.transport.abort()
        there_writer.transport.abort()
    await asyncio.gather(*pumps, return_exceptions=True)


async def serve(ready):
    server = await asyncio.start_server(relay, "127.0.0.1", 5001)
    ready.set()
    async with server:
        await server.serve_forever()


ready = threading.Event()
threading.Thread(target=lambda: asyncio.run(serve(ready)), daemon=True).start()
ready.wait()
over = threading.Event()
config = speech.SpeechConfig(host="ws://127.0.0.1:5001")
recognizer = speech.SpeechRecognizer(config, speech.audio.AudioConfig(filename=PATH))
texts = []
recognizer.recognized.connect(lambda e: texts.append(e.result.text))
errors = []
recognizer.canceled.connect(lambda e: errors.append(e.cancellation_details.reason.name))
recognizer.session_stopped.connect(lambda e: over.set())
recognizer.start_continuous_recognition_async().get()
over.wait(150)
recognizer.stop_continuous_recognition_async().get()
print(json.dumps({"texts": texts, "ends": errors}))
