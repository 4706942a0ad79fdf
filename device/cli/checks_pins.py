"""What ``dragoman doctor`` finds on the pins: permission, buttons, lights and the display."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from typing import Any

from device.cli.findings import Finding, Status, ok, problem, warning
from device.config import Pins, Settings
from device.errors import DragomanError


def gpio(settings: Settings) -> Iterator[Finding]:
    """Look whether this user may use the machine's GPIO, where anything is configured for it."""
    from device.controls.pins import GPIO_CHIPS

    chips = sorted(glob.glob(GPIO_CHIPS))  # noqa: PTH207 - an absolute pattern
    if settings.controls.pins not in (Pins.AUTO, Pins.LGPIO) or not chips:
        return
    if denied := [chip for chip in chips if not os.access(chip, os.R_OK | os.W_OK)]:
        remedy = "sudo usermod -aG gpio $USER, then log in again; the service has the group gpio by itself"
        yield problem("gpio", f"this user may not use {', '.join(denied)}", remedy)
    else:
        yield ok("gpio", f"{', '.join(chips)} can be used")


def buttons(settings: Settings) -> Iterator[Finding]:
    """Open the configured buttons, and look whether one is down."""
    from device.controls.pins import open_factory

    pins = settings.controls.pins
    names = ", ".join(f"{button.name} on {button.pin}" for button in settings.controls.buttons) or "none"
    if pins is Pins.NONE:
        yield ok("buttons", "off")
        return
    try:
        factory = open_factory(Pins.LGPIO if pins is Pins.AUTO else pins)
    except DragomanError as error:
        reason, _, remedy = str(error).partition("; ")
        yield Finding("buttons", Status.PROBLEM if pins is Pins.LGPIO else Status.WARNING, reason, remedy)
        return
    try:
        sick = list(_pressed(settings, factory))
    finally:
        if factory is not None and pins is not Pins.MOCK:
            factory.close()
    yield from sick
    if not sick:
        yield ok(
            "buttons", f"mock pins, which programs press: {names}" if pins is Pins.MOCK else f"{names}; none is down"
        )


def _pressed(settings: Settings, factory: Any) -> Iterator[Finding]:
    from gpiozero import DigitalInputDevice, GPIOZeroError

    for button in settings.controls.buttons:
        try:
            with DigitalInputDevice(button.pin, pull_up=button.active_low, pin_factory=factory) as device:
                down = device.is_active
        except (GPIOZeroError, OSError, ValueError) as error:
            why = " ".join(str(error).split())
            remedy = (
                "choose another pin in [[controls.buttons]]; a running daemon holds its pins: stop it for this check"
            )
            yield problem("buttons", f"{button.name} cannot use pin {button.pin}: {why}", remedy)
            continue
        if down:
            remedy = "let go of it; if nobody holds it: see its wiring, and active_low in [[controls.buttons]]"
            yield warning("buttons", f"{button.name} on {button.pin} is down", remedy)


def lights(settings: Settings) -> Iterator[Finding]:
    """Open the configured lights and the display."""
    from device.controls.display import Display
    from device.controls.leds import Leds

    pins = settings.controls.pins
    for name, kind, make in (
        ("lights", settings.leds.kind, lambda: Leds(settings.leds, pins)),
        ("display", settings.display.kind, lambda: Display(settings.display, pins)),
    ):
        if kind == "none":
            continue
        try:
            make().close()
        except DragomanError as error:
            yield problem(name, str(error), f"see [{'leds' if name == 'lights' else name}] in the configuration")
        else:
            yield ok(name, kind)
