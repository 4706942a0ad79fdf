"""What a command does to the device, where the device does not agree to it."""

import pytest

from device.config import load_settings
from device.errors import UsageError
from device.mqtt import commands
from device.orders import Orders
from tests.support.engines import SmallEngines


class Redirected:
    """The part of a daemon that changing languages needs; notes what it is told."""

    def __init__(self) -> None:
        self.settings = load_settings(None, {"directions": [{"source": "en", "targets": ["pt"]}]})
        self.told: list[tuple[str, ...]] = []

    def redirect(self, _direction: int, **changes) -> None:
        self.told.append(changes["targets"])

    def changed(self) -> None:
        """Nobody watches."""


@pytest.mark.parametrize("languages", [("en",), ("pt", "en"), ("en-GB",)])
def test_nothing_is_translated_into_the_language_that_is_spoken(languages):
    daemon = Redirected()
    with pytest.raises(UsageError, match="is the language that is spoken"):
        Orders(daemon).obey(commands.SetTargets(languages))
    assert daemon.told == []


def test_other_targets_and_none_are_taken():
    daemon = Redirected()
    for languages in (("de", "pt"), ()):
        Orders(daemon).obey(commands.SetTargets(languages))
    assert daemon.told == [("de", "pt"), ()]


def test_a_translator_is_not_told_what_is_hidden():
    daemon = Redirected()
    text = daemon.settings.text.model_copy(update={"redact": ("card", "address")})
    daemon.settings = daemon.settings.model_copy(update={"text": text})
    daemon.engines = SmallEngines()
    try:
        said = "My card is 4111 1111 1111 1111. I live at 10 Downing Street."
        reply = Orders(daemon).obey(commands.Translate(said, "en", ("pt",), False)).result(60)
    finally:
        daemon.engines.close()
    assert reply["translations"] == {"pt": "MY CARD IS [CARD]. I LIVE AT [ADDRESS]."}
    assert daemon.engines.mt.asked == ["My card is [card].", "I live at [address]."]
