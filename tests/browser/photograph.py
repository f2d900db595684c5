"""A program that photographs a page as a desk, a dark room and a phone show it.

``python -m tests.browser.photograph PAGE.html FOLDER`` writes the pictures of the documentation.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.browser.opening import browser, opened

SEVERAL = 128  # colors that a picture keeps, so that its file stays small
SHOTS = {  # name: width and height in pixels, scheme, what is at the top
    "page_desk": (1280, 1000, "light", "main"),
    "page_dark": (1280, 900, "dark", "#attacks"),
    "page_phone": (390, 844, "light", "main"),
    "page_phone_table": (390, 844, "light", "#attacks-table tr:nth-child(8)"),
}
SHOW = """place => {
    const node = document.querySelector(place);
    node.closest("details")?.setAttribute("open", "");
    node.scrollIntoView();
}"""


def photograph(page: Path, folder: Path) -> None:
    """Write the pictures of a page into a folder."""
    with browser() as chromium:
        for name, (width, height, scheme, place) in SHOTS.items():
            with opened(chromium, page, width=width, color_scheme=scheme) as found:
                found.page.set_viewport_size({"width": width, "height": height})
                found.page.evaluate(SHOW, place)
                found.page.wait_for_timeout(300)
                found.page.evaluate(SHOW, place)  # parts that were not laid out are now
                taken = Image.open(BytesIO(found.page.screenshot())).convert("RGB")
                taken.quantize(SEVERAL).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]))
