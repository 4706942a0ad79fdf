"""The device tells how hot, how well powered and how fast it is."""

from __future__ import annotations

import pytest

from device.diagnostics import EVERY, Diagnostics, temperature, throttled_before, throttling
from device.engines.scheduler import Meter
from device.update.home import Home, State


class Machine:
    """A file system with the kernel's sensors, and what was told about it."""

    def __init__(self, root):
        self.root = root
        self.told = {}
        self.alerts = {}
        self.meter = Meter()
        self.diagnostics = Diagnostics(self.told.__setitem__, self.alerts.__setitem__, self.meter, lambda: 7, root=root)

    def heat(self, *degrees):
        for number, value in enumerate(degrees):
            zone = self.root / f"sys/class/thermal/thermal_zone{number}"
            zone.mkdir(parents=True, exist_ok=True)
            (zone / "temp").write_text(f"{round(value * 1000)}\n")

    def throttle(self, bits):
        folder = self.root / "sys/devices/platform/soc/soc:firmware"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "get_throttled").write_text(f"{bits:x}\n")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_a_machine_without_sensors_has_no_temperature_and_no_throttling(machine):
    assert temperature(machine.root) is None
    assert throttling(machine.root) is None
    machine.diagnostics.measure()
    assert machine.told == {"overruns": 7}


def test_the_hottest_sensor_counts(machine):
    machine.heat(41.2, 55.6)
    machine.diagnostics.measure()
    assert machine.told["temperature"] == 55.6


def test_heat_is_an_alert_until_the_device_is_clearly_cooler(machine):
    for degrees, alert in ((79.9, None), (80.0, "80 °C"), (76.0, "80 °C"), (74.9, None)):
        machine.heat(degrees)
        machine.diagnostics.measure()
        text = machine.alerts.get("hot")
        assert (text or "")[:5] == (alert or ""), degrees


def test_a_weak_power_supply_is_an_alert_while_it_is_weak(machine):
    machine.throttle(0x50005)
    machine.diagnostics.measure()
    assert machine.told["throttling"] == {
        "under_voltage": True, "frequency_capped": False, "throttled": True, "soft_temperature_limit": False,
    }  # fmt: skip
    assert "power supply" in machine.alerts["under-voltage"]
    machine.throttle(0x50000)
    machine.diagnostics.measure()
    assert machine.alerts["under-voltage"] is None


def test_what_was_wrong_since_the_start_is_known(machine):
    machine.throttle(0x50000)
    assert not any(throttling(machine.root).values())
    assert throttled_before(machine.root) == ["under_voltage", "throttled"]
    assert throttled_before(machine.root / "elsewhere") == []


def test_a_board_that_lowers_its_clock_because_of_heat_says_so(machine):
    for number, (kind, state) in enumerate((("thermal-cpufreq-0", 0), ("pwm-fan", 3), ("thermal-cpufreq-1", 2))):
        folder = machine.root / f"sys/class/thermal/cooling_device{number}"
        folder.mkdir(parents=True)
        (folder / "type").write_text(f"{kind}\n")
        (folder / "cur_state").write_text(f"{state}\n")
    assert throttling(machine.root) == {"frequency_capped": True}
    (folder / "cur_state").write_text("0\n")
    assert throttling(machine.root) == {"frequency_capped": False}
    machine.diagnostics.measure()
    assert machine.told["throttling"] == {"frequency_capped": False}


def test_each_stage_tells_its_speed_since_the_last_time(machine):
    with machine.meter.stage("asr") as call:
        call.audio = 2.0
    with machine.meter.stage("mt"):
        pass
    machine.meter.wall["asr"] = 0.5
    machine.diagnostics.measure()
    assert machine.told["rtf/asr"] == {"calls": 1, "seconds": 0.5, "audio": 2.0, "value": 0.25}
    assert machine.told["rtf/mt"]["calls"] == 1
    assert "value" not in machine.told["rtf/mt"]
    machine.told.clear()
    machine.diagnostics.measure()
    assert "rtf/asr" not in machine.told, "nothing was recognised meanwhile"


def test_it_measures_now_and_then(machine):
    times = []
    machine.diagnostics.measure = lambda: times.append(1)
    for _ in range(2 * EVERY + 1):
        machine.diagnostics.tick()
    assert len(times) == 3


def test_an_update_that_was_taken_back_is_told(machine):
    home = Home(machine.root / "opt/dragoman")
    home.path.mkdir(parents=True)
    machine.diagnostics.measure()
    assert "update" not in machine.told
    home.set_state(State(result="failed", text="2.0: does not start", time="2026-11-20T09:00:00+00:00"))
    machine.diagnostics.measure()
    assert machine.told["update"] == {
        "result": "failed", "text": "2.0: does not start", "time": "2026-11-20T09:00:00+00:00"
    }  # fmt: skip
