"""A report shows what videos and pictures look like, within bounds, and nothing but JPEG gets into the page."""

from __future__ import annotations

import re
from base64 import b64encode
from itertools import pairwise

import pyarrow as pa

from mesh_assets.reports.html import html_report
from mesh_assets.reports.markdown import markdown_report
from mesh_assets.reports.model import slice_report
from mesh_assets.reports.previews import MAX_KEYFRAMES, MAX_PICTURES, MAX_VIDEOS, gather_strips
from mesh_assets.schemas.previews import PREVIEWS
from mesh_assets_tests.reports.samples import batch, facts, plain, section

JPEG = b"\xff\xd8\xff\xe0 a picture"


def row(path: str = "a.jpg", number: int = 0, **more: object) -> dict[str, object]:
    return {
        "chunk_id": f"{path}{number}",
        "dataset": "shop",
        "slice": "shop.000001",
        "path": path,
        "kind": "image",
        "place": None,
        "label": "Photo, mostly blue.",
        "media_type": "image/jpeg",
        "width": 320,
        "height": 180,
        "image": JPEG + bytes([number % 256]),
        **more,
    }


def video(path: str, scenes: int) -> list[dict[str, object]]:
    return [
        row(path, n, kind="video", place=f"0:{n:02} to 0:{n + 1:02}", label=f"Scene {n + 1}, still.")
        for n in range(scenes)
    ]


def report(*rows: dict[str, object], insights: bool = True):  # noqa: ANN201
    told = [batch(plain("media_video", "Videos"))] if insights else []
    return slice_report(facts(), told, {}, [PREVIEWS.batch(list(rows))])


def test_a_video_has_a_strip_of_keyframes_and_pictures_have_thumbnails() -> None:
    page = html_report(report(*video("trip.mp4", 3), row("holiday/beach.jpg")))
    shown = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" width="320" height="180" alt="([^"]*)"', page)
    assert [alt for _, alt in shown] == ["Scene 1, still.", "Scene 2, still.", "Scene 3, still.", "Photo, mostly blue."]
    assert shown[0][0] == b64encode(JPEG + b"\0").decode()
    assert "<figcaption>trip.mp4</figcaption>" in page
    assert "0:01 to 0:02" in page
    assert "beach.jpg" in page


def test_long_videos_and_many_pictures_are_thinned_evenly() -> None:
    strips, hidden = gather_strips([PREVIEWS.batch([*video("a.mp4", 1000), *(row(f"{n}.jpg") for n in range(500))])])
    film, pictures = strips
    assert not hidden
    assert (len(film.previews), film.more) == (MAX_KEYFRAMES, 1000 - MAX_KEYFRAMES)
    numbers = [int(preview.label.split()[1].rstrip(",")) for preview in film.previews]
    steps = [b - a for a, b in pairwise(numbers)]
    assert numbers[0] == 1
    assert max(steps) <= 2 * min(steps)
    assert numbers[-1] > 750
    assert (len(pictures.previews), pictures.more) == (MAX_PICTURES, 500 - MAX_PICTURES)


def test_videos_beyond_the_limit_are_counted() -> None:
    made = report(*(frame for n in range(MAX_VIDEOS + 3) for frame in video(f"{n}.mp4", 2)))
    media = section(made, "media")
    assert len(media.strips) == MAX_VIDEOS
    assert media.lead == "Keyframes of 3 further videos are not shown here."


def test_rows_without_their_picture_only_count() -> None:
    whole = PREVIEWS.batch([row("a.jpg"), row("b.jpg")])
    (strip,), _ = gather_strips([whole, whole.select(["kind", "path"])])
    assert (len(strip.previews), strip.more) == (2, 2)


def test_only_jpeg_gets_into_the_page_and_paths_stay_inert() -> None:
    hostile = '"><script>alert(1)</script>.jpg'
    made = report(
        row(hostile, label=hostile, kind="image"),
        row("b.svg", image=b"<svg onload=alert(1)>"),
        row("c.svg", media_type="image/svg+xml"),
        row("d.jpg", image=JPEG + bytes(200_000)),
    )
    page = html_report(made)
    assert "<script" not in page
    assert page.count("<img ") == 1
    assert len(page) < 60_000
    assert not re.search(r"(?<!\\)<script", re.sub(r"`[^`]*`", "", markdown_report(made)))


def test_the_strips_stand_in_the_section_of_media_also_where_nothing_else_is_said() -> None:
    alone = report(row(), insights=False)
    assert section(alone, "media").strips
    keys = [part.key for part in alone.sections]
    assert keys.index("media") < keys.index("made")
    assert section(report(row()), "media").entries[0].title == "Videos"
    assert all(not part.strips for part in slice_report(facts(), [], {}).sections)


def test_the_markdown_says_in_words_what_is_seen() -> None:
    text = markdown_report(report(*video("trip.mp4", 20)))
    assert "- `trip.mp4`\n  - `0:00 to 0:01` Scene 1, still.\n" in text
    assert "\n  - and 12 more\n" in text


def test_previews_have_a_key_and_fit_their_table() -> None:
    made: pa.RecordBatch = PREVIEWS.batch([row()])
    assert made.schema == PREVIEWS.schema
