"""The kiosk page for eyes, fingers, keys and screen readers: every size, colour and language."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from device.config import load_settings
from device.server.serve import Server
from tests.server.conftest import ServedEngines, model

pytestmark = [pytest.mark.e2e, pytest.mark.models]

SIZES = ((480, 320), (320, 568), (1920, 1080))
MEASURE = """() => {
    const seen = (e) => e.offsetParent !== null && !e.closest(".visually-hidden");
    const small = [...document.querySelectorAll("button, label, a, input:not([type=radio]), textarea")].filter(seen)
        .filter((e) => e.offsetWidth < 43.5 || e.offsetHeight < 43.5)
        .map((e) => `${e.outerHTML.slice(0, 80)} ${e.offsetWidth}x${e.offsetHeight}`);
    const wide = [...document.querySelectorAll("body *")].filter(seen)
        .filter((e) => !e.closest("svg") && e.scrollWidth > e.clientWidth + 1)
        .filter((e) => getComputedStyle(e).overflowX !== "visible" && getComputedStyle(e).textOverflow !== "ellipsis")
        .map((e) => `${e.outerHTML.slice(0, 80)} ${e.scrollWidth} in ${e.clientWidth}`);
    const out = [...document.querySelectorAll("button, .words, .hint")].filter(seen).filter((e) => {
        const box = e.getBoundingClientRect();
        return box.left < -1 || box.right > innerWidth + 1;
    }).map((e) => e.outerHTML.slice(0, 80));
    const {scrollHeight, scrollWidth} = document.documentElement;
    const over = scrollHeight > innerHeight || scrollWidth > innerWidth;
    return {small, wide, out, over};
}"""


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_everything_fits_and_can_be_hit_with_a_finger_in_every_language(open_page, size):
    kiosk = open_page(size=size)
    kiosk.type("Where is the train station?")
    expect(kiosk.entry().locator(".into")).to_contain_text("estação")
    for language in ("en", "pt", "es", "fr", "de", "ar"):
        kiosk.page.locator("#open-settings").click()
        kiosk.page.locator(f'#settings input[name="language"][value="{language}"]').check()
        for layout in ("beside", "facing"):
            kiosk.page.locator(f'#settings input[name="layout"][value="{layout}"]').check()
            found = kiosk.page.evaluate(MEASURE)
            assert found == {"small": [], "wide": [], "out": [], "over": False}, (language, layout)
        kiosk.page.keyboard.press("Escape")


@pytest.mark.parametrize(
    ("theme", "size"), [("light", (480, 320)), ("contrast", (480, 320)), ("dark", (1920, 1080))], ids=str
)
def test_axe_finds_nothing_wrong(open_page, axe, size, theme):
    kiosk = open_page(size=size, theme=theme)
    more = ["color-contrast-enhanced"] if theme == "contrast" else []
    kiosk.type("Where is the train station?")
    expect(kiosk.entry().locator(".into")).to_contain_text("estação")
    kiosk.ready()
    assert axe(kiosk.page, *more) == []
    for button, dialog in (("#open-settings", "#settings"), ("#open-composer", "#composer")):
        kiosk.page.locator(button).click()
        expect(kiosk.page.locator(dialog)).to_be_visible()
        assert axe(kiosk.page, *more) == []
        kiosk.page.keyboard.press("Escape")
    kiosk.half(0).locator(".language").click()
    assert axe(kiosk.page, *more) == []


def test_person_opposite_reads_upright_and_people_side_by_side_too(open_page):
    kiosk = open_page()
    transform = "half => new DOMMatrix(getComputedStyle(half).transform).a"
    assert kiosk.half(1).evaluate(transform) == -1
    assert kiosk.half(0).evaluate(transform) == 1
    beside = open_page(layout="beside")
    assert beside.half(1).evaluate(transform) == 1


def test_arabic_reads_from_the_right_and_each_side_by_its_own_language(open_page):
    kiosk = open_page(language="ar")
    assert kiosk.page.locator("html").get_attribute("dir") == "rtl"
    expect(kiosk.page.locator("#state")).to_have_text("جاهز")
    assert kiosk.half(0).get_attribute("dir") == "ltr"
    first, last = (kiosk.page.locator(i).bounding_box()["x"] for i in ("#open-history", "#open-settings"))
    assert first > last


@pytest.fixture
def arabic(tmp_path):
    """A server with small engines that read Arabic: what matters here is where it stands, not what it says."""
    engines = ServedEngines()
    engines.models.append(model("mt", "capitals", source="en", target="ar"))
    with Server(engines, load_settings(None, {"state_directory": str(tmp_path), "server.port": 0})) as running:
        yield running
    engines.close()


def test_side_that_reads_arabic_reads_it_from_the_right(arabic, open_page):
    kiosk = open_page(address=arabic.addresses[0], fragment="place=here&sides=en,ar")
    half = kiosk.half(1)
    expect(half).to_have_attribute("dir", "rtl")
    expect(half).to_have_attribute("lang", "ar")
    expect(half.locator(".language")).to_have_text("العربية")
    expect(half.locator(".hint")).to_contain_text("لا يوجد نموذج")  # it can be read, and not spoken
    expect(half.locator(".talk")).to_be_disabled()
    kiosk.type("good morning")
    expect(half.locator(".words")).to_have_text("GOOD MORNING")
    expect(half.locator(".words")).to_have_attribute("dir", "rtl")
    expect(kiosk.entry().locator(".into")).to_have_attribute("dir", "rtl")
    expect(kiosk.half(0)).to_have_attribute("dir", "ltr")


def test_colours_and_motion_follow_the_system_until_somebody_chooses(open_page):
    kiosk = open_page(context={"color_scheme": "dark", "reduced_motion": "reduce"})
    html = kiosk.page.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    assert kiosk.half(0).locator(".talk").evaluate("b => getComputedStyle(b).transitionDuration") == "0s"
    kiosk.page.emulate_media(color_scheme="light")
    expect(html).to_have_attribute("data-theme", "light")
    kiosk.page.emulate_media(contrast="more")
    expect(html).to_have_attribute("data-theme", "contrast")
    kiosk.page.locator("#open-settings").click()
    kiosk.page.locator('#settings input[value="light"]').check()
    kiosk.page.locator('#settings input[name="size"][value="5"]').check()
    kiosk.page.reload()
    kiosk.ready()
    expect(html).to_have_attribute("data-theme", "light")
    expect(html).to_have_attribute("data-size", "5")


def test_larger_text_is_larger(open_page):
    size = "w => parseFloat(getComputedStyle(w).fontSize)"
    kiosk = open_page(size=(1920, 1080))
    sizes = [kiosk.half(0).locator(".words").evaluate(size)]
    kiosk.page.locator("#open-settings").click()
    for number in "12345":
        kiosk.page.locator(f'#settings input[name="size"][value="{number}"]').check()
        sizes.append(kiosk.half(0).locator(".words").evaluate(size))
    assert sizes[0] == sizes[2]
    assert sizes[1:] == sorted(set(sizes[1:]))


def test_keys_alone_reach_everything_in_an_order_that_can_be_seen(open_page):
    kiosk = open_page()
    reached = []
    for _ in range(12):
        kiosk.page.keyboard.press("Tab")
        focus = kiosk.page.evaluate("(document.activeElement.id || document.activeElement.className)")
        outline = kiosk.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid" or focus in {"", "said"}
        reached.append(focus)
    assert reached[:4] == ["language", "said", "talk", "language"]
    assert {"open-history", "open-composer", "open-invitation", "open-settings"} <= set(reached)


def test_every_language_of_the_page_says_everything(open_page):
    kiosk = open_page()
    tables = kiosk.page.evaluate("import('/kiosk/texts.js').then(m => m.TEXTS)")
    assert set(tables) == {"en", "pt", "es", "fr", "de", "ar"}
    for language, table in tables.items():
        assert table.keys() == tables["en"].keys(), language
        for key, text in table.items():
            names = {part.split("}")[0] for part in text.split("{")[1:]}
            assert names == {part.split("}")[0] for part in tables["en"][key].split("{")[1:]}, (language, key)
            assert text.strip() == text != ""


# When there is no microphone


def test_refused_microphone_is_told_in_words_and_typing_goes_on(open_page, launch, fox):
    kiosk = open_page(in_browser=launch(fox, microphone=False))
    kiosk.half(0).locator(".talk").click()
    expect(kiosk.half(0).locator(".message")).to_contain_text("does not give this page the microphone")
    kiosk.type("Where is the train station?")
    expect(kiosk.entry().locator(".into")).to_contain_text("estação")


def test_page_that_browsers_do_not_trust_says_why_there_is_no_microphone(keyed: Server, open_page, own_name):
    kiosk = open_page(address=own_name(keyed), fragment="key=correct%20horse%20battery%20staple&place=here&sides=en,pt")
    expect(kiosk.half(0).locator(".message")).to_contain_text("over https")
    expect(kiosk.half(1).locator(".message")).to_contain_text("https")
    expect(kiosk.half(0).locator(".talk")).to_be_disabled()
    kiosk.type("Where is the train station?")
    expect(kiosk.entry().locator(".into")).to_contain_text("estação")


@pytest.fixture
def own_name():
    """Return a function that gives a server's address as another machine would write it."""
    from device.server.kiosk_access import own_address

    host = own_address()
    if host.startswith("127.") or host.endswith(".local"):
        pytest.skip("this machine has no address but loopback, which browsers trust")
    return lambda server: server.addresses[0].replace("0.0.0.0", host)
