"""The pictures of the farm's page in docs/, of the farm that the page's tests look at.

`python -m tools.page_pictures` writes docs/page-phone.png (Korean, in two columns) and
docs/page-desktop.png (English, down to the forecast). It needs Chromium, a Korean font (Debian:
fonts-nanum), and Pillow, which matplotlib brings.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image

from edge_agent.core.runtime import DATABASE
from edge_agent.settings import Web
from edge_agent.web import auth
from edge_agent.web.app import Application
from edge_agent.web.server import serving
from tests.fakes.browser import Browser
from tests.fakes.shown_farm import ShownFarm

DOCS: Final = Path(__file__).parents[1] / "docs"
TOKEN: Final = "of the pictures alone"  # noqa: S105 - it ends with the pictures
PHONE: Final = (360, 1560)
DESKTOP: Final = 1200
GAP: Final = 12
"""Between the columns of the phone's picture."""


def main(folder: Path = DOCS) -> None:
    """Write both pictures into a folder."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        farm = ShownFarm(place / "state")
        farm.work()
        application = Application(
            farm.snapshots, farm.clock, place / "state" / DATABASE, lambda: TOKEN, farm.ask
        )
        with serving(Web(port=0), application) as port, Browser(place / "profile") as browser:
            address = f"http://127.0.0.1:{port}/"
            cookie, _, value = auth.set_cookie(TOKEN, secure=False).partition(";")[0].partition("=")
            browser.call("Network.setCookie", name=cookie, value=value, url=address)
            browser.open(f"{address}?lang=ko", PHONE[0])
            browser.picture(place / "phone.png")
            browser.open(f"{address}?lang=en", DESKTOP)
            end = browser.run("document.getElementById('ahead').getBoundingClientRect().bottom")
            browser.picture(place / "desktop.png")
        farm.close()
        _two_columns(Image.open(place / "phone.png")).save(folder / "page-phone.png", optimize=True)
        upper = Image.open(place / "desktop.png").crop((0, 0, DESKTOP, int(end) + GAP))
        upper = upper.resize((900, upper.height * 900 // DESKTOP), Image.Resampling.LANCZOS)
        _fewer_colours(upper).save(folder / "page-desktop.png", optimize=True)


def _two_columns(tall: Image.Image) -> Image.Image:
    """The upper two heights of a phone's page, side by side."""
    width, height = PHONE
    both = Image.new("RGB", (2 * width + GAP, height), "white")
    both.paste(tall.crop((0, 0, width, height)), (0, 0))
    both.paste(tall.crop((0, height, width, 2 * height)), (width + GAP, 0))
    return _fewer_colours(both)


def _fewer_colours(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
