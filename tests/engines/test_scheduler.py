import threading

import pytest

from device.engines.scheduler import TOGETHER, Meter, Priority, Scheduler, Share, sensible_threads


@pytest.fixture
def scheduler():
    scheduler = Scheduler(workers=2)
    yield scheduler
    scheduler.close()


def blocked(scheduler, priority):
    """Submit a job that runs until the returned event is set; wait until it runs."""
    running, release = threading.Event(), threading.Event()

    def job():
        running.set()
        assert release.wait(60)

    future = scheduler.submit(priority, job)
    return running, release, future


def test_a_final_never_waits_for_partial_work(scheduler):
    running, release, _ = blocked(scheduler, Priority.PARTIAL)
    assert running.wait(60)
    waiting = [scheduler.submit(Priority.PARTIAL, lambda: None) for _ in range(5)]
    assert scheduler.submit(Priority.FINAL, lambda: "done").result(60) == "done"
    assert not any(f.done() for f in waiting)
    release.set()
    for future in waiting:
        future.result(60)


def test_urgent_work_is_done_in_order_of_priority():
    scheduler = Scheduler(workers=1)
    running, release, _ = blocked(scheduler, Priority.FINAL)
    assert running.wait(60)
    order = []
    jobs = [
        scheduler.submit(priority, order.append, name)
        for priority, name in [
            (Priority.PARTIAL, "partial"),
            (Priority.AHEAD, "ahead"),
            (Priority.SPEECH, "speech"),
            (Priority.FINAL, "first final"),
            (Priority.FINAL, "second final"),
        ]
    ]
    release.set()
    for job in jobs:
        job.result(60)
    assert order == ["first final", "second final", "speech", "ahead", "partial"]
    scheduler.close()


def test_partial_work_is_refused_when_too_much_waits_and_finals_are_not():
    scheduler = Scheduler(workers=2, limit=2)
    blocks = [blocked(scheduler, Priority.FINAL) for _ in range(2)]
    assert all(running.wait(60) for running, _, _ in blocks)
    assert [scheduler.submit(Priority.PARTIAL, int) is not None for _ in range(4)] == [True, True, False, False]
    finals = [scheduler.submit(Priority.FINAL, int) for _ in range(50)]
    assert None not in finals
    for _, release, _ in blocks:
        release.set()
    assert [f.result(60) for f in finals] == [0] * 50
    scheduler.close()


def shared(log, item, key="asr"):
    return Share(key, lambda items: log.append(("together", *items)), item)


def test_calls_that_wait_do_together_what_they_share_and_then_each_its_own():
    scheduler = Scheduler(workers=1)
    running, release, _ = blocked(scheduler, Priority.FINAL)
    assert running.wait(60)
    log = []
    jobs = [scheduler.submit(Priority.FINAL, log.append, n, share=shared(log, n)) for n in range(TOGETHER + 2)]
    jobs.append(scheduler.submit(Priority.FINAL, log.append, "other", share=shared(log, "other", key="mt")))
    jobs.append(scheduler.submit(Priority.FINAL, log.append, "alone"))
    release.set()
    for job in jobs:
        job.result(60)
    scheduler.close()
    first, rest = list(range(TOGETHER)), [TOGETHER, TOGETHER + 1]
    assert log == [("together", *first), *first, ("together", *rest), *rest, "other", "alone"]


def test_a_call_that_shares_is_done_alone_when_no_other_waits(scheduler):
    log = []
    scheduler.submit(Priority.FINAL, log.append, 1, share=shared(log, 1)).result(60)
    assert log == [1]


def test_calls_do_their_own_when_what_they_share_fails():
    scheduler = Scheduler(workers=1)
    running, release, _ = blocked(scheduler, Priority.FINAL)
    assert running.wait(60)
    key = object()
    jobs = [scheduler.submit(Priority.FINAL, int, share=Share(key, lambda items: 1 / 0, n)) for n in range(3)]
    release.set()
    assert [job.result(60) for job in jobs] == [0, 0, 0]
    scheduler.close()


def test_an_error_reaches_whoever_asked_and_the_worker_goes_on(scheduler):
    assert isinstance(scheduler.submit(Priority.FINAL, int, "x").exception(60), ValueError)
    assert scheduler.submit(Priority.FINAL, int, "7").result(60) == 7


def test_closing_cancels_what_waits_and_refuses_what_comes():
    scheduler = Scheduler(workers=1)
    running, release, current = blocked(scheduler, Priority.FINAL)
    assert running.wait(60)
    waiting = scheduler.submit(Priority.FINAL, int)
    closer = threading.Thread(target=scheduler.close)
    closer.start()
    release.set()
    closer.join(60)
    assert current.done()
    assert waiting.cancelled() or waiting.done()
    assert scheduler.submit(Priority.FINAL, int) is None


def test_the_meter_adds_up_by_stage():
    meter = Meter()
    for _ in range(3):
        with meter.stage("asr") as call:
            call.audio = 2.0
            sum(range(100_000))
    assert meter.calls["asr"] == 3
    assert meter.audio["asr"] == 6.0
    assert 0 < meter.cpu["asr"] <= meter.wall["asr"] * 1.5


@pytest.mark.parametrize(("cores", "expected"), [(1, (2, 1)), (2, (2, 1)), (4, (3, 2)), (8, (3, 2))])
def test_threads_suit_the_cores(cores, expected):
    assert sensible_threads(cores) == expected


def test_who_is_told_that_work_is_cancelled_may_wait_for_somebody_who_submits():
    scheduler = Scheduler(workers=1)
    running, release, _ = blocked(scheduler, Priority.FINAL)
    assert running.wait(60)
    waiting = scheduler.submit(Priority.FINAL, lambda: None)
    refused, stuck = [], []

    def told(_job):
        other = threading.Thread(target=lambda: refused.append(scheduler.submit(Priority.FINAL, lambda: None)))
        other.start()
        other.join(5)
        stuck.append(other.is_alive())
        release.set()

    waiting.add_done_callback(told)
    scheduler.close()
    assert waiting.cancelled()
    assert refused == [None]
    assert stuck == [False]
