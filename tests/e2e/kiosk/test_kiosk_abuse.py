"""The kiosk page under hands that do what they like, and texts that are no sentences."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import expect

from tests.conftest import APPLIANCE

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(240)]

TEXTS = {
    "markup": "<img src=x onerror=alert(1)><script>document.title='taken'</script><b>bold</b> &amp; {{7*7}} ${x}",
    "right to left override": "a \u202e00.1 $\u202c and \u2067\u0645\u0631\u062d\u0628\u0627\u2069 \u202b\u202b open",
    "a long word": "W" * 400 + " " + "https://example.org/" + "a" * 300,
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈🇧🇷" * 40,
    "zero width and marks": "a\u200b\u200d\ufeff\u2060" * 30 + "Z\u0351\u036b\u0343\u036a\u0302\u034d\u035e" * 60,
}


def overflow(page) -> list[str]:
    """Return what sticks out of the page at its sides."""
    return page.evaluate(
        """() => {
            const wide = innerWidth, out = [];
            if (document.documentElement.scrollWidth > wide) out.push("page " + document.documentElement.scrollWidth);
            for (const part of document.querySelectorAll("section, header, main, aside, .words, #entries li, button")) {
                const box = part.getBoundingClientRect();
                const seen = box.width && part.checkVisibility({visibilityProperty: true});
                if (seen && (box.left < -1 || box.right > wide + 1)) out.push(part.tagName + part.id);
            }
            return out;
        }"""
    )


@pytest.mark.parametrize("size", [(480, 320), (1920, 1080)], ids=["handheld", "wide"])
def test_no_text_breaks_the_page(open_page, size):
    kiosk = open_page(size=size)
    for number, (name, text) in enumerate(TEXTS.items(), 1):
        kiosk.type(text)
        expect(kiosk.page.locator("#entries li")).to_have_count(number)
        assert kiosk.half(0).locator(".words").inner_text().split() == text.split(), name
        assert overflow(kiosk.page) == [], name
        for button in ("#open-composer", "#open-settings", "#side-0 .talk", "#side-1 .talk"):
            expect(kiosk.page.locator(button)).to_be_in_viewport()
    assert kiosk.page.title() != "taken"
    assert kiosk.page.locator("#side-0 img, #side-0 script, #entries img, #entries script, .words b").count() == 0
    assert not kiosk.wrong


def test_wild_pressing_of_everything_leaves_a_page_that_works(open_page):
    kiosk = open_page()
    dice = random.Random(7)
    buttons = [kiosk.half(side).locator(".talk") for side in (0, 1)]
    for _ in range(60):
        button = dice.choice(buttons)
        kind = dice.choice(["pointerdown", "pointerup", "pointercancel", "click", "dblclick", "space", "held"])
        if kind == "space":
            key = dice.choice(["Space", "Shift+Space", "Escape", "Enter"])
            kiosk.page.keyboard.press(key, delay=dice.randrange(30))
        elif kind == "held":
            for _ in range(5):
                kiosk.page.keyboard.down("Space")  # which a keyboard repeats
            kiosk.page.keyboard.up("Space")
        elif kind == "dblclick":
            button.dblclick(force=True, delay=5)
        else:
            button.dispatch_event(kind, {"button": 0, "pointerId": 1, "bubbles": True})
    for button in buttons:
        button.dispatch_event("pointercancel", {"button": 0, "pointerId": 1})
    kiosk.page.wait_for_timeout(1500)
    for button in buttons:
        if button.get_attribute("data-state") != "idle":
            button.click(force=True)  # what a press latched, another one ends
    kiosk.ready()
    kiosk.type("Good morning!")
    expect(kiosk.half(1).locator(".words")).to_contain_text("dia")
    assert not kiosk.wrong


def test_a_button_let_go_while_the_other_sides_turn_is_ending_does_not_go_on_listening(open_page):
    kiosk = open_page()
    kiosk.press()
    kiosk.page.evaluate(
        """() => {
            const act = (side, type) => document.querySelector(`#side-${side} .talk`)
                .dispatchEvent(new PointerEvent(type, {button: 0, pointerId: 1, bubbles: true}));
            act(0, "pointercancel"); act(1, "pointerdown"); act(1, "pointercancel");
        }"""
    )
    expect(kiosk.half(1).locator(".message")).not_to_be_empty()  # which says that nothing was heard
    expect(kiosk.half(1).locator(".talk")).to_have_attribute("data-state", "idle")
    kiosk.release()


def test_a_page_that_is_hidden_while_somebody_talks_translates_what_was_said(open_page):
    kiosk = open_page()
    kiosk.half(0).locator(".talk").click()  # which latches
    expect(kiosk.half(0).locator(".words")).to_contain_text("fox")
    kiosk.page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true})")
    kiosk.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(kiosk.half(0).locator(".talk")).to_have_attribute("data-state", "idle")
    expect(kiosk.entry()).to_contain_text("raposa")


@pytest.mark.skipif(not APPLIANCE, reason="makes the suite longer: make test-appliance")
def test_two_displays_of_one_device_do_not_hear_each_other(open_page):
    one, other = open_page(), open_page()
    other.type("Good morning!")
    expect(other.page.locator("#entries li")).to_have_count(1)
    one.talk()
    expect(one.page.locator("#entries li")).to_have_count(1)
    expect(other.page.locator("#entries li")).to_have_count(1)
    assert not one.wrong + other.wrong
