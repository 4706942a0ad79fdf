import pytest
from gpiozero import Device

from device.controls import pins


@pytest.fixture(autouse=True)
def _global_pins_are_left_alone():
    """gpiozero's default factory is nobody's here, and each test has mock pins of its own."""
    before = Device.pin_factory
    yield
    assert Device.pin_factory is before
    if pins._mock is not None:
        pins._mock.close()
        pins._mock = None
