"""Real gpiozero on mock pins, the controller's own thread and clock."""

import logging
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockPWMPin

from device.config import ButtonSettings, ControlSettings, Pins, Trigger
from device.controls import Buttons, TurnController, mock_press, mock_release
from device.controls import controller as controller_module
from device.controls.pins import mock_factory, open_factory
from device.errors import DragomanError

TWO = (ButtonSettings(name="a", pin=17), ButtonSettings(name="b", pin="GPIO27", direction=1, active_low=False))
SETTINGS = ControlSettings(pins=Pins.MOCK, buttons=TWO, debounce=0, hold_time=10, double_press=0.1)


class Told:
    """What the controller tells, in order, to wait for."""

    def __init__(self):
        self.all = queue.Queue()

    def controller(self, settings=SETTINGS, **arguments):
        return TurnController(
            settings,
            lambda direction: self.all.put(("begin", direction)),
            lambda: self.all.put(("end",)),
            lambda name, action: self.all.put((name, str(action))),
            lambda alert, text: self.all.put((alert, text)),
            **arguments,
        )

    def next(self, *kinds):
        while True:
            told = self.all.get(timeout=60)
            if not kinds or told[0] in kinds:
                return told

    def rest(self):
        told = []
        while not self.all.empty():
            told.append(self.all.get())
        return told


@pytest.fixture
def told():
    return Told()


def test_pressing_a_pin_begins_a_turn_and_releasing_it_ends_it(told):
    with told.controller() as controller, Buttons(SETTINGS, controller):
        mock_press(17)
        assert [told.next(), told.next()] == [("a", "press"), ("begin", 0)]
        assert controller.direction == 0
        mock_release(17)
        assert [told.next(), told.next()] == [("a", "release"), ("end",)]
        mock_press(27)
        assert told.next("begin") == ("begin", 1)
        mock_release("GPIO27")
        assert told.next("end") == ("end",)


def test_a_stuck_button_is_cut_and_reported_by_the_clock_alone(told):
    settings = SETTINGS.model_copy(update={"longest_turn": 0.05})
    with told.controller(settings) as controller, Buttons(settings, controller):
        mock_press(17)
        assert told.next("begin", "end") == ("begin", 0)
        assert told.next("begin", "end") == ("end",)
        alert, text = told.next("button-stuck-a")
        assert "has been down for 0.05 s" in text
        assert not controller.direction
        mock_release(17)
        assert told.next(alert) == (alert, None)
        mock_press(17)
        assert told.next("begin") == ("begin", 0)


def test_hold_is_reported_by_the_clock_alone(told):
    settings = SETTINGS.model_copy(update={"hold_time": 0.05})
    with told.controller(settings) as controller, Buttons(settings, controller):
        mock_press(17)
        assert [told.next("a"), told.next("a")] == [("a", "press"), ("a", "hold")]


def test_two_hundred_presses_in_a_moment_leave_no_turn_open(told):
    for debounce in (0, 0.03):
        settings = SETTINGS.model_copy(update={"debounce": debounce})
        with told.controller(settings) as controller, Buttons(settings, controller):
            fingers = [
                threading.Thread(target=lambda pin=pin: [(mock_press(pin), mock_release(pin)) for _ in range(200)])
                for pin in (17, 27)
            ]
            for finger in fingers:
                finger.start()
            for finger in fingers:
                finger.join()
        turns = [what[0] for what in told.rest() if what[0] in ("begin", "end")]
        assert turns == ["begin", "end"] * (len(turns) // 2)
        assert turns
        assert controller.direction is None


def test_closing_ends_the_turn_that_runs(told):
    controller = told.controller()
    controller.begin(1)
    controller.close()
    assert told.rest() == [("begin", 1), ("end",)]
    assert "dragoman-controls" not in [thread.name for thread in threading.enumerate()]


def test_commands_keys_and_modes_at_run_time(told):
    with told.controller() as controller:
        assert controller.begin(0)
        assert controller.direction == 0
        assert controller.end()
        for key, direction in ((1, 1), (0, 0), (0, None), (1, 1), (None, None), (None, 0), (None, None)):
            controller.toggle(key)
            assert controller.direction == direction
        controller.set_mode(Trigger.OPEN)
        assert controller.mode is Trigger.OPEN
        assert not controller.begin(0)


def test_a_callback_may_command_and_may_fail(told, caplog):
    ended = threading.Event()

    def begin(_direction):
        controller.end()
        raise RuntimeError("broken")

    with TurnController(SETTINGS, begin, ended.set) as controller:
        controller.begin(0)
        assert ended.wait(60)
    assert "a callback of the controls failed" in caplog.text


def test_presses_are_refused_when_nobody_listens_and_releases_never(told, monkeypatch, caplog):
    monkeypatch.setattr(controller_module, "BACKLOG", 4)
    stop = threading.Event()
    busy = threading.Event()

    def begin(direction):
        told.all.put(("begin", direction))
        busy.set()
        stop.wait(60)

    controller = TurnController(SETTINGS, begin, lambda: told.all.put(("end",)))
    with controller, Buttons(SETTINGS, controller):
        mock_press(17)
        assert busy.wait(60)
        mock_release(17)
        for _ in range(50):
            mock_press(17)
            mock_release(17)
        assert controller.direction is None
        stop.set()
    turns = [what[0] for what in told.rest()]
    assert 2 <= len(turns) < 20
    assert turns == ["begin", "end"] * (len(turns) // 2)
    assert "faster than anything can follow" in caplog.text


class HeldPin(MockPWMPin):
    """A pin whose contact is pressed before anybody looks: the pull resistor does not win."""

    def _set_pull(self, value):
        self._pull = value


def test_button_that_is_down_at_the_start_must_be_released_first(told):
    mock_factory().pin(27, pin_class=HeldPin).drive_high()
    with told.controller() as controller, Buttons(SETTINGS, controller):
        assert controller.direction is None
        mock_release(27)
        mock_press(27)
        assert told.next("begin") == ("begin", 1)


def test_pins_are_free_again_after_closing_and_the_default_factory_is_untouched(told):
    before = Device.pin_factory
    for _ in range(2):
        with told.controller() as controller, Buttons(SETTINGS, controller) as buttons:
            assert buttons.available
            assert Device.pin_factory is before


def test_wrong_pin_is_one_clear_line(told):
    for pin, why in (("GPIO99", "not a valid pin"), (999, "not a valid pin")):
        settings = SETTINGS.model_copy(update={"buttons": (ButtonSettings(pin=pin),)})
        with told.controller(settings) as controller, pytest.raises(DragomanError, match=why) as caught:
            Buttons(settings, controller)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"the button 'talk' cannot use pin {pin}: ")


def test_machine_without_gpio_says_so_once_and_goes_on(told, caplog, monkeypatch):
    monkeypatch.setattr("device.controls.pins._lgpio_factory", _no_gpio)
    settings = SETTINGS.model_copy(update={"pins": Pins.AUTO})
    with (
        caplog.at_level(logging.INFO),
        told.controller(settings) as controller,
        Buttons(settings, controller) as buttons,
    ):
        assert not buttons.available
        assert controller.begin(0)
    (record,) = caplog.records
    assert record.message == (
        "no GPIO: this machine has no /dev/gpiochip*; buttons are off; talk by MQTT cmd/listen or the keyboard in "
        '`dragoman listen`, or set controls.pins = "mock"'
    )


def test_lgpio_asked_for_by_name_is_an_error_where_there_is_none(monkeypatch):
    monkeypatch.setattr("device.controls.pins._lgpio_factory", _no_gpio)
    with pytest.raises(DragomanError, match="no GPIO: this machine has no"):
        open_factory(Pins.LGPIO)


def test_loading_lgpio_leaves_the_working_folder_alone(tmp_path):
    # The real module, too, makes its pipe in $LG_WD when it is imported, and leaves the process there.
    code = 'import os\nos.chdir(os.environ["LG_WD"])\nopen(".lgd-nfy0", "x")\ndef __getattr__(name): return 0\n'
    (tmp_path / "lgpio.py").write_text(code)
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o500)
    code = (
        "import os\nfrom device.config import Pins\nfrom device.controls import pins\n"
        "pins.GPIO_CHIPS = '/dev/null'\nbefore = os.getcwd()\n"
        "try: pins.open_factory(Pins.LGPIO)\nexcept Exception as error: print(error)\n"
        "assert os.getcwd() == before\nprint(os.listdir(os.environ['LG_WD']), os.listdir())"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}
    environ.pop("LG_WD", None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environ, capture_output=True, text=True, check=True
    )
    told, folders = done.stdout.splitlines()
    assert told.startswith("no GPIO: ")
    assert folders == "['.lgd-nfy0'] []"


def test_no_pins_by_configuration_says_nothing(told, caplog):
    settings = SETTINGS.model_copy(update={"pins": Pins.NONE})
    with told.controller(settings) as controller, Buttons(settings, controller) as buttons:
        assert not buttons.available
    assert not caplog.records


def _no_gpio():
    raise FileNotFoundError("this machine has no /dev/gpiochip*")
