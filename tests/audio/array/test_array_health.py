"""Damaged input: the output stays finite and no worse than the best channel, and an alert names the channel."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from device.audio.alerts import Fault
from device.audio.frontend import Frontend
from device.config.frontend import ArraySettings, FrontendSettings
from tests.audio.array.scenes import plane_wave, scene, sisdr, square, stream

SETTINGS = FrontendSettings(array=ArraySettings(postfilter=False), highpass=False)


def dead(sound):
    sound[:, 1] = 0


def quiet(sound):
    sound[:, 2] *= 0.1


def loud(sound):
    sound[:, 2] *= 6


def inverted(sound):
    sound[:, 3] *= -1


def swapped(sound):
    sound[:, [0, 1]] = sound[:, [1, 0]]


def not_numbers(sound):
    sound[20000::4001, 0] = np.nan
    sound[21000::4003, 0] = np.inf


def clipped(sound):
    sound[:, 1] = np.clip(sound[:, 1] * 60, -1, 1)


def gaps(sound):
    for start in range(16000, len(sound), 9000):
        sound[start : start + 400, 2] = 0


def drifting(sound):
    drifted = soxr.resample(sound[:, 1], 16000, 16032)
    sound[:, 1] = np.pad(drifted, (0, max(0, len(sound) - len(drifted))))[: len(sound)]


DAMAGES = [
    (dead, 1, Fault.DEAD),
    (quiet, 2, Fault.LOW),
    (loud, 2, Fault.LOUD),
    (inverted, 3, Fault.INVERTED),
    (swapped, 0, Fault.SWAPPED),
    (not_numbers, 0, Fault.NOT_FINITE),
    (clipped, 1, Fault.CLIPPED),
    (gaps, 2, Fault.DROPOUT),
]


def listen(sound, active, settings=SETTINGS, channels=4):
    frontend = Frontend(settings, square(), channels=channels)
    alerts = []

    def process(block):
        out = frontend.process(block)
        alerts.extend(out.alerts)
        return out.samples

    return stream(process, frontend.speech, sound, active), alerts


def best_channel(wanted, sound, part):
    finite = np.nan_to_num(sound, nan=0, posinf=0, neginf=0)
    alive = [m for m in range(sound.shape[1]) if np.abs(finite[part, m]).max() > 0]
    return max(sisdr(wanted[part], finite[part, m]) for m in alive)


@pytest.mark.parametrize(("damage", "channel", "fault"), DAMAGES, ids=lambda value: getattr(value, "__name__", None))
def test_a_damaged_channel_is_named_and_does_no_harm(damage, channel, fault):
    heard = scene(square(), seconds=5.0)
    sound = heard.mixture.copy()
    damage(sound)
    out, alerts = listen(sound, heard.active)
    assert np.isfinite(out).all()
    assert (channel, fault) in {(alert.channel, alert.fault) for alert in alerts if alert.active}
    assert all(f"channel {alert.channel} " in alert.text for alert in alerts)
    last = slice(len(out) - 32000, len(out))
    # Damage that comes and goes on one channel leaves the others as the measure.
    wanted = heard.talker[:, 0] if damage is not swapped else heard.talker[:, 1]
    best = max(
        best_channel(heard.talker[:, m], sound[:, m : m + 1], last)
        for m in range(4)
        if np.abs(np.nan_to_num(sound[last, m], posinf=0, neginf=0)).max() > 0
    )
    got = max(sisdr(wanted[last], out[last]), *(sisdr(heard.talker[last, m], out[last]) for m in range(4)))
    assert got > best - 0.5


def test_one_channel_on_another_clock_does_no_harm():
    heard = scene(square(), seconds=5.0)
    sound = heard.mixture.copy()
    drifting(sound)
    out, _ = listen(sound, heard.active)
    last = slice(len(out) - 32000, len(out))
    assert sisdr(heard.talker[last, 0], out[last]) > sisdr(heard.talker[last, 0], heard.mixture[last, 0]) - 0.5


def test_a_whole_device_with_a_clock_0_2_percent_off_is_none_the_worse():
    heard = scene(square(), seconds=4.0)
    talker, noise = (soxr.resample(x, 16000, 16032) for x in (heard.talker, heard.noise))
    active = np.interp(np.arange(len(talker)), np.arange(len(heard.active)) * 1.002, heard.active) > 0.5
    out, alerts = listen((talker + noise).astype(np.float32), active)
    last = slice(len(out) - 32000, len(out))
    assert not alerts
    assert sisdr(talker[last, 0], out[last]) > sisdr(talker[last, 0], (talker + noise)[last, 0]) + 6


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_fewer_channels_than_the_array_needs_are_named_and_done_without(channels):
    heard = scene(square(), seconds=4.0)
    out, alerts = listen(heard.mixture[:, :channels], heard.active, channels=channels)
    assert {(a.channel, a.fault) for a in alerts} == {(m, Fault.MISSING) for m in range(channels, 4)}
    last = slice(len(out) - 32000, len(out))
    before = sisdr(heard.talker[last, 0], heard.mixture[last, 0])
    assert sisdr(heard.talker[last, 0], out[last]) > before + (3 if channels > 1 else -0.1)


def test_a_healthy_array_raises_no_alert():
    heard = scene(square(), seconds=6.0)
    assert listen(heard.mixture, heard.active)[1] == []


def test_a_silent_room_raises_no_alert():
    random = np.random.default_rng(0)
    own = (2e-5 * random.standard_normal((5 * 16000, 4))).astype(np.float32)
    assert listen(own, np.zeros(len(own), bool))[1] == []
    assert listen(np.zeros((5 * 16000, 4), np.float32), np.zeros(5 * 16000, bool))[1] == []


def test_a_channel_that_comes_back_is_used_again():
    heard = scene(square(), seconds=9.0)
    sound = heard.mixture.copy()
    sound[: 3 * 16000, 1] = 0
    _, alerts = listen(sound, heard.active)
    assert [(a.channel, a.fault, a.active) for a in alerts] == [(1, Fault.DEAD, True), (1, Fault.DEAD, False)]


def test_alerts_do_not_depend_on_the_size_of_the_blocks():
    heard = scene(square(), seconds=3.0)
    sound = heard.mixture.copy()
    dead(sound)
    frontends = [Frontend(SETTINGS, square(), channels=4) for _ in range(2)]
    raised = []
    for frontend, block in zip(frontends, (77, 4096), strict=True):
        alerts = []
        for start in range(0, len(sound), block):
            alerts += frontend.process(sound[start : start + block]).alerts
        raised.append(alerts)
    assert raised[0] == raised[1]


def test_a_strange_block_never_gets_through():
    frontend = Frontend(SETTINGS, square(), channels=4)
    random = np.random.default_rng(0)
    sound = plane_wave(square(), random.standard_normal(32000).astype(np.float32) * 0.1, 0)
    sound[5000:9000] = np.nan
    sound[12000:13000, 1:3] = np.inf
    sound[20000:20100] = 1e30
    out = np.concatenate([frontend.process(sound[start : start + 500]).samples for start in range(0, 32000, 500)])
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 20
