"""The shop that the tests of the pages share: it is dropped and read once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

from mesh_assets.embeddings.protocol import OFF
from mesh_assets_tests.flow.location import Location
from mesh_assets_tests.serving.live_page import EVIL


@pytest.fixture(scope="package")
def location(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    found = Location(tmp_path_factory.mktemp("serving"), options={"embedding_model": OFF, "port": 3111})
    folder = found.settings.drops / "shop"
    folder.mkdir(parents=True)
    (folder / "till.py").write_text("def sell(what):\n    return take(what)\n\n\ndef take(what):\n    return what\n")
    (folder / f"{EVIL[:30].replace('/', '_')}.md").write_text(
        f"# Lantern {EVIL}\n\nThe lantern {EVIL} is lit at night.\n"
    )
    stamps = [f"2026-03-0{day} 10:00:00 ERROR lantern went out\n" for day in range(1, 9)]
    (folder / "shop.log").write_text("".join(stamps * 20))
    (folder / "wall").mkdir()
    Image.new("RGB", (96, 64), (200, 40, 40)).save(folder / "wall" / "lantern.png")
    found.settle()
    yield found
    found.instance.dispose()
