"""Many conversations at once: who goes first, who is heard together, and what is left out when there is too much."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from device.audio.wav import to_pcm16
from device.engines.scheduler import Priority
from device.interpreter import Interpreter
from device.server import service, views
from device.server.connections import QUEUED
from device.server.ear import Ear
from device.server.outbox import Outbox
from device.server.patience import Patience
from device.server.views import Load, Shared
from device.server.wave import wave_header
from tests.server.conftest import ServedEngines, bodies, wait_for
from tests.support.engines import silence, speak

TALKING = speak("one two three")
"""Long enough for a partial."""
SAID = np.concatenate([TALKING, silence(0.35)])
"""An utterance and its end."""


@pytest.fixture
def patient(monkeypatch):
    """Nobody who sends too fast is held up."""
    monkeypatch.setattr(service, "AHEAD", 60.0)


def accepted(engines):
    """Return a list that grows by the priority of every job that the scheduler takes."""
    taken, submit = [], engines.scheduler.submit

    def noted(priority, call, *args, **more):
        job = submit(priority, call, *args, **more)
        if job is not None:
            taken.append(priority)
        return job

    engines.scheduler.submit = noted
    return taken


def test_a_final_goes_before_the_partials_of_others_that_wait_longer(serve, dial, patient):
    engines = ServedEngines(workers=1)
    address = serve(engines=engines, endpoint={"silence": 0.25})
    taken = accepted(engines)
    engines.asr.gate.clear()  # the first partial does not end before all the others wait
    for count in range(1, 5):
        talker = dial(address)
        talker.context({})
        talker.audio(TALKING)
        wait_for(lambda count=count: taken.count(Priority.PARTIAL) == count)
    done = dial(address)
    done.context({})
    done.audio(SAID)
    wait_for(lambda: Priority.FINAL in taken)
    engines.asr.gate.set()
    done.end()
    assert bodies(done.turn(), "speech.phrase")
    wait_for(lambda: len(engines.asr.calls) >= 5)
    engines.close()
    assert [final for _, final in engines.asr.calls[:5]] == [False, True, False, False, False]


def test_finals_come_in_the_order_in_which_speakers_ended(serve, dial, patient):
    engines = ServedEngines(workers=1)
    address = serve(engines=engines, endpoint={"silence": 0.25})
    taken = accepted(engines)
    engines.asr.gate.clear()
    speakers = []
    for count, lead in enumerate([0, 0.07] * 2, 1):
        speakers.append(dial(address))
        speakers[-1].context({})
        speakers[-1].audio(np.concatenate([silence(lead), SAID]))
        wait_for(lambda count=count: taken.count(Priority.FINAL) == count)
    engines.asr.gate.set()
    for speaker in speakers:
        speaker.end()
        assert bodies(speaker.turn(), "speech.phrase")
    engines.close()
    short, long = sorted({length for length, final in engines.asr.calls if final})
    assert [length for length, final in engines.asr.calls if final] == [short, long] * 2


# Left out while finals are late


def blocked(engines):
    """Keep the only worker busy until the returned event is set."""
    running, release = threading.Event(), threading.Event()

    def job():
        running.set()
        assert release.wait(60)

    engines.scheduler.submit(Priority.FINAL, job)
    assert running.wait(60)
    return release


@pytest.fixture
def engines():
    engines = ServedEngines(workers=1)
    yield engines
    engines.close()


def test_partials_are_left_out_while_finals_wait_long_and_come_back(engines, monkeypatch):
    monkeypatch.setattr(views, "LATE", 0.0)
    load = Load()
    shared = Shared(engines, load)
    release = blocked(engines)
    final = shared.submit(Priority.FINAL, int)
    release.set()
    assert final.result(60) == 0
    assert load.high
    assert shared.submit(Priority.PARTIAL, int) is None
    assert shared.submit(Priority.AHEAD, int) is None
    assert shared.submit(Priority.SPEECH, int).result(60) == 0
    assert shared.submit(Priority.FINAL, int).result(60) == 0
    load._late_until = time.monotonic()
    assert shared.submit(Priority.PARTIAL, int).result(60) == 0


def test_a_slow_final_alone_leaves_nothing_out(engines, monkeypatch):
    monkeypatch.setattr(views, "LATE", 0.2)
    load = Load()
    assert Shared(engines, load).submit(Priority.FINAL, time.sleep, 0.3).result(60) is None
    assert not load.high


def test_nothing_is_worked_ahead_while_a_final_waits(engines):
    shared = Shared(engines, Load())
    release = blocked(engines)
    final = shared.submit(Priority.FINAL, int)
    assert shared.submit(Priority.AHEAD, int) is None
    release.set()
    final.result(60)


# One ear for all


class Interpreted:
    """What one conversation heard."""

    def __init__(self, fails=False):
        self.heard, self.fails = [], fails


@pytest.fixture
def ear(monkeypatch):
    """An ear that writes down its turns; ``ear.open`` lets it go on."""

    def feed_together(fed):
        ear.turns.append(len(fed))
        assert ear.open.wait(60)
        for each, samples in fed.items():
            each.heard += samples.tolist()
        return {each: RuntimeError("deaf") for each in fed if each.fails}

    monkeypatch.setattr(Interpreter, "feed_together", staticmethod(feed_together))
    ear = Ear()
    ear.turns, ear.open = [], threading.Event()
    yield ear
    ear.open.set()
    ear.close()


def test_what_comes_meanwhile_is_heard_together_and_in_order(ear):
    one, other = Interpreted(), Interpreted()
    first = ear.put(one, np.array([1.0]))
    wait_for(lambda: ear.turns)
    later = [ear.put(who, np.array([number])) for who, number in [(one, 2.0), (other, 7.0), (one, 3.0)]]
    assert not first.done()
    ear.open.set()
    for future in (first, *later):
        future.result(60)
    assert (one.heard, other.heard, ear.turns) == ([1, 2, 3], [7], [1, 2])


def test_a_conversation_that_cannot_be_heard_is_told_and_the_others_are_heard(ear):
    ear.open.set()
    deaf, well = Interpreted(fails=True), Interpreted()
    futures = [ear.put(deaf, np.array([1.0])), ear.put(well, np.array([2.0]))]
    with pytest.raises(RuntimeError, match="deaf"):
        futures[0].result(60)
    futures[1].result(60)
    assert well.heard == [2]


def test_a_client_that_goes_while_its_audio_waits_stops_nobody(ear):
    gone, stays = Interpreted(), Interpreted()
    ear.put(stays, np.array([1.0]))
    wait_for(lambda: ear.turns)
    assert ear.put(gone, np.array([2.0])).cancel()
    last = ear.put(stays, np.array([3.0]))
    ear.open.set()
    last.result(60)
    assert (stays.heard, gone.heard) == ([1, 3], [])


@pytest.mark.parametrize("together", [True, False])
def test_conversations_that_are_heard_together_bring_what_each_says(served, dial, together):
    said = ["one two three", "three four five six", "six seven eight", "nine one two four"]
    sounds = [np.concatenate([silence(0.3), speak(words), silence(1)]) for words in said]
    clients = [dial(served) for _ in said]
    for client in clients:
        client.context({})
    chunk = 1600 if together else max(map(len, sounds))
    for start in range(0, max(map(len, sounds)), chunk):
        for client, sound in zip(clients, sounds, strict=True):
            client.audio(sound[start : start + chunk], header=start == 0)
    for client, words in zip(clients, said, strict=True):
        client.end()
        (phrase,) = bodies(client.turn(), "speech.phrase")
        assert phrase["DisplayText"].lower().strip(".") == words
        assert abs(phrase["Offset"] / 1e7 - 0.3) < 0.07
        assert abs(phrase["Duration"] / 1e7 - len(speak(words)) / 16_000) < 0.1


# Reading


def test_a_client_that_sends_faster_than_it_is_heard_is_read_no_further(serve, dial, monkeypatch):
    address = serve()
    client = dial(address)
    client.context({})
    client.until("turn.start")
    hold = threading.Event()
    feed = address.service.ear.put

    def held(interpreter, samples, **more):
        hold.wait(60)
        return feed(interpreter, samples, **more)

    monkeypatch.setattr(address.service.ear, "put", held)
    client.audio(silence(0.1))
    sending = threading.Thread(target=lambda: [client.audio(silence(0.5), header=False) for _ in range(40)])
    sending.start()
    hold.set()
    sending.join(60)
    client.end()
    assert client.turn()[-1][0] == "turn.end"
    assert QUEUED < 40


# Those who go


SPEAK = "/cognitiveservices/v1"


def tasks(address):
    """Return what the server's event loop is busy with, by name."""

    async def names():
        running = asyncio.all_tasks() - {asyncio.current_task()}
        return sorted(task.get_coro().__qualname__ for task in running)

    return asyncio.run_coroutine_threadsafe(names(), address.server._loop).result(10)


@pytest.mark.parametrize("politely", [True, False])
def test_clients_that_go_in_the_middle_leave_no_tasks(serve, dial, politely):
    address = serve(batch_workers=0)
    with address.client() as client:
        client.get("/healthz")
    before = tasks(address)
    said = np.concatenate([silence(0.3), speak("one two three"), silence(1)])

    def listening(path, context):
        client = dial(address, path)
        client.context(context)
        client.audio(said)
        client.end()
        return client

    speech = {"targetLanguages": ["pt"], "onSuccess": {"action": "Synthesize"}}
    speaker, older = (
        dial(address, "/tts/cognitiveservices/websocket/v1"),
        dial(address, "/speech/translate?from=en&to=pt"),
    )
    document = f"<speak>{'A sentence to be spoken. ' * 500}</speak>"
    speaker.socket.send(f"Path:ssml\r\nX-RequestId:{speaker.request}\r\n\r\n{document}")
    speaker.until("audio")
    older.socket.send(wave_header(16_000) + to_pcm16(said))
    universal = "/stt/speech/universal/v2"
    for client in (speaker, older, listening(universal, {}), listening(universal, {"translation": speech})):
        (client.socket if politely else client.socket.socket).close()
    mp3 = {"X-Microsoft-OutputFormat": "audio-16khz-32kbitrate-mono-mp3"}
    with address.client(headers=mp3) as client, client.stream("POST", SPEAK, content=document) as answer:
        next(answer.iter_bytes())
    wait_for(lambda: tasks(address) == before, 30)
    assert not address.service.connections


# Outbox


def test_a_message_has_not_left_while_it_is_on_its_way():
    async def scene():
        way, left = asyncio.Event(), []

        async def send(message):
            await way.wait()
            left.append(message)

        outbox = Outbox(send)
        running = asyncio.create_task(outbox.run())
        outbox.put("the last words")
        sent = asyncio.create_task(outbox.sent())
        for _ in range(5):
            await asyncio.sleep(0)
        early = sent.done()
        way.set()
        await sent
        running.cancel()
        return early, left

    assert run(scene()) == (False, ["the last words"])


# Patience


async def waited(patience, awaitable):
    with contextlib.suppress(TimeoutError):
        return await patience.wait(awaitable)
    return "late"


def run(scene):
    """Run a scene on a loop of its own, whatever runs on this thread (a browser's, after tests of pages)."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, scene).result()


def test_patience_ends_anew_with_every_wait():
    async def scene():
        patience = Patience(0.2)
        first = [await waited(patience, asyncio.sleep(0.12, n)) for n in range(3)]
        never = asyncio.get_running_loop().create_future()
        last = [await waited(patience, never), await waited(patience, asyncio.sleep(0, "on"))]
        patience.stop()
        return first, last

    assert run(scene()) == ([0, 1, 2], ["late", "on"])


def test_patience_leaves_a_cancelled_task_cancelled():
    async def scene():
        patience = Patience(60)
        task = asyncio.create_task(patience.wait(asyncio.get_running_loop().create_future()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        patience.stop()

    run(scene())
