"""People talk, type, repeat and correct in the kiosk page: a recording in the browser's microphone, real models."""

from __future__ import annotations

import io
from urllib.parse import urlsplit

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.kiosk.conftest import KEY

pytestmark = [pytest.mark.e2e, pytest.mark.models]

WATCH = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shifts.push(entry.value);
    }).observe({type: "layout-shift", buffered: true});
    window.texts = [];
    const words = document.querySelector("#side-0 .words");
    new MutationObserver(() => {
        const box = words.getBoundingClientRect();
        window.texts.push({text: words.textContent, top: box.top, left: box.left, height: box.height});
    }).observe(words, {subtree: true, childList: true, characterData: true});
"""


def test_what_is_said_is_read_and_heard_in_the_other_language_and_settles_without_a_jump(open_page):
    kiosk = open_page()
    kiosk.page.evaluate(WATCH)
    kiosk.talk()
    expect(kiosk.half(0).locator(".words")).to_contain_text("quick brown fox jumps over the lazy dog.")
    expect(kiosk.half(1).locator(".words")).to_contain_text("raposa")
    expect(kiosk.page.locator("#bar")).to_have_attribute("data-state", "speaking")
    kiosk.ready()
    assert sum(kiosk.sounds) > 2 * 22_050  # more than a second of speech came, and was played to its end

    seen = kiosk.page.evaluate("window.texts")
    assert len({each["text"] for each in seen}) > 2, "there were no partials"
    assert len({(each["top"], each["left"]) for each in seen}) == 1, "the text has moved"
    heights = [each["height"] for each in seen]
    assert heights == sorted(heights), "the text has shrunk"
    assert sum(kiosk.page.evaluate("window.shifts")) < 0.01

    # Screen readers are told finals, and no guesses.
    lines = kiosk.page.locator("#announcer[aria-live=polite] p")
    expect(lines).to_have_text([kiosk.half(side).locator(".words").inner_text() for side in (0, 1)])
    assert [line.get_attribute("lang") for line in lines.all()] == ["en", "pt"]
    assert kiosk.page.locator("[aria-live]").count() == 1
    kiosk.settled()


def test_space_is_held_to_talk(open_page):
    kiosk = open_page()
    kiosk.page.keyboard.down(" ")
    expect(kiosk.half(0).locator(".words")).to_contain_text("dog")
    kiosk.page.keyboard.up(" ")
    expect(kiosk.entry().locator(".into")).to_contain_text("raposa")


def test_short_press_listens_until_the_next_by_finger_key_and_screen_reader(open_page):
    kiosk = open_page(context={"has_touch": True})
    talk = kiosk.half(0).locator(".talk")
    talk.tap()
    expect(talk).to_have_attribute("aria-pressed", "true")
    expect(talk).to_contain_text("Press to finish")
    expect(kiosk.half(0).locator(".words")).to_contain_text("dog")
    talk.press("Enter")
    expect(talk).to_have_attribute("aria-pressed", "false")
    expect(kiosk.entry().locator(".into")).to_contain_text("raposa")
    for pressed in ("true", "false"):
        kiosk.page.wait_for_timeout(600)  # a click so soon after a key would be the key's own
        talk.evaluate("button => button.click()")  # as a screen reader does
        expect(talk).to_have_attribute("aria-pressed", pressed)


def test_typed_text_is_translated_from_either_side_repeated_and_corrected(open_page):
    kiosk = open_page(size=(1920, 1080))
    kiosk.type("Where is the train station?")
    expect(kiosk.entry().locator(".into")).to_contain_text("estação")
    kiosk.type("Onde fica o hospital?", side=1)
    expect(kiosk.entry().locator(".into")).to_contain_text("hospital")
    expect(kiosk.half(0).locator(".words")).to_have_text("Where is the hospital?")
    kiosk.ready()

    heard = sum(kiosk.sounds)
    kiosk.entry(1).get_by_role("button", name="Say again").click()
    expect(kiosk.page.locator("#bar")).to_have_attribute("data-state", "speaking")
    kiosk.ready()
    assert sum(kiosk.sounds) > heard + 22_050

    kiosk.entry(1).get_by_role("button", name="Say again").click()
    kiosk.page.get_by_role("button", name="Be silent").click()
    kiosk.ready()

    # An entry is corrected in its own languages, though others are being spoken by now.
    kiosk.half(0).locator(".language").click()
    kiosk.half(0).locator(".picker").get_by_role("button", name="Português", exact=True).click()
    expect(kiosk.half(0).locator(".language")).to_have_text("Português")
    kiosk.ready()
    kiosk.entry(1).get_by_role("button", name="Correct").click()
    expect(kiosk.page.locator("#composer-text")).to_have_value("Where is the train station?")
    kiosk.page.locator("#composer-text").fill("Where is the bus station?")
    kiosk.page.keyboard.press("Enter")
    expect(kiosk.entry(1).locator(".into")).to_contain_text("ônibus")
    expect(kiosk.entry(1).locator(".from")).to_contain_text("corrected")
    expect(kiosk.page.locator("#entries li")).to_have_count(2)
    kiosk.settled()


def test_languages_are_those_installed_and_swap_when_both_would_be_the_same(open_page):
    kiosk = open_page()
    kiosk.half(0).locator(".language").click()
    picker = kiosk.half(0).locator(".picker")
    expect(picker.get_by_role("button", name="English")).to_be_focused()
    expect(picker.get_by_role("button", name="Português", exact=True)).to_be_visible()
    kiosk.page.keyboard.press("Escape")
    expect(kiosk.half(0).locator(".language")).to_be_focused()
    kiosk.page.keyboard.press("Enter")
    picker.get_by_role("button", name="Português", exact=True).click()
    expect(kiosk.half(0).locator(".language")).to_have_text("Português")
    expect(kiosk.half(1).locator(".language")).to_have_text("English")
    expect(kiosk.half(0).locator(".talk")).to_have_text("Segure para falar")
    kiosk.ready()


def test_device_that_goes_away_is_told_and_what_was_typed_is_translated_when_it_is_back(start_server, open_page):
    first = start_server()
    port = int(first.addresses[0].rsplit(":", 1)[1])
    kiosk = open_page(address=first.addresses[0])
    first.stop()
    expect(kiosk.page.locator("#state")).to_contain_text("No connection")
    expect(kiosk.page.locator("#bar")).to_have_attribute("data-state", "trouble")
    expect(kiosk.half(0).locator(".talk")).to_be_disabled()
    kiosk.type("Where is the train station?")
    expect(kiosk.page.locator("#composer-note")).to_contain_text("kept")
    expect(kiosk.page.locator("#composer-text")).to_have_value("Where is the train station?")
    start_server(port=port)
    expect(kiosk.entry().locator(".into")).to_contain_text("estação")
    kiosk.ready()


def test_page_that_was_open_while_the_device_was_updated_is_loaded_anew_and_what_was_typed_is_kept(
    start_server, open_page, monkeypatch
):
    first = start_server()
    port = int(first.addresses[0].rsplit(":", 1)[1])
    kiosk = open_page(address=first.addresses[0])
    first.stop()
    expect(kiosk.page.locator("#bar")).to_have_attribute("data-state", "trouble")
    kiosk.type("Where is the train station?")
    monkeypatch.setattr("device.server.kiosk_socket.version", lambda: "a later one")
    with kiosk.page.expect_navigation():
        start_server(port=port)
    expect(kiosk.entry().locator(".into")).to_contain_text("estação")


def test_what_is_being_typed_outlives_the_page(open_page):
    kiosk = open_page()
    kiosk.page.locator("#open-composer").click()
    kiosk.page.locator("#composer-text").fill("Half a sent")
    kiosk.page.reload()
    kiosk.ready()
    kiosk.page.locator("#open-composer").click()
    expect(kiosk.page.locator("#composer-text")).to_have_value("Half a sent")


def test_screen_in_public_forgets_what_was_said_when_nobody_is_there(open_page):
    kiosk = open_page(forget="0.02")
    kiosk.type("Where is the train station?")
    expect(kiosk.entry().locator(".into")).to_contain_text("estação")
    expect(kiosk.page.locator("#entries li")).to_have_count(0)
    expect(kiosk.half(1).locator(".words")).to_have_text("")
    assert "station" not in kiosk.page.content() + str(kiosk.page.evaluate("({...localStorage, ...sessionStorage})"))


def test_turn_that_the_connection_cuts_is_told(start_server, open_page):
    server = start_server()
    kiosk = open_page(address=server.addresses[0])
    kiosk.press()
    server.stop()
    expect(kiosk.half(0).locator(".message")).to_contain_text("Please say it again")
    assert kiosk.half(0).locator(".talk").get_attribute("aria-pressed") == "false"


# Who may come in


def test_key_is_asked_for_once_and_stands_in_no_address(keyed, open_page):
    kiosk = open_page(address=keyed.addresses[0].replace("0.0.0.0", "127.0.0.1"), ready=False)
    kiosk.page.locator("#key-input").fill("wrong")
    kiosk.page.keyboard.press("Enter")
    expect(kiosk.page.locator("#key-text")).to_contain_text("not the key")
    kiosk.page.locator("#key-input").fill(KEY)
    kiosk.page.keyboard.press("Enter")
    kiosk.ready()
    expect(kiosk.page.locator("#key")).not_to_be_visible()
    kiosk.page.reload()
    kiosk.ready()
    assert not any("horse" in url for url in kiosk.asked)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_phone_opens_the_page_by_its_qr_code_and_never_learns_the_key(keyed, open_page, theme):
    here = keyed.addresses[0].replace("0.0.0.0", "127.0.0.1")
    kiosk = open_page(address=here, fragment=f"key={KEY.replace(' ', '%20')}&place=here&theme={theme}")
    assert KEY not in kiosk.page.url
    told = []
    kiosk.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: told.append(str(frame))))
    kiosk.page.reload()
    kiosk.ready()
    kiosk.page.locator("#open-invitation").click()
    expect(kiosk.page.locator("#code svg")).to_be_visible()
    expect(kiosk.page.locator("#invitation-note")).to_contain_text("10 minutes")
    screen = Image.open(io.BytesIO(kiosk.page.screenshot()))
    (code,) = zxingcpp.read_barcodes(screen, formats=zxingcpp.BarcodeFormat.QRCode)  # lines of text look like others
    assert KEY not in code.text + kiosk.page.content()
    assert told
    assert not any(KEY in frame for frame in told)

    scanned = urlsplit(code.text)
    assert (scanned.port, scanned.path) == (urlsplit(here).port, "/kiosk/")
    assert scanned.hostname not in {"127.0.0.1", "0.0.0.0", "localhost"}
    phone = open_page(address=here, fragment=f"{scanned.fragment}&place=here&sides=en,pt")
    expect(phone.page.locator("#open-invitation")).not_to_be_visible()  # a guest invites nobody
    assert "#" not in phone.page.url
    phone.page.reload()
    phone.ready()
    assert "horse" not in str(phone.page.evaluate("({...localStorage, ...sessionStorage})"))
