"""Takes the README's pictures of the kiosk page: real server, real models, a recording in the browser's microphone.

    python -m tools.screenshots [FOLDER]

Each picture is of a conversation that is really held while it is taken; the pictures are as small as 128 colours make
them.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from device.config import load_settings
from device.engines.registry import Engines
from device.modelstore.store import ModelStore
from device.server.serve import Server
from tools.browser import browsers

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "kiosk"
CLIP = "audioeval/audio/en/quick_brown_fox.wav"
SAID = "The quick brown fox jumps over the lazy dog."
TYPED = (
    (0, "Good morning! Where does it hurt?"),
    (1, "Minha cabeça dói desde ontem."),
    (0, "Have you taken anything?"),
)


@dataclass(frozen=True)
class Scene:
    """One picture."""

    name: str
    size: tuple[int, int]
    options: dict[str, str] = field(default_factory=dict)
    """What the page's address says."""
    act: Callable[[Page], None] = lambda _page: None
    phone: bool = False


def hold(page: Page, side: int = 0) -> None:
    """Press a side's button until the whole recording has been heard, and leave it pressed."""
    page.locator(f"#side-{side} .talk").dispatch_event("pointerdown", {"button": 0, "pointerId": 1})
    expect(page.locator(f"#side-{side} .words")).to_contain_text("lazy dog", timeout=60_000)
    expect(page.locator(f"#side-{side} .words")).to_have_text(SAID)
    expect(page.locator(f"#side-{1 - side} .words")).to_contain_text("sobre", timeout=60_000)


def talk(page: Page, side: int = 0) -> None:
    """Have a turn and wait for its translation."""
    hold(page, side)
    page.locator(f"#side-{side} .talk").dispatch_event("pointerup", {"button": 0, "pointerId": 1})
    expect(page.locator("#entries li").first).to_contain_text("preguiçoso", timeout=60_000)
    expect(page.locator(f"#side-{side} .words")).to_have_text(SAID)
    expect(page.locator("#bar")).to_have_attribute("data-state", "ready", timeout=60_000)


def converse(page: Page) -> None:
    """Fill the history, then talk."""
    for number, (side, text) in enumerate(TYPED, 1):
        page.locator("#open-composer").click()
        page.locator(f'#composer-side input[value="{side}"]').check()
        page.locator("#composer-text").fill(text)
        page.locator("#composer .go").click()
        expect(page.locator("#entries li")).to_have_count(number, timeout=60_000)
        expect(page.locator("#composer")).not_to_be_visible()
    talk(page)


def languages(page: Page) -> None:
    """Open the languages of the near side."""
    talk(page)
    page.locator("#side-0 .language").click()


def history(page: Page) -> None:
    """Open what was said on a small screen."""
    converse(page)
    page.locator("#open-history").click()


def settings(page: Page) -> None:
    """Open the settings."""
    talk(page)
    page.locator("#open-settings").click()


SCENES = (
    Scene("handheld", (480, 320), {"theme": "light"}, hold),
    Scene("wide", (1920, 1080), {"theme": "light"}, converse),
    Scene("phone", (390, 844), {"theme": "dark"}, hold, phone=True),
    Scene("contrast", (480, 320), {"theme": "contrast", "size": "3"}, talk),
    Scene("beside", (1024, 600), {"theme": "dark", "layout": "beside"}, converse),
    Scene("arabic", (800, 480), {"theme": "light", "language": "ar"}, settings),
    Scene("history", (390, 844), {"theme": "light"}, history, phone=True),
    Scene("languages", (480, 320), {"theme": "dark"}, languages),
)


TRIES = 5
"""A busy machine misses the beginning of the recording, and then it is heard otherwise."""


def take(scene: Scene, running: Browser, address: str, folder: Path) -> Path:
    """Take one picture."""
    for attempt in range(TRIES):
        with running.new_context(
            viewport={"width": scene.size[0], "height": scene.size[1]}, locale="en-GB", has_touch=scene.phone
        ) as context:
            page = context.new_page()
            options = {"place": "here", "sides": "en,pt", **scene.options}
            page.goto(f"{address}/kiosk/#" + "&".join(f"{name}={value}" for name, value in options.items()))
            expect(page.locator("#bar")).to_have_attribute("data-state", "ready", timeout=60_000)
            try:
                scene.act(page)
            except AssertionError:
                if attempt + 1 == TRIES:
                    raise
                continue
            picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
            break
    path = folder / f"{scene.name}.png"
    picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def main() -> None:
    """Take them all."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    recording = ModelStore().path("recordings") / CLIP
    with tempfile.TemporaryDirectory() as state:
        chosen = load_settings(None, {"state_directory": state, "server.port": 0})
        with Engines.open(chosen) as engines, Server(engines, chosen) as server, browsers() as launch:
            running = launch(recording)
            for scene in SCENES:
                path = take(scene, running, server.addresses[0], folder)
                print(f"{path.name}: {scene.size[0]} by {scene.size[1]}, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
